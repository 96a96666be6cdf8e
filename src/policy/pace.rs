//! How soon a target's first token came of late, by which the fastest of several is found.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::types::Moment;

/// How much of the running mean a new one replaces: one in so many.
const SMOOTHING: u64 = 8;

/// What is older says nothing of now, in nanoseconds: then the target is tried again, as one of which nothing is known.
const MEMORY: u64 = 60_000_000_000;

/// A running mean. Of two workers that add to it at once, one may be forgotten: it is no count.
#[derive(Debug, Default)]
pub struct Pace {
    /// Microseconds; 0 before the first.
    mean: AtomicU64,
    /// [`Moment::nanos`] of the last.
    at: AtomicU64,
}

impl Pace {
    /// A first token came so long after its request was sent.
    pub fn first_token(&self, after: Duration, now: Moment) {
        let new = u64::try_from(after.as_micros()).unwrap_or(u64::MAX >> 4).max(1);
        let mean = self.micros(now).map_or(new, |old| (old * (SMOOTHING - 1) + new) / SMOOTHING);
        self.mean.store(mean.max(1), Relaxed);
        self.at.store(now.nanos, Relaxed);
    }

    /// The mean in microseconds; `None` where nothing was seen for a minute. Those go first: or else one that was slow once would
    /// never be asked again.
    #[must_use]
    pub fn micros(&self, now: Moment) -> Option<u64> {
        let mean = Some(self.mean.load(Relaxed)).filter(|mean| *mean > 0);
        mean.filter(|_| now.nanos.saturating_sub(self.at.load(Relaxed)) < MEMORY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_what_was_seen_and_forgets_what_is_old() {
        let (pace, at) = (Pace::default(), |seconds: u64| Moment { nanos: seconds * 1_000_000_000, unix: 0 });
        assert_eq!(pace.micros(at(0)), None);
        pace.first_token(Duration::from_millis(800), at(1));
        assert_eq!(pace.micros(at(2)), Some(800_000));
        pace.first_token(Duration::ZERO, at(2));
        assert_eq!(pace.micros(at(61)), Some(700_000));
        assert_eq!(pace.micros(at(62)), None);
        pace.first_token(Duration::from_millis(5), at(70));
        assert_eq!(pace.micros(at(70)), Some(5_000), "what was forgotten does not come back");
    }
}
