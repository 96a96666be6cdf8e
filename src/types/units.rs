//! Durations, sizes and shares as an operator writes them: `300ms`, `5s`, `64KiB`, `70%`.

use std::{fmt, str::FromStr, time::Duration};

use super::as_text;

/// A span of time, written as a whole number and a unit: `ms`, `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

impl Period {
    /// So many milliseconds.
    #[must_use]
    pub const fn millis(n: u64) -> Self {
        Self(Duration::from_millis(n))
    }

    /// So many seconds.
    #[must_use]
    pub const fn secs(n: u64) -> Self {
        Self(Duration::from_secs(n))
    }
}

/// The units of a [`Period`] in milliseconds, longest first so that printing takes the largest that fits.
const PERIOD_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("`{text}` is not a duration; write a whole number and a unit, such as `300ms`, `5s`, `2m`, `1h`");
        let (number, unit) = split_unit(text).ok_or_else(error)?;
        let (_, millis) = PERIOD_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(error)?;
        number.checked_mul(*millis).map(Self::millis).ok_or_else(error)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (unit, one) = PERIOD_UNITS.into_iter().find(|(_, one)| millis >= *one && millis.is_multiple_of(*one)).unwrap_or(("s", 1_000));
        write!(f, "{}{unit}", millis / one)
    }
}

/// A number of bytes, written as a whole number and a unit: `B`, `KB`, `MB`, `GB` or `KiB`, `MiB`, `GiB`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// So many KiB.
    #[must_use]
    pub const fn kib(n: u64) -> Self {
        Self(n << 10)
    }

    /// So many MiB.
    #[must_use]
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// The size as a length in memory, saturating where the machine's word is too small.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// The units of a [`Size`] in bytes; the binary ones stand first so that printing prefers them.
const SIZE_UNITS: [(&str, u64); 7] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1_000), ("B", 1)];

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("`{text}` is not a size; write a whole number and a unit, such as `64KiB`, `16MiB`, `1GiB`");
        let (number, unit) = split_unit(text).ok_or_else(error)?;
        let (_, bytes) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(error)?;
        number.checked_mul(*bytes).map(Self).ok_or_else(error)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, one) = SIZE_UNITS.into_iter().find(|(_, one)| self.0 >= *one && self.0.is_multiple_of(*one)).unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / one)
    }
}

/// `64KiB` → `(64, "KiB")`; a number without a unit, a sign or a fraction is refused.
fn split_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    Some((text[..end].parse().ok()?, text[end..].trim_start()))
}

/// All units read, print and describe themselves in the same way.
macro_rules! text_unit {
    ($unit:ty, $name:literal, $pattern:literal, $examples:expr) => {
        impl fmt::Debug for $unit {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        as_text!($unit, $name, { "pattern": $pattern, "examples": $examples });
    };
}

text_unit!(Period, "Duration", "^[0-9]+ ?(ms|s|m|h|d)$", ["300ms", "5s", "2m"]);
text_unit!(Size, "Size", "^[0-9]+ ?(B|KB|MB|GB|KiB|MiB|GiB)$", ["64KiB", "16MiB"]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_printed() {
        for text in ["1ms", "300ms", "5s", "90s", "2m", "1h", "3d"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        for text in ["1B", "64KiB", "1500B", "16MiB", "2GiB", "0B"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_bare_number_a_fraction_a_sign_and_an_overflow_are_refused() {
        for text in ["", "5", "s", "1.5s", "-1s", "5 parsecs", "99999999999999999999s", "999999999999999999d"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
        for text in ["", "5", "KiB", "1.5MiB", "-1B", "5TiB", "99999999999999999999B"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
