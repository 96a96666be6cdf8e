//! What was counted not long ago: ten buckets that roll.

use std::time::Duration;

use crate::types::moment::nanos;

/// Into so many parts a window is cut.
const BUCKETS: usize = 10;

/// Counts of one bucket, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Calls whose outcome is known.
    pub(super) total: u32,
    /// Those that failed.
    pub(super) failures: u32,
    /// Calls that had a first token, and those for which it was slow.
    pub(super) begun: u32,
    pub(super) slow: u32,
}

impl Counts {
    pub(super) const SUCCESS: Self = Self { total: 1, failures: 0, begun: 0, slow: 0 };
    pub(super) const FAILURE: Self = Self { total: 1, failures: 1, begun: 0, slow: 0 };
    /// A call that was counted as a success has failed.
    pub(super) const TURNED: Self = Self { total: 0, failures: 1, begun: 0, slow: 0 };

    pub(super) fn first_token(is_slow: bool) -> Self {
        Self { total: 1, failures: 0, begun: 1, slow: u32::from(is_slow) }
    }

    fn add(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.total, other.total),
            (&mut self.failures, other.failures),
            (&mut self.begun, other.begun),
            (&mut self.slow, other.slow),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    began: u64,
    counts: Counts,
}

/// The buckets. How long they last comes with each call: after a reload, what has been counted stays.
#[derive(Debug, Default)]
pub(super) struct Window {
    buckets: [Bucket; BUCKETS],
    last: usize,
}

impl Window {
    /// Counts something now. Returns when the bucket began in which it counts.
    pub(super) fn count(&mut self, length: Duration, counts: Counts, now: u64) -> u64 {
        let part = nanos(length) / BUCKETS as u64;
        if now >= self.buckets[self.last].began.saturating_add(part) {
            self.last = (self.last + 1) % BUCKETS;
            self.buckets[self.last] = Bucket { began: now, counts: Counts::default() };
        }
        let bucket = &mut self.buckets[self.last];
        bucket.counts.add(counts);
        bucket.began
    }

    /// Whether what was counted in the bucket that began then still counts.
    pub(super) fn covers(length: Duration, began: u64, now: u64) -> bool {
        began.saturating_add(nanos(length)) > now
    }

    /// All that still counts.
    pub(super) fn sum(&self, length: Duration, now: u64) -> Counts {
        let mut sum = Counts::default();
        self.buckets.iter().filter(|bucket| Self::covers(length, bucket.began, now)).for_each(|bucket| sum.add(bucket.counts));
        sum
    }
}
