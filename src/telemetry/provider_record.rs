//! What is counted of one provider over all its keys, and over requests that carry their callers' own.
//!
//! It belongs to the provider's name, not to a generation of the config.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use super::{attempt_record::AttemptRecord, breaker_record::BreakerRecord, key_record::Outcome, queue_record::QueueRecord};
use crate::types::ProviderName;

/// The record of one provider.
#[derive(Debug)]
pub struct ProviderRecord {
    name: ProviderName,
    begun: AtomicU64,
    ended: AtomicU64,
    errors: AtomicU64,
    connections: AtomicI64,
    /// What its attempts came to, and what followed them.
    pub attempts: AttemptRecord,
    /// What its breakers did.
    pub breakers: BreakerRecord,
    /// How long requests stood in its line.
    pub queue: QueueRecord,
}

impl ProviderRecord {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(name: ProviderName) -> Self {
        Self {
            name,
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            connections: AtomicI64::new(0),
            attempts: AttemptRecord::default(),
            breakers: BreakerRecord::default(),
            queue: QueueRecord::default(),
        }
    }

    /// The provider's name.
    #[must_use]
    pub fn name(&self) -> &ProviderName {
        &self.name
    }

    /// An attempt goes out.
    pub fn begun(&self) {
        self.begun.fetch_add(1, Relaxed);
    }

    /// An attempt is over.
    pub fn ended(&self, outcome: Outcome) {
        if outcome.error().is_some() {
            self.errors.fetch_add(1, Relaxed);
        }
        self.ended.fetch_add(1, Relaxed);
    }

    /// A connection was made.
    pub fn connected(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    /// A connection has ended.
    pub fn disconnected(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }

    /// Attempts that are over.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.ended.load(Relaxed)
    }

    /// Attempts whose end speaks against the provider or a key.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors.load(Relaxed)
    }

    /// Attempts that are not over.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        let ended = self.ended.load(Relaxed);
        self.begun.load(Relaxed).saturating_sub(ended)
    }

    /// Connections open now.
    #[must_use]
    pub fn connections(&self) -> u64 {
        u64::try_from(self.connections.load(Relaxed)).unwrap_or(0)
    }
}
