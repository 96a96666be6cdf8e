//! Step 10: every request is settled exactly once, at the end of its reply or by `Drop` when the client leaves before.
//!
//! `Drop` never waits: everything here is counting and giving back.

use std::{sync::Arc, time::Duration};

use super::trail::{End, Trail};
use crate::{
    policy::key_pool::Lease,
    telemetry::{TargetMetrics, metrics::Raised},
};
use http::StatusCode;

/// What a request holds from its attempt on. Each part gives itself back by `Drop`.
#[derive(Debug)]
pub struct Holds {
    /// The key; none where the client's own credentials go up.
    pub lease: Option<Lease>,
    /// The place among the requests in flight.
    pub in_flight: Raised,
}

/// The end of a request, to be reached.
#[derive(Debug)]
pub struct Settlement {
    trail: Trail,
    metrics: Arc<TargetMetrics>,
    status: StatusCode,
    overhead: Duration,
    bytes_out: u64,
    ended: bool,
    /// Given back when the settlement goes.
    _holds: Holds,
}

impl Settlement {
    /// Takes over everything that the request holds, when the reply's head goes down.
    #[must_use]
    pub fn new(metrics: Arc<TargetMetrics>, holds: Holds, status: StatusCode, overhead: Duration, trail: Trail) -> Self {
        metrics.answered(status);
        metrics.overhead.record(overhead);
        if let Some(first_byte) = trail.first_byte() {
            metrics.first_byte.record(first_byte);
        }
        Self { trail, metrics, status, overhead, bytes_out: 0, ended: false, _holds: holds }
    }

    /// So many bytes of the reply went down.
    pub fn passed(&mut self, bytes: u64) {
        self.bytes_out += bytes;
    }

    /// The request is over.
    pub fn finish(mut self, end: End) {
        self.record(end);
    }

    fn record(&mut self, end: End) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.metrics.ended(match end {
            End::Complete => 0,
            End::Left => 1,
            End::Truncated(_) | End::Rejected(_) => 2,
        });
        self.metrics.duration.record(self.trail.elapsed());
        self.metrics.sent.increment(self.trail.bytes_in());
        self.metrics.received.increment(self.bytes_out);
        self.trail.end(self.status, end, self.bytes_out, self.overhead);
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        self.record(self.trail.dropped());
    }
}
