//! Durations counted by size: log-linear buckets, eight to a power of two, so that what is read back is at most a sixteenth
//! off.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Buckets to a power of two, as a power of two.
const FINENESS: u32 = 3;

/// Microseconds that are told apart, as a power of two: 71 minutes. What is longer counts as that.
const LONGEST: u32 = 32;

const STEP: usize = 1 << FINENESS;

/// How many buckets there are.
pub const BUCKETS: usize = STEP * (LONGEST - FINENESS + 1) as usize;

/// Counts that only grow, shared by all workers: 2 KiB.
#[derive(Debug)]
pub struct Durations {
    buckets: [AtomicU64; BUCKETS],
    micros: AtomicU64,
}

impl Default for Durations {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], micros: AtomicU64::new(0) }
    }
}

impl Durations {
    /// Counts one.
    pub fn record(&self, seen: Duration) {
        let micros = u64::try_from(seen.as_micros()).unwrap_or(u64::MAX).min((1 << LONGEST) - 1);
        self.buckets[bucket(micros)].fetch_add(1, Relaxed);
        self.micros.fetch_add(micros, Relaxed);
    }

    /// What has been counted since `before` was read, which becomes what is counted now.
    pub fn since(&self, before: &mut Reading) -> Spread {
        let mut counts = Vec::new();
        for (at, (now, was)) in (0_u8..).zip(self.buckets.iter().zip(before.buckets.iter_mut())) {
            let now = now.load(Relaxed);
            if now != *was {
                counts.push((at, u32::try_from(now - *was).unwrap_or(u32::MAX)));
                *was = now;
            }
        }
        let micros = self.micros.load(Relaxed);
        let spread = Spread { counts: counts.into(), micros: micros - before.micros };
        before.micros = micros;
        spread
    }
}

/// All counts at one moment.
#[derive(Debug)]
pub struct Reading {
    buckets: Box<[u64; BUCKETS]>,
    micros: u64,
}

impl Default for Reading {
    fn default() -> Self {
        Self { buckets: Box::new([0; BUCKETS]), micros: 0 }
    }
}

/// The durations of one span of time: only buckets that hold something.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spread {
    counts: Box<[(u8, u32)]>,
    micros: u64,
}

/// Mean and percentiles of some durations, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The mean.
    pub mean: f64,
    /// What 50, 90, 95 and 99 of a hundred do not exceed.
    pub percentiles: [f64; 4],
}

impl Summary {
    /// The percentiles that are told.
    pub const PERCENTS: [u64; 4] = [50, 90, 95, 99];

    /// Of all these together; `None` if nothing was counted.
    #[must_use]
    pub fn of<'s>(spreads: impl IntoIterator<Item = &'s Spread>) -> Option<Self> {
        let (mut counts, mut micros) = ([0_u64; BUCKETS], 0_u64);
        for spread in spreads {
            spread.counts.iter().for_each(|(at, count)| counts[usize::from(*at)] += u64::from(*count));
            micros += spread.micros;
        }
        let count: u64 = counts.iter().sum();
        let percentile = |percent: u64| {
            let wanted = (count * percent).div_ceil(100).max(1);
            let mut passed = 0;
            let found = counts.iter().position(|in_bucket| {
                passed += in_bucket;
                passed >= wanted
            });
            found.map_or(0.0, |bucket| middle(bucket) / 1e3)
        };
        (count > 0).then(|| Self { mean: micros as f64 / count as f64 / 1e3, percentiles: Self::PERCENTS.map(percentile) })
    }
}

fn bucket(micros: u64) -> usize {
    let magnitude = (u64::BITS - micros.leading_zeros()).saturating_sub(FINENESS + 1);
    (magnitude as usize) * STEP + (micros >> magnitude) as usize
}

/// The microseconds in the middle of a bucket.
fn middle(bucket: usize) -> f64 {
    let magnitude = (bucket / STEP).saturating_sub(1);
    let first = (bucket - magnitude * STEP) as u64;
    ((first << magnitude) + ((first + 1) << magnitude) - 1) as f64 / 2.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_bucket_is_used_and_has_a_number_that_fits() {
        assert_eq!((bucket(0), bucket((1 << LONGEST) - 1)), (0, BUCKETS - 1));
        assert!(u8::try_from(BUCKETS - 1).is_ok());
        for at in 0..BUCKETS {
            assert_eq!(bucket(middle(at) as u64), at);
        }
        assert_eq!(Summary::of([]), None);
    }

    proptest! {
        /// Against the durations themselves: mean exact, percentiles within a sixteenth, and a difference of readings
        /// knows nothing of what was counted before.
        #[test]
        fn what_is_read_back_is_what_was_counted(
            before in prop::collection::vec(0_u64..1 << 33, 0..20),
            micros in prop::collection::vec(0_u64..1 << 31, 1..200),
        ) {
            let (durations, mut reading) = (Durations::default(), Reading::default());
            before.iter().for_each(|micros| durations.record(Duration::from_micros(*micros)));
            durations.since(&mut reading);
            micros.iter().for_each(|micros| durations.record(Duration::from_micros(*micros)));
            let spread = durations.since(&mut reading);
            prop_assert_eq!(durations.since(&mut reading), Spread::default());

            let summary = Summary::of([&spread]).unwrap();
            let mut sorted = micros;
            sorted.sort_unstable();
            let mean = sorted.iter().sum::<u64>() as f64 / sorted.len() as f64 / 1e3;
            prop_assert!((summary.mean - mean).abs() <= mean * 1e-9 + 1e-9);
            for (percent, found) in Summary::PERCENTS.into_iter().zip(summary.percentiles) {
                let exact = sorted[(sorted.len() * percent as usize).div_ceil(100) - 1] as f64 / 1e3;
                prop_assert!((found - exact).abs() <= exact / 16.0 + 1e-9, "p{percent}: {found} for {exact}");
            }
        }
    }
}
