//! A gate between a story and a script: one side passes as often as the other opens it.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::within;

/// Closed at first. Clones are the same gate.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets one passer through, now or when it comes.
    pub(crate) fn open(&self) {
        self.0.add_permits(1);
    }

    /// Lets everybody through from now on.
    pub(crate) fn open_for_all(&self) {
        self.0.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    /// Waits as long as it takes: for scripts, whose end is the end of the test.
    pub(crate) async fn pass(&self) {
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }

    /// Waits while there is patience: for stories.
    pub(crate) async fn reached(&self, what: &str) {
        within(what, self.pass()).await;
    }
}
