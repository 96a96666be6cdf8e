//! How long a request has taken, and what of that was Sidegate itself.
//!
//! The clock is read where something begins or ends, and what else is to be known of that point is told from it: a request has
//! some twenty uses for the time, and a look at the clock costs as much as what it is used for.

use std::time::{Duration, Instant};

use super::Trail;
use crate::types::Moment;

impl Trail {
    /// It has waited so long for another's call.
    pub fn held_up(&mut self, waited: Duration) {
        self.0.held_up += waited;
    }

    /// From sending to the reply's head.
    #[must_use]
    pub fn first_byte(&self) -> Option<Duration> {
        self.0.last.as_ref()?.first_byte()
    }

    /// That point in time, as policies take it.
    #[must_use]
    pub fn moment(&self, at: Instant) -> Moment {
        self.0.runtime.moment_of(at, self.0.wall + at.saturating_duration_since(self.0.received))
    }

    /// From sending until then.
    #[must_use]
    pub fn since_sent(&self, until: Instant) -> Option<Duration> {
        self.0.last.as_ref().map(|attempt| until.saturating_duration_since(attempt.sent))
    }

    /// Until then, since its provider has had all that went up, as far as it went: what the client took for its body, and what the way to a
    /// connection took, is not the provider's slowness.
    #[must_use]
    pub fn since_up(&self, until: Instant) -> Option<Duration> {
        self.0.last.as_ref().map(|attempt| until.saturating_duration_since(attempt.upload.since()))
    }

    /// When the request's head was read.
    #[must_use]
    pub fn received(&self) -> Instant {
        self.0.received
    }

    /// From the request's head until then.
    #[must_use]
    pub fn elapsed(&self, until: Instant) -> Duration {
        until.saturating_duration_since(self.0.received)
    }

    /// What Sidegate itself has added up to now, with the reply's head just handled: all but the time that the
    /// client and the provider took, in line and for a key as well.
    #[must_use]
    pub fn overhead(&self, now: Instant) -> Duration {
        let Some(attempt) = &self.0.last else { return self.elapsed(now).saturating_sub(self.0.waited + self.0.held_up) };
        // What follows a first attempt is for the provider that could not serve it.
        self.0.before_first + attempt.head.map_or(Duration::ZERO, |head| now - head)
    }
}
