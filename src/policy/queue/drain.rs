//! How fast slots come free while others wait for them, and so how long a place in line lasts.
//!
//! By Little's law a place takes as long as there are before it, over the rate at which they go. Only times in which somebody
//! waited say how fast that is: else it is how fast requests come. Slots come free on `Drop`, where nobody knows the time, so
//! they are counted there and looked at when the next request comes.

use std::time::Duration;

use crate::types::Moment;

/// The time by which what was seen counts a third: long replies take about as long.
const MEMORY: f64 = 30.0;

/// Less than this was too little to see anything, in seconds.
const LEAST: f64 = 1.0;

/// The answer where nothing is known.
const UNKNOWN: Duration = Duration::from_secs(5);

/// The bounds of every answer, in seconds: nobody gains by asking sooner, nor remembers longer.
const BOUNDS: (f64, f64) = (1.0, 60.0);

/// What was seen of slots that came free.
#[derive(Debug, Default)]
pub(super) struct Drain {
    /// Slots that came free since `since`.
    freed: u64,
    /// The last look, in nanoseconds, if somebody waited then.
    since: Option<u64>,
    /// Slots that came free, and the seconds in which they did; what is old counts less in both.
    slots: f64,
    seconds: f64,
}

impl Drain {
    /// A slot comes free.
    pub(super) fn freed(&mut self) {
        self.freed += 1;
    }

    /// Takes in what has happened since the last look.
    pub(super) fn look(&mut self, somebody_waits: bool, now: Moment) {
        // The same threads do not ask in the order of their clocks.
        let seconds = self.since.map_or(0.0, |since| now.nanos.saturating_sub(since) as f64 / 1e9);
        if somebody_waits && seconds > 0.0 {
            let kept = (-seconds / MEMORY).exp();
            self.slots = self.slots * kept + self.freed as f64;
            self.seconds = self.seconds * kept + seconds;
        }
        if !somebody_waits || self.since.is_none() || seconds > 0.0 {
            self.freed = 0;
            self.since = somebody_waits.then_some(now.nanos);
        }
    }

    /// How long until the one at `place`, the first being 1, has a slot.
    pub(super) fn wait(&self, place: usize) -> Duration {
        if self.seconds < LEAST || self.slots < 1.0 {
            return UNKNOWN;
        }
        let seconds = place as f64 * self.seconds / self.slots;
        Duration::from_secs_f64(seconds.clamp(BOUNDS.0, BOUNDS.1))
    }
}
