//! One send to a provider, as the trail remembers it, and what its end adds to the records of provider and key.

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use http::StatusCode;

use super::trail::End;
use crate::{
    runtime::{Provider, snapshot::PoolKey},
    telemetry::key_record::Outcome,
    upstream::body::Progress,
};

/// One send to a provider.
#[derive(Debug)]
pub struct Attempt {
    /// Who it goes to.
    pub provider: Arc<Provider>,
    /// The key it carries; `None` where it is the client's own.
    pub key: Option<Arc<PoolKey>>,
    /// Counts what goes up.
    pub upload: Rc<Progress>,
    /// When it went out.
    pub sent: Instant,
    /// When its reply began.
    pub head: Option<Instant>,
}

impl Attempt {
    /// It goes out now.
    #[must_use]
    pub fn begin(provider: &Arc<Provider>, key: Option<Arc<PoolKey>>, upload: Rc<Progress>) -> Self {
        provider.record.begun();
        Self { provider: Arc::clone(provider), key, upload, sent: Instant::now(), head: None }
    }

    /// From sending to the reply's head.
    #[must_use]
    pub fn first_byte(&self) -> Option<Duration> {
        Some(self.head? - self.sent)
    }

    /// It is over: with this reply, if it began, or this failure.
    pub fn ended(&self, status: Option<StatusCode>, end: End, failure: Option<&'static str>) {
        let outcome = self.outcome(status, end, failure);
        self.provider.record.ended(outcome);
        if let Some(key) = &self.key {
            key.record.ended(outcome, SystemTime::now);
        }
    }

    fn outcome(&self, status: Option<StatusCode>, end: End, failure: Option<&'static str>) -> Outcome {
        let replied = status.filter(|_| self.head.is_some());
        match (failure, replied, end) {
            (Some(reason), ..) if is_no_fault_upstream(reason) => Outcome::Left,
            (Some(reason), ..) => Outcome::Failed(reason),
            (None, None, _) => Outcome::Left,
            (None, Some(status), End::Truncated(reason)) if !is_no_fault_upstream(reason) => Outcome::BrokeOff(status, reason),
            (None, Some(status), _) => Outcome::Answered(status),
        }
    }
}

/// Whether what ended it was the client's upload, or a drain: nobody upstream is to blame.
fn is_no_fault_upstream(reason: &str) -> bool {
    matches!(reason, "upload" | "upload_too_large" | "drained")
}
