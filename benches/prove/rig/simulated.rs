//! The simulated provider in this process, on threads of its own: what it saw, and how it is hurt.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sidegate::{
    simulator::{Options, Running, Seen, start_observed},
    types::Fingerprint,
};
use tokio::time::sleep;

use crate::{admin::Admin, network::Hole};

/// What the provider saw of one request.
pub(crate) type Note = Seen;

/// A provider that is killed, started anew, or told to fail; what it saw outlives it.
pub(crate) struct Simulated {
    pub(crate) address: SocketAddr,
    options: Options,
    running: Option<Running>,
    hole: Option<Hole>,
    notes: Arc<Mutex<Vec<Note>>>,
}

impl Simulated {
    pub(crate) fn start(options: Options) -> Self {
        let mut simulated = Self { address: options.address, options, running: None, hole: None, notes: Arc::default() };
        simulated.come_back();
        simulated
    }

    /// What a provider does that answers at once.
    pub(crate) fn prompt() -> Options {
        Options { first_token: Duration::ZERO, tokens_per_second: f64::INFINITY, length: 8, ..Options::default() }
    }

    /// Closes the port and every connection; how many requests were open.
    pub(crate) fn kill(&mut self) -> u64 {
        self.running.take().map_or(0, |running| running.counters().open())
    }

    /// Kills it, and lets no connection come to anything.
    pub(crate) async fn vanish(&mut self) {
        self.kill();
        self.hole = Some(Hole::at(self.address).await.expect("a port that was ours a moment ago"));
    }

    /// Is there again, where it was.
    pub(crate) fn come_back(&mut self) {
        self.hole = None;
        let notes = Arc::clone(&self.notes);
        let deadline = Instant::now() + Duration::from_secs(5);
        let running = loop {
            let notes = Arc::clone(&notes);
            match start_observed(self.options.clone(), move |seen| lock(&notes).push(seen)) {
                Ok(running) => break running,
                Err(error) => assert!(Instant::now() < deadline, "the provider does not come back: {error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        (self.address, self.options.address) = (running.address(), running.address());
        self.running = Some(running);
    }

    /// Gives it an order.
    pub(crate) async fn order(&self, order: Value) {
        let (status, said) = Admin::at(self.address).say("POST", "/_simulator", &order.to_string()).await.expect("the provider answers");
        assert_eq!(status, 200, "{order}: {said}");
    }

    /// All requests meet this fault; `None` ends it.
    pub(crate) async fn fault(&self, fault: Option<&str>) {
        self.order(json!({ "fault": fault })).await;
    }

    /// How many requests have come since it was there last.
    pub(crate) fn requests(&self) -> u64 {
        self.running.as_ref().map_or(0, |running| running.counters().requests())
    }

    /// What it saw, when no request is open any more.
    pub(crate) async fn notes(&self) -> Vec<Note> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.running.as_ref().is_some_and(|running| running.counters().open() > 0) && Instant::now() < deadline {
            sleep(Duration::from_millis(10)).await;
        }
        lock(&self.notes).clone()
    }

    /// The requests of this key.
    pub(crate) async fn of(&self, key: &str) -> Vec<Note> {
        let key = Some(Fingerprint::of(key.as_bytes()));
        self.notes().await.into_iter().filter(|note| note.key == key).collect()
    }
}

fn lock(notes: &Mutex<Vec<Note>>) -> MutexGuard<'_, Vec<Note>> {
    notes.lock().expect("no one panics with it")
}
