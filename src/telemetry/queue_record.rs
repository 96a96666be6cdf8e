//! How long requests stood in a provider's line. How many do now is read from the line itself.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The bounds of the buckets, seconds: from a turn that comes at once to the longest wait that a config is likely to allow.
pub const BOUNDS: [f64; 12] = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 300.0];

/// The record of one provider's line.
#[derive(Debug, Default)]
pub struct QueueRecord {
    /// One for each bound, and one for what is beyond them.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// All of it at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Waits {
    /// How many stood at most as long as each of [`BOUNDS`].
    pub within: [u64; BOUNDS.len()],
    /// How many there were.
    pub count: u64,
    /// How long all of them stood, seconds.
    pub sum: f64,
}

impl QueueRecord {
    /// One left the line after so long, to be sent or not.
    pub fn waited(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let at = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[at].fetch_add(1, Relaxed);
        self.micros.fetch_add(u64::try_from(time.as_micros()).unwrap_or(0), Relaxed);
    }

    /// What was counted.
    #[must_use]
    pub fn waits(&self) -> Waits {
        let mut count = 0;
        let within = std::array::from_fn(|at| {
            count += self.buckets[at].load(Relaxed);
            count
        });
        count += self.buckets[BOUNDS.len()].load(Relaxed);
        Waits { within, count, sum: self.micros.load(Relaxed) as f64 / 1e6 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bucket_holds_all_that_is_shorter() {
        let record = QueueRecord::default();
        for millis in [0, 1, 2, 300_000, 300_001] {
            record.waited(Duration::from_millis(millis));
        }
        let waits = record.waits();
        assert_eq!(waits.within, [2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4]);
        assert_eq!((waits.count, waits.sum), (5, 600.004));
    }
}
