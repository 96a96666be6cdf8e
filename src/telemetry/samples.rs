//! Sums that only grow, looked at now and then, so that their growth over the last while can be told.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The latest looks at some sums.
#[derive(Debug)]
pub struct Samples<const N: usize> {
    every: Duration,
    most: usize,
    looks: VecDeque<(Instant, [u64; N])>,
}

impl<const N: usize> Samples<N> {
    /// Kept every so often, and for so long.
    #[must_use]
    pub fn new(every: Duration, span: Duration) -> Self {
        let most = usize::try_from(span.as_nanos().div_ceil(every.as_nanos().max(1))).unwrap_or(usize::MAX).saturating_add(1);
        Self { every, most, looks: VecDeque::new() }
    }

    /// The sums are these now. It is kept if the last look is old enough.
    pub fn look(&mut self, now: Instant, sums: [u64; N]) {
        if self.looks.back().is_some_and(|(last, _)| now.saturating_duration_since(*last) < self.every) {
            return;
        }
        if self.looks.len() == self.most {
            self.looks.pop_front();
        }
        self.looks.push_back((now, sums));
    }

    /// How much the sums, which are these now, have grown since the latest look that is at least `span` old, else since the first;
    /// and how long ago that was. `None` if there was no look before.
    #[must_use]
    pub fn growth(&self, span: Duration, now: Instant, sums: [u64; N]) -> Option<(Duration, [u64; N])> {
        let old = |(at, _): &&(Instant, [u64; N])| now.saturating_duration_since(*at) >= span;
        let (at, before) = self.looks.iter().rev().find(old).or(self.looks.front())?;
        let grown = std::array::from_fn(|sum| sums[sum].saturating_sub(before[sum]));
        Some((now.saturating_duration_since(*at), grown)).filter(|(elapsed, _)| !elapsed.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_told_over_what_was_asked_or_over_all_there_is() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let span = Duration::from_secs(10);
        let mut samples = Samples::new(Duration::from_secs(5), Duration::from_secs(60));
        assert_eq!(samples.growth(span, start, [7]), None);
        samples.look(start, [7]);
        assert_eq!(samples.growth(span, start, [7]), None);
        assert_eq!(samples.growth(span, at(2), [9]), Some((Duration::from_secs(2), [2])));
        (1..=1_000).for_each(|second| samples.look(at(second), [7 + second]));
        assert_eq!(samples.looks.len(), 13);
        assert_eq!(samples.growth(span, at(1_003), [1_010]), Some((Duration::from_secs(13), [13])));
        assert_eq!(samples.growth(Duration::from_secs(60), at(1_003), [1_010]), Some((Duration::from_secs(63), [63])));
        assert_eq!(samples.growth(span, at(1_003), [0]), Some((Duration::from_secs(13), [0])), "it was taken out and put back");
    }
}
