//! Money in US dollars, without fractions that a computer rounds.

use std::{fmt, str::FromStr};

use super::as_text;

/// Digits behind the point of a dollar.
const DIGITS: usize = 12;

/// A million millionths: one dollar.
const DOLLAR: u64 = 1_000_000_000_000;

/// Pico-dollars: 0.075 $ for a million tokens are 75,000 of them for one. Sums saturate at 18 million dollars.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(pub u64);

impl Money {
    /// The sum, saturating.
    #[must_use]
    pub const fn plus(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }

    /// So many times as much, saturating.
    #[must_use]
    pub const fn times(self, times: u64) -> Self {
        Self(self.0.saturating_mul(times))
    }

    /// Dollars, for a gauge: rounded as floating point does.
    #[must_use]
    pub fn dollars(self) -> f64 {
        self.0 as f64 / DOLLAR as f64
    }
}

impl FromStr for Money {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("`{text}` is no amount of money; write US dollars, such as `5`, `0.15` or `2.50 USD`");
        let number = text.strip_suffix("USD").map_or(text, str::trim_end);
        let number = number.strip_prefix('$').unwrap_or(number);
        let (whole, behind) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(behind) || behind.len() > DIGITS {
            return Err(error());
        }
        let behind: u64 = format!("{behind:0<DIGITS$}").parse().map_err(|_| error())?;
        let whole: u64 = whole.parse().map_err(|_| error())?;
        whole.checked_mul(DOLLAR).and_then(|whole| whole.checked_add(behind)).map(Self).ok_or_else(error)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, behind) = (self.0 / DOLLAR, format!("{:0DIGITS$}", self.0 % DOLLAR));
        match behind.trim_end_matches('0') {
            "" => write!(f, "{whole}"),
            behind => write!(f, "{whole}.{behind}"),
        }
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

as_text!(Money, "Money", { "pattern": "^\\$?[0-9]+(\\.[0-9]{1,12})? ?(USD)?$", "examples": ["5", "0.15", "2.50 USD"] });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_printed() {
        for text in ["0", "5", "0.15", "2.5", "0.000000000001", "18446744.073709551615"] {
            assert_eq!(text.parse::<Money>().unwrap().to_string(), text);
        }
        for (text, pico) in [("$5", 5 * DOLLAR), ("5 USD", 5 * DOLLAR), ("5USD", 5 * DOLLAR), ("0.075", 75_000_000_000)] {
            assert_eq!(text.parse::<Money>().unwrap().0, pico);
        }
    }

    #[test]
    fn what_is_no_money_is_refused() {
        for text in ["", "-1", "1.", ".5", "1e3", "1,5", "5 EUR", "0.0000000000001", "18446745", "99999999999999999999"] {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
    }

    #[test]
    fn sums_saturate() {
        assert_eq!(Money(u64::MAX).plus(Money(1)), Money(u64::MAX));
        assert_eq!(Money(DOLLAR).times(u64::MAX), Money(u64::MAX));
    }
}
