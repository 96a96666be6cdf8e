//! How often which duration was seen: a fixed table of counts, so that a million requests take no more memory than ten.

#[cfg(test)]
mod tests;

use std::time::Duration;

/// Buckets to a power of two, as a power of two: an answer is at most 1/2048 above what was seen.
const FINENESS: u32 = 11;

/// Microseconds that no answer exceeds, as a power of two: 19 hours.
const LONGEST: u32 = 36;

const STEP: usize = 1 << FINENESS;
const BUCKETS: usize = STEP * (LONGEST - FINENESS + 1) as usize;

/// Counts of durations by microseconds: exact up to 2 ms, then by ever wider buckets.
#[derive(Clone)]
pub(super) struct Histogram {
    buckets: Box<[u64]>,
    count: u64,
    longest: u64,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { buckets: vec![0; BUCKETS].into(), count: 0, longest: 0 }
    }

    /// Counts one; what is longer than 19 hours counts as 19 hours.
    pub(super) fn add(&mut self, seen: Duration) {
        let micros = u64::try_from(seen.as_micros()).unwrap_or(u64::MAX).min((1 << LONGEST) - 1);
        self.buckets[bucket(micros)] += 1;
        self.count += 1;
        self.longest = self.longest.max(micros);
    }

    /// The longest that was counted.
    pub(super) fn max(&self) -> Option<Duration> {
        (self.count > 0).then(|| Duration::from_micros(self.longest))
    }

    /// What `percent` of all do not exceed, rounded up to the edge of its bucket; nothing where nothing was counted.
    pub(super) fn percentile(&self, percent: f64) -> Option<Duration> {
        let wanted = ((self.count as f64 * percent / 100.0).ceil() as u64).clamp(1, self.count.max(1));
        let mut passed = 0;
        let found = self.buckets.iter().position(|count| {
            passed += count;
            passed >= wanted
        })?;
        // The last bucket's edge may lie beyond what was seen.
        Some(Duration::from_micros(edge(found).min(self.longest)))
    }
}

fn bucket(micros: u64) -> usize {
    let magnitude = (u64::BITS - micros.leading_zeros()).saturating_sub(FINENESS + 1);
    (magnitude as usize) * STEP + (micros >> magnitude) as usize
}

/// The greatest number of microseconds in a bucket.
fn edge(bucket: usize) -> u64 {
    let magnitude = (bucket / STEP).saturating_sub(1);
    let first = (bucket - magnitude * STEP) as u64;
    ((first + 1) << magnitude) - 1
}
