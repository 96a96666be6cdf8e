//! A bucket of tokens (GCRA by another name): `burst` at once, and then as many as the rate lets through.
//!
//! What is counted is how full it is of what was used, and it runs dry at the rate of the moment: so the rate may change.
//! Integers only. It runs dry in whole parts, and the rest of the time is kept for the next look, so that nothing is lost and
//! nothing gained, however often it is looked at.

use std::time::Duration;

use super::{Spec, Standing, table::Cell};
use crate::types::Moment;

/// A millionth, about: what is used is counted in these.
const PART: u32 = 20;

/// What one subject has used.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// Parts that are used.
    used: u64,
    /// Up to when it has run dry, in nanoseconds.
    at: u64,
}

/// So many in parts.
fn parts(amount: u64) -> u64 {
    amount.saturating_mul(1 << PART)
}

/// Parts that run dry in a window.
fn flow(spec: &Spec) -> u128 {
    u128::from(spec.amount()) << PART
}

/// How often `by` goes into `of`, and the rest. Most are small enough for what a processor divides quickly.
fn divide(of: u128, by: u128) -> (u128, u128) {
    match (u64::try_from(of), u64::try_from(by)) {
        (Ok(of), Ok(by)) => ((of / by).into(), (of % by).into()),
        _ => (of / by, of % by),
    }
}

/// The time in which so many parts run dry, rounded up.
fn time(parts: u64, spec: &Spec) -> Duration {
    let (nanos, rest) = divide(u128::from(parts) * u128::from(spec.length()), flow(spec).max(1));
    Duration::from_nanos((nanos + u128::from(rest > 0)).try_into().unwrap_or(u64::MAX))
}

impl Bucket {
    /// What is used now, and up to when that was reckoned.
    fn drained(&self, spec: &Spec, now: Moment) -> (u64, u64) {
        let passed = now.nanos.saturating_sub(self.at);
        if self.used == 0 || passed == 0 {
            return (self.used, self.at.max(now.nanos));
        }
        let flown = u128::from(passed) * flow(spec);
        let length = u128::from(spec.length().max(1));
        if flown < length {
            return (self.used, self.at);
        }
        let (gone, rest) = divide(flown, length);
        if gone >= u128::from(self.used) {
            return (0, now.nanos);
        }
        // The time that made no whole part counts again.
        let (unused, _) = divide(rest, flow(spec).max(1));
        (self.used - gone as u64, now.nanos - unused as u64)
    }
}

impl Cell for Bucket {
    fn weigh(&self, spec: &Spec, amount: u64, now: Moment) -> Result<(), Option<Duration>> {
        if amount > spec.at_once() {
            return Err(None);
        }
        let (used, _) = self.drained(spec, now);
        match used.saturating_add(parts(amount)).saturating_sub(parts(spec.at_once())) {
            0 => Ok(()),
            over => Err(Some(time(over, spec))),
        }
    }

    fn charge(&mut self, spec: &Spec, amount: u64, now: Moment) {
        let (used, at) = self.drained(spec, now);
        self.used = used.saturating_add(parts(amount));
        self.at = at;
    }

    fn force(&mut self, spec: &Spec, amount: u64, now: Moment) -> u64 {
        let (before, _) = self.drained(spec, now);
        self.charge(spec, amount, now);
        // A debt may be as large as the bucket.
        self.used = self.used.min(parts(spec.at_once()).saturating_mul(2));
        self.used.saturating_sub(before) >> PART
    }

    fn refund(&mut self, spec: &Spec, amount: u64, taken: Moment, now: Moment) {
        // What has run dry since was not in the way of anybody: giving it back would make more than there was.
        let gone = (u128::from(now.nanos.saturating_sub(taken.nanos)) * flow(spec)).div_ceil(u128::from(spec.length().max(1)));
        let back = parts(amount).saturating_sub(gone.try_into().unwrap_or(u64::MAX));
        let (used, at) = self.drained(spec, now);
        (self.used, self.at) = (used.saturating_sub(back), at);
    }

    fn remaining(&self, spec: &Spec) -> u64 {
        parts(spec.at_once()).saturating_sub(self.used) >> PART
    }

    fn standing(&self, spec: &Spec, now: Moment) -> Standing {
        let (used, _) = self.drained(spec, now);
        let left = parts(spec.at_once()).saturating_sub(used);
        let next = (left >> PART).saturating_add(1);
        let more = used.saturating_sub(parts(spec.at_once()).saturating_sub(parts(next)));
        Standing {
            limit: spec.at_once(),
            remaining: left >> PART,
            reset: time(used, spec),
            more: if used == 0 { Duration::ZERO } else { time(more, spec) },
        }
    }

    fn is_idle(&self, spec: &Spec, now: Moment) -> bool {
        self.drained(spec, now).0 == 0
    }
}
