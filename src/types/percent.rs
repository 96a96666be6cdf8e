//! A part of a whole, as an operator writes it: `10%`.

use std::{fmt, str::FromStr};

use super::as_text;

/// From nothing to all, in steps of a hundredth of a percent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u16);

impl Percent {
    /// All of it.
    pub const ALL: Self = Self(10_000);

    /// So many percent, 100 at most.
    #[must_use]
    pub const fn whole(percent: u8) -> Self {
        Self(if percent > 100 { 10_000 } else { percent as u16 * 100 })
    }

    /// The number before the sign: 0 to 100.
    #[must_use]
    pub fn number(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// So much of one: 0 to 1.
    #[must_use]
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(Self::ALL.0)
    }
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("`{text}` is no part of a whole; write a number from 0 to 100 and `%`, such as `10%` or `0.5%`");
        let number = text.strip_suffix('%').ok_or_else(error)?.trim_end();
        let (whole, behind) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| !text.is_empty() && text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(behind) || behind.len() > 2 {
            return Err(error());
        }
        let (whole, hundredths): (u16, u16) = (whole.parse().map_err(|_| error())?, format!("{behind:0<2}").parse().map_err(|_| error())?);
        let part = Self(whole * 100 + hundredths);
        if part <= Self::ALL { Ok(part) } else { Err(error()) }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, behind) = (self.0 / 100, format!("{:02}", self.0 % 100));
        match behind.trim_end_matches('0') {
            "" => write!(f, "{whole}%"),
            behind => write!(f, "{whole}.{behind}%"),
        }
    }
}

impl fmt::Debug for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

as_text!(Percent, "Percent", { "pattern": "^[0-9]{1,3}(\\.[0-9]{1,2})? ?%$", "examples": ["10%", "0.5%"] });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_printed() {
        for (text, fraction) in [("0%", 0.0), ("10%", 0.1), ("0.5%", 0.005), ("12.25%", 0.1225), ("100%", 1.0)] {
            let percent: Percent = text.parse().unwrap();
            assert_eq!((percent.to_string().as_str(), percent.fraction()), (text, fraction));
        }
        assert_eq!("7.50 %".parse::<Percent>().unwrap().to_string(), "7.5%");
    }

    #[test]
    fn what_is_no_part_is_refused() {
        for text in ["", "%", "10", "0.1", "-1%", "100.01%", "101%", "1.234%", "1.%", ".5%", "1e2%", "99999%"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }
}
