//! A duration as Go prints it, which is how OpenAI writes its `x-ratelimit-reset-…`: `20ms`, `1s`, `6m0s`, `1h2m3.5s`.

use std::{fmt, time::Duration};

/// Twenty digits of hours, and `h59m59.999s`.
const LONGEST: usize = 32;

/// A duration as text, to the millisecond.
#[derive(Clone, Copy)]
pub struct GoDuration {
    text: [u8; LONGEST],
    length: usize,
}

impl GoDuration {
    /// Writes it down.
    #[must_use]
    pub fn of(duration: Duration) -> Self {
        let millis = millis(duration);
        let mut written = Self { text: [0; LONGEST], length: 0 };
        let (seconds, behind) = (millis / 1_000, millis % 1_000);
        if seconds == 0 && behind > 0 {
            written.number(behind);
            written.push(b"ms");
            return written;
        }
        let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
        if hours > 0 {
            written.number(hours);
            written.push(b"h");
        }
        if hours > 0 || minutes > 0 {
            written.number(minutes);
            written.push(b"m");
        }
        written.number(seconds % 60);
        if behind > 0 {
            let digits = [b'0' + (behind / 100) as u8, b'0' + (behind / 10 % 10) as u8, b'0' + (behind % 10) as u8];
            let kept = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
            written.push(b".");
            written.push(&digits[..kept]);
        }
        written.push(b"s");
        written
    }

    /// The text: letters, digits and points.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }

    fn number(&mut self, number: u64) {
        self.push(itoa::Buffer::new().format(number).as_bytes());
    }

    fn push(&mut self, bytes: &[u8]) {
        self.text[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(self.as_bytes()).unwrap_or_default())
    }
}

impl fmt::Debug for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Milliseconds, to the nearest but never none of some: what counts in other steps of time is not told to a thousandth more.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    let nearest = u64::try_from((duration.as_nanos() + 500_000) / 1_000_000).unwrap_or(u64::MAX);
    nearest.max(u64::from(!duration.is_zero()))
}

/// Whole milliseconds, rounded up.
#[must_use]
pub fn millis_up(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Whole seconds, rounded up.
#[must_use]
pub fn seconds_up(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ms"),
            (20_000_000, "20ms"),
            (999_500_001, "1s"),
            (900_000_001_000, "15m0s"),
            (1_000_000_000, "1s"),
            (7_660_000_000, "7.66s"),
            (8_005_000_000, "8.005s"),
            (59_999_999_999, "1m0s"),
            (360_000_000_000, "6m0s"),
            (179_560_000_000, "2m59.56s"),
            (3_600_000_000_000, "1h0m0s"),
            (3_723_500_000_000, "1h2m3.5s"),
            (2_678_400_000_000_000, "744h0m0s"),
        ] {
            assert_eq!(GoDuration::of(Duration::from_nanos(nanos)).to_string(), text, "{nanos}");
        }
        // The longest there is, in as many milliseconds as are counted.
        assert_eq!(GoDuration::of(Duration::MAX).to_string(), "5124095576030h25m51.615s");
    }

    #[test]
    fn rounding_is_never_early() {
        for (nanos, millis, seconds) in [(0, 0, 0), (1, 1, 1), (1_000_000, 1, 1), (1_000_001, 2, 1), (1_000_000_001, 1_001, 2)] {
            let duration = Duration::from_nanos(nanos);
            assert_eq!((millis_up(duration), seconds_up(duration)), (millis, seconds), "{nanos}");
        }
        assert_eq!((millis_up(Duration::MAX), seconds_up(Duration::MAX)), (u64::MAX, u64::MAX));
    }
}
