//! What all requests together have done since the start: counts that only grow, so that the path of a request does no more
//! than add. What happened lately is the difference of two readings: see `window`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{durations::Durations, key_record::class};

/// The counts, shared by all workers.
#[derive(Debug, Default)]
pub struct Traffic {
    begun: AtomicU64,
    statuses: [AtomicU64; 4],
    broken: AtomicU64,
    streams: [AtomicU64; 2],
    connections: AtomicU64,
    bytes: [AtomicU64; 2],
    /// From a request's head to its end.
    pub durations: Durations,
    /// From sending to the reply's head.
    pub first_bytes: Durations,
}

/// A request that is over.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// What it was answered, 499 if it left before.
    pub status: u16,
    /// Whether its reply broke off.
    pub broken: bool,
    /// From its head to its end.
    pub duration: Duration,
    /// Body bytes that went up.
    pub bytes_up: u64,
    /// Body bytes that went down.
    pub bytes_down: u64,
}

impl Traffic {
    /// A request's head has been read.
    pub fn begun(&self) {
        self.begun.fetch_add(1, Relaxed);
    }

    /// A request is over.
    pub fn ended(&self, ended: &Ended) {
        self.statuses[class(ended.status)].fetch_add(1, Relaxed);
        if ended.broken {
            self.broken.fetch_add(1, Relaxed);
        }
        self.bytes[0].fetch_add(ended.bytes_up, Relaxed);
        self.bytes[1].fetch_add(ended.bytes_down, Relaxed);
        self.durations.record(ended.duration);
    }

    /// The head of a provider's reply goes down, so long after the request was sent.
    pub fn streaming(&self, first_byte: Option<Duration>) {
        if let Some(first_byte) = first_byte {
            self.first_bytes.record(first_byte);
        }
        self.streams[0].fetch_add(1, Relaxed);
    }

    /// A provider's reply is over.
    pub fn streamed(&self) {
        self.streams[1].fetch_add(1, Relaxed);
    }

    /// Requests that are over, by class of status: 2xx (and 101), 3xx, 4xx (and 499), 5xx.
    #[must_use]
    pub fn statuses(&self) -> [u64; 4] {
        self.statuses.each_ref().map(|count| count.load(Relaxed))
    }

    /// Requests that ended with 5xx, or whose reply broke off.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.statuses()[3] + self.broken.load(Relaxed)
    }

    /// Body bytes up and down.
    #[must_use]
    pub fn bytes(&self) -> [u64; 2] {
        self.bytes.each_ref().map(|count| count.load(Relaxed))
    }

    /// Requests that are not over.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        // The ends first: a request that begins and ends in between must not count as minus one.
        let ended: u64 = self.statuses().iter().sum();
        self.begun.load(Relaxed).saturating_sub(ended)
    }

    /// Replies of providers that are on their way down, WebSockets included.
    #[must_use]
    pub fn streams(&self) -> u64 {
        let ended = self.streams[1].load(Relaxed);
        self.streams[0].load(Relaxed).saturating_sub(ended)
    }

    /// Connections that clients have open.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }
}

/// One more connection, for as long as this lives.
#[derive(Debug)]
pub struct Connected(Arc<Traffic>);

impl Connected {
    /// Counts one more.
    #[must_use]
    pub fn new(traffic: &Arc<Traffic>) -> Self {
        traffic.connections.fetch_add(1, Relaxed);
        Self(Arc::clone(traffic))
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}
