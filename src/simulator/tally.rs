//! What one key has asked for, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

/// The counts of one key since the start, or since they were last reset.
#[derive(Debug, Default)]
pub(super) struct Tally {
    requests: AtomicU64,
    processed: AtomicU64,
    tokens: AtomicU64,
    limited: AtomicU64,
    cancelled: AtomicU64,
    open: AtomicU64,
    most_open: AtomicU64,
}

impl Tally {
    /// A request's head was read.
    pub(super) fn begin(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_open.fetch_max(open, Ordering::Relaxed);
    }

    /// The provider went to work on it.
    pub(super) fn process(&self) {
        self.processed.fetch_add(1, Ordering::Relaxed);
    }

    /// It has ended; `limited` is a 429.
    pub(super) fn end(&self, tokens: usize, limited: bool, cancelled: bool) {
        self.tokens.fetch_add(tokens as u64, Ordering::Relaxed);
        self.limited.fetch_add(limited.into(), Ordering::Relaxed);
        self.cancelled.fetch_add(cancelled.into(), Ordering::Relaxed);
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Starts anew; what is open stays open.
    pub(super) fn reset(&self) {
        for count in [&self.requests, &self.processed, &self.tokens, &self.limited, &self.cancelled] {
            count.store(0, Ordering::Relaxed);
        }
        self.most_open.store(self.open.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// The counts as the admin path shows them.
    pub(super) fn json(&self) -> Value {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        json!({
            "requests": read(&self.requests), "processed": read(&self.processed), "tokens": read(&self.tokens), "status_429": read(&self.limited),
            "open": read(&self.open), "cancelled": read(&self.cancelled), "max_concurrent": read(&self.most_open),
        })
    }
}
