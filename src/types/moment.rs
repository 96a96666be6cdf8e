//! A point in time on both clocks, as policies take it: they have no clock of their own.

use std::time::Duration;

/// Now, on the clock that only goes forward and on the one that says the date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds since the process began.
    pub nanos: u64,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub unix: u64,
}

/// So long in the unit of [`Moment::nanos`]. What is longer than can be told, 584 years, is as long as can be.
#[must_use]
pub const fn nanos(duration: Duration) -> u64 {
    let nanos = duration.as_nanos();
    if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_beyond_the_clock_is_as_long_as_the_clock_can_tell() {
        let longest = Duration::from_nanos(u64::MAX);
        for (duration, expected) in [
            (Duration::ZERO, 0),
            (Duration::new(1, 1), 1_000_000_001),
            (longest, u64::MAX),
            (longest + Duration::from_nanos(1), u64::MAX),
            (Duration::MAX, u64::MAX),
        ] {
            assert_eq!(nanos(duration), expected, "{duration:?}");
        }
    }
}
