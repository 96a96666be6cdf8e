//! The numbers of a limit, and which way of counting they ask for.

use std::{num::NonZeroU64, time::Duration};

use crate::types::{CostRate, Moment, Money, Rate, Unit, Window, moment::nanos};

/// Up to so many are counted one by one; more are counted in steps of the window.
const COUNTED_SINGLY: u64 = 64;

/// The way of counting. It is part of a limit's identity: counters of one kind say nothing to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counting {
    /// In any stretch of this length.
    Sliding(Duration),
    /// A bucket that fills in this time.
    Bucket(Duration),
    /// From midnight to midnight, UTC.
    Day,
    /// By the month, UTC.
    Month,
    /// At the same time.
    Permits,
}

/// The numbers of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    unit: Unit,
    amount: u64,
    /// Of a bucket: the most at once.
    burst: u64,
    counting: Counting,
    /// Of what takes time to pass: how long, in nanoseconds.
    length: u64,
    /// Of what slides: how its length is cut.
    scale: Scale,
}

/// How a length is cut into ticks of a power of two of nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    pub(super) shift: u32,
    /// The window in ticks, with one more where ticks are rounded.
    pub(super) span: u32,
}

impl Scale {
    /// A window has at most 2³⁰ ticks: the age of all that is remembered, up to two windows, fits four bytes.
    pub(super) const TICKS: u32 = 30;

    fn of(length: u64) -> Self {
        let shift = (u64::BITS - length.leading_zeros()).saturating_sub(Self::TICKS);
        let ticks = (length >> shift) as u32 + u32::from(length & ((1 << shift) - 1) != 0);
        Self { shift, span: ticks + u32::from(shift > 0) }
    }
}

impl Spec {
    /// So many of `unit` in a window; with `burst`, a bucket of that size.
    #[must_use]
    pub fn rate(unit: Unit, rate: Rate, burst: Option<NonZeroU64>) -> Self {
        let counting = match (rate.window, burst) {
            (Window::Sliding(length), Some(_)) => Counting::Bucket(length),
            (Window::Sliding(length), None) => Counting::Sliding(length),
            (Window::Day, _) => Counting::Day,
            (Window::Month, _) => Counting::Month,
        };
        Self::new(unit, rate.amount.get(), burst.map_or(rate.amount.get(), NonZeroU64::get), counting)
    }

    /// So much money in a day or month.
    #[must_use]
    pub fn cost(CostRate { amount: Money(pico), window }: CostRate) -> Self {
        let counting = if window == Window::Day { Counting::Day } else { Counting::Month };
        Self::new(Unit::Cost, pico, pico, counting)
    }

    /// So many at the same time.
    #[must_use]
    pub fn permits(amount: u64) -> Self {
        Self::new(Unit::Concurrent, amount, amount, Counting::Permits)
    }

    fn new(unit: Unit, amount: u64, burst: u64, counting: Counting) -> Self {
        let length = match counting {
            Counting::Sliding(length) | Counting::Bucket(length) => nanos(length),
            Counting::Day | Counting::Month | Counting::Permits => 0,
        };
        Self { unit, amount, burst, counting, length, scale: Scale::of(length) }
    }

    /// The same with so many times the numbers: for a subject that stands for several.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { amount: self.amount.saturating_mul(times), burst: self.burst.saturating_mul(times), ..self }
    }

    /// What it counts.
    #[must_use]
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// How many in its window, or at the same time.
    #[must_use]
    pub const fn amount(&self) -> u64 {
        self.amount
    }

    /// The most at once.
    #[must_use]
    pub const fn at_once(&self) -> u64 {
        self.burst
    }

    /// How it counts.
    #[must_use]
    pub const fn counting(&self) -> Counting {
        self.counting
    }

    /// How long a state without traffic still says something: after that, all that was used has passed.
    #[must_use]
    pub fn memory(&self) -> Duration {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        match self.counting {
            // A debt is as large as the limit at most.
            Counting::Sliding(length) => length,
            Counting::Bucket(length) => {
                let fills = u128::from(self.length) * u128::from(self.burst) * 2 / u128::from(self.amount.max(1));
                length.max(Duration::from_nanos(fills.try_into().unwrap_or(u64::MAX)))
            }
            Counting::Day => DAY,
            Counting::Month => 31 * DAY,
            Counting::Permits => Duration::ZERO,
        }
    }

    /// The length of what slides or fills, in nanoseconds.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// How the length of what slides is cut.
    pub(super) const fn scale(&self) -> Scale {
        self.scale
    }

    /// Whether so few are counted, one at a time, that each is remembered by itself.
    pub(super) const fn counts_singly(&self) -> bool {
        self.amount <= COUNTED_SINGLY && matches!(self.unit, Unit::Requests | Unit::Concurrent | Unit::FailedAuth)
    }

    /// The page of the calendar that `now` stands on, and the seconds until the next.
    pub(super) fn page(&self, now: Moment) -> (u32, u64) {
        const DAY: u64 = 24 * 60 * 60;
        let day = now.unix / DAY;
        if self.counting != Counting::Month {
            return (day as u32, DAY - now.unix % DAY);
        }
        let (month, next) = month(day);
        (month, next * DAY - now.unix)
    }
}

/// The month since the year 0 that a day since 1970 is in, and the first day of the next (H. Hinnant, "chrono-compatible
/// low-level date algorithms").
fn month(day: u64) -> (u32, u64) {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // Counted from March.
    let march = (5 * of_year + 2) / 153;
    let (year, of_ten) = (era * 400 + year, march);
    let begins = |year: u64, march: u64| {
        let (era, of_era) = (year / 400, year % 400);
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * march + 2) / 5 - 719_468
    };
    let next = if of_ten == 11 { begins(year + 1, 0) } else { begins(year, of_ten + 1) };
    ((year * 12 + of_ten) as u32, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_on_their_first() {
        // Days since 1970 of: 1970-01-01, 1999-12-31, 2000-02-29, 2000-03-01, 2026-11-22, 2100-02-28, 2100-03-01.
        for (day, next) in
            [(0, 31), (10_956, 10_957), (11_016, 11_017), (11_017, 11_048), (20_779, 20_788), (47_540, 47_541), (47_541, 47_572)]
        {
            assert_eq!(month(day).1, next, "{day}");
        }
        let mut before = month(0).0;
        for day in 1..100_000 {
            let (this, next) = month(day);
            assert!(next > day && next <= day + 31);
            assert!(this == before || this == before + 1 && month(day - 1).1 == day, "{day}");
            before = this;
        }
    }

    #[test]
    fn a_state_says_something_until_all_has_passed() {
        let spec = |rate: &str, burst: Option<u64>| Spec::rate(Unit::Requests, rate.parse().unwrap(), burst.and_then(NonZeroU64::new));
        assert_eq!(spec("10/min", None).memory(), Duration::from_secs(60));
        assert_eq!(spec("100/min", Some(150)).memory(), Duration::from_secs(180));
        assert_eq!(spec("100/min", Some(10)).memory(), Duration::from_secs(60));
    }
}
