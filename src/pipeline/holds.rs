//! What a request holds from its attempt on, until its reply is at its end.
//!
//! Each part gives itself back by `Drop`: a request whose client has left says nothing about anybody.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    attempt::{self, Attempt},
    tell,
    trail::{End, Trail},
};
use crate::{
    policy::{breaker::Permit, key_pool::Lease, pace::Pace, queue::Slot},
    telemetry::metrics::Raised,
    types::Cause,
};

/// What is given back at the end.
#[derive(Debug, Default)]
pub struct Holds {
    /// The key; none where the client's own credentials go up.
    pub lease: Option<Lease>,
    /// The breaker's leave, as long as it is not known what has come of it.
    pub permit: Option<Permit>,
    /// The place among those that its provider has at the same time.
    pub slot: Option<Slot>,
    /// Where it counts how soon the first token came, if that decides between targets.
    pub pace: Option<Arc<Pace>>,
    /// The place among the requests in flight.
    pub in_flight: Option<Raised>,
}

impl Holds {
    /// The first words of a good reply are here, so long after it was sent.
    pub fn first_token(&mut self, after: Duration, trail: &Trail, now: Instant) {
        // A stream that begins with an error is a 200 too, and shows nothing served.
        let Some(attempt) = trail.attempt().filter(|attempt| attempt.cause() == Some(Cause::Served)) else { return };
        let now = trail.moment(now);
        let Attempt { provider, key, .. } = attempt;
        if let Some((lease, key)) = self.lease.as_ref().zip(key.as_ref())
            && let Some(transition) = lease.first_token(after, now)
        {
            tell::key(trail.runtime(), (provider, key), &transition, now);
        }
        if let Some(permit) = &mut self.permit {
            tell::breakers(provider, &permit.first_token(after, now, fastrand::u64(..)), now);
        }
        if let Some(pace) = &self.pace {
            pace.first_token(after, now);
        }
    }

    /// The reply is over. Only one that its provider has broken off speaks against it.
    pub fn settle(&mut self, end: End, trail: &Trail, now: Instant) {
        let Some(permit) = self.permit.take() else { return };
        let cause = match end {
            End::Complete => Cause::Served,
            End::Truncated(reason) if !attempt::is_no_fault_upstream(reason) => Cause::BrokenOff,
            End::Truncated(_) | End::Left | End::Rejected(_) => return,
        };
        let now = trail.moment(now);
        let changed = permit.settle(cause, now, fastrand::u64(..));
        if let Some(attempt) = trail.attempt() {
            tell::breakers(&attempt.provider, &changed, now);
        }
    }
}
