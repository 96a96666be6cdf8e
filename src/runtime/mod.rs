//! Layer 3: the config made live. [`compile()`] turns plain data into a [`Snapshot`], and one pointer says which
//! snapshot is in force. A request takes it once and keeps it, whatever happens to the pointer meanwhile.

pub mod cache;
pub mod client_keys;
pub mod compile;
pub mod jwt;
pub mod limits;
pub mod regions;
pub mod registry;
pub mod reload;
pub mod resilience;
pub mod snapshot;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Instant, SystemTime},
};

use arc_swap::ArcSwap;

pub use cache::Cache;
pub use client_keys::ClientKeys;
pub use compile::{CompileError, compile};
pub use jwt::JwtIdentity;
pub use limits::Limits;
pub use regions::Regions;
pub use registry::Registry;
pub use reload::Reloader;
pub use resilience::{Guard, Queue, Waiting};
pub use snapshot::{Provider, Route, Snapshot, Target};

use crate::{
    config::Config,
    policy::estimate::Estimator,
    telemetry::{
        AccessLog, Metrics, ServerMetrics, Traffic,
        decisions::Ring,
        log::{Ration, Seldom},
        trace::Spans,
    },
    types::{Moment, moment::nanos},
};

/// What all workers share.
#[derive(Debug)]
pub struct Runtime {
    /// The snapshot in force.
    pub snapshot: ArcSwap<Snapshot>,
    /// The states that outlive it.
    pub registry: Registry,
    /// All metrics.
    pub metrics: Metrics,
    /// The handles of the listener and the process.
    pub server_metrics: ServerMetrics,
    /// What all requests have done.
    pub traffic: Arc<Traffic>,
    /// Where a line for each request goes.
    pub access_log: AccessLog,
    /// Where spans for a collector go.
    pub spans: Spans,
    /// What models take, as far as it was learned.
    pub estimator: Estimator,
    /// Bytes of request bodies held in memory.
    pub held: Held,
    /// Whether a failed attempt may be told of in the log.
    pub failures: Seldom,
    /// Whether an account that rests may be told of in the log.
    pub cooled: Seldom,
    /// Whether a slow request may be told of in the log.
    pub slow: Ration,
    /// Replies that answer more than one request.
    pub cache: Cache,
    /// How the last requests were decided.
    pub decisions: Ring,
    /// When the process began.
    pub began: Instant,
    /// Whether what still runs is being cut, at the end of a drain: who loses a request then has not left.
    pub cut: AtomicBool,
}

impl Runtime {
    /// Now, as policies take it.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.moment_of(Instant::now(), SystemTime::now())
    }

    /// A point in time that was read from both clocks already.
    #[must_use]
    pub fn moment_of(&self, at: Instant, wall: SystemTime) -> Moment {
        let unix = wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Moment { nanos: nanos(at.saturating_duration_since(self.began)), unix }
    }

    /// Keeps as much as this config says.
    fn follow(&self, config: &Config) {
        self.decisions.resize(config.log.decisions);
        let (max_size, max_entries) = config.cache_bounds();
        self.cache.store.resize(max_size.0, max_entries.get().into());
    }

    /// Brings the metrics up to date that are read rather than counted.
    pub fn refresh(&self) {
        self.server_metrics.buffered.set(self.held.bytes() as f64);
    }
}

/// The memory that request bodies occupy, over all workers.
#[derive(Clone, Debug, Default)]
pub struct Held(Arc<AtomicU64>);

impl Held {
    /// Reserves `bytes` unless that would go beyond `limit`. Given back by `Drop`.
    #[must_use]
    pub fn reserve(&self, bytes: u64, limit: u64) -> Option<Reserved> {
        let mut reserved = Reserved { held: self.clone(), bytes: 0 };
        reserved.grow(bytes, limit).then_some(reserved)
    }

    /// Bytes held now.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Memory reserved for one request's body.
#[derive(Debug)]
pub struct Reserved {
    held: Held,
    bytes: u64,
}

impl Reserved {
    /// Bytes of it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reserves `more` bytes, or nothing if that would go beyond `limit`.
    pub fn grow(&mut self, more: u64, limit: u64) -> bool {
        let grown =
            self.held.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| held.checked_add(more).filter(|held| *held <= limit));
        if grown.is_ok() {
            self.bytes += more;
        }
        grown.is_ok()
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_reserved_up_to_the_limit_and_given_back() {
        let held = Held::default();
        let mut first = held.reserve(60, 100).unwrap();
        assert!(held.reserve(50, 100).is_none());
        assert!(first.grow(40, 100));
        assert!(!first.grow(1, 100));
        assert_eq!(held.bytes(), 100);
        drop(first);
        assert_eq!(held.bytes(), 0);
    }
}
