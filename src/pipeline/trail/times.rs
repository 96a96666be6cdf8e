//! How long a request has taken, and what of that was Sidegate itself.

use std::time::{Duration, Instant};

use super::Trail;

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

    /// From sending until now.
    #[must_use]
    pub fn since_sent(&self) -> Option<Duration> {
        self.0.last.as_ref().map(|attempt| attempt.sent.elapsed())
    }

    /// Since its provider has had all that went up, as far as it went: what the client took for its body, and what the way to a
    /// connection took, is not the provider's slowness.
    #[must_use]
    pub fn since_up(&self) -> Option<Duration> {
        self.0.last.as_ref().map(|attempt| attempt.upload.since().elapsed())
    }

    /// When the request's head was read.
    #[must_use]
    pub fn received(&self) -> Instant {
        self.0.received
    }

    /// From the request's head until now.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.received.elapsed()
    }

    /// What Sidegate itself has added up to this moment, with the reply's head just handled: all but the time that the
    /// client and the provider took, in line and for a key as well.
    #[must_use]
    pub fn overhead(&self) -> Duration {
        let now = Instant::now();
        let Some(attempt) = &self.0.last else { return (now - self.0.received).saturating_sub(self.0.waited + self.0.held_up) };
        // What follows a first attempt is for the provider that could not serve it.
        self.0.before_first + attempt.head.map_or(Duration::ZERO, |head| now - head)
    }
}
