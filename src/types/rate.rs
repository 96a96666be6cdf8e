//! So much in so long, as an operator writes it: `10/min`, `1000/15min`, `2M/day`, `5 USD/month`.

use std::{fmt, num::NonZeroU64, str::FromStr, time::Duration};

use super::{Money, as_text};

/// The longest window that slides; what is longer follows the calendar.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The most that is counted in a window that slides: what four bytes hold.
const MOST: u64 = u32::MAX as u64;

/// The stretch of time in which something is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    /// Any stretch of this length, wherever it begins.
    Sliding(Duration),
    /// From midnight to midnight, UTC.
    Day,
    /// From the first of a month to the first of the next, UTC.
    Month,
}

impl Window {
    /// Its length, where it always has the same.
    #[must_use]
    pub const fn sliding(self) -> Option<Duration> {
        match self {
            Self::Sliding(length) => Some(length),
            Self::Day | Self::Month => None,
        }
    }
}

/// The units of a sliding window in seconds; the first name of each is the one that is printed.
const UNITS: [(&[&str], u64); 3] =
    [(&["h", "hour", "hours"], 3_600), (&["min", "minute", "minutes", "m"], 60), (&["s", "sec", "second", "seconds"], 1)];

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("`{text}` is no stretch of time; write one such as `s`, `min`, `15min`, `h`, `day` or `month`");
        match text {
            "day" => return Ok(Self::Day),
            "month" => return Ok(Self::Month),
            _ => {}
        }
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
        let (count, unit) = (&text[..split], text[split..].trim_start());
        let count: u64 = if count.is_empty() { 1 } else { count.parse().map_err(|_| error())? };
        let (_, seconds) = UNITS.iter().find(|(names, _)| names.contains(&unit)).ok_or_else(error)?;
        let length = count.checked_mul(*seconds).map(Duration::from_secs).filter(|length| !length.is_zero()).ok_or_else(error)?;
        if length > LONGEST {
            return Err(format!("`{text}` is longer than a window can slide; write at most `24h`, or `day` or `month`"));
        }
        Ok(Self::Sliding(length))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = match self {
            Self::Day => return f.write_str("day"),
            Self::Month => return f.write_str("month"),
            Self::Sliding(length) => length.as_secs(),
        };
        let (names, one) = UNITS.into_iter().find(|(_, one)| length.is_multiple_of(*one)).unwrap_or(UNITS[2]);
        match length / one {
            1 => f.write_str(names[0]),
            count => write!(f, "{count}{}", names[0]),
        }
    }
}

/// So many in a window.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many: at least one; in a window that slides at most what four bytes hold.
    pub amount: NonZeroU64,
    /// In how long.
    pub window: Window,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error =
            || format!("`{text}` is not a rate; write a number, `/` and a stretch of time, such as `10/min`, `1000/15min`, `2M/day`");
        let (amount, window) = text.split_once('/').ok_or_else(error)?;
        let amount = amount.trim_end();
        let (digits, times) = match amount.strip_suffix('k').map(|n| (n, 1_000)).or(amount.strip_suffix('M').map(|n| (n, 1_000_000))) {
            Some(short) => short,
            None => (amount, 1),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(error());
        }
        let amount = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(times)).ok_or_else(error)?;
        let amount = NonZeroU64::new(amount).ok_or_else(|| format!("`{text}` would let nothing through; write at least 1"))?;
        let window: Window = window.trim_start().parse()?;
        if window.sliding().is_some() && amount.get() > MOST {
            return Err(format!("`{text}` is more than can be counted; write at most {MOST}"));
        }
        Ok(Self { amount, window })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Short(self.amount.get()), self.window)
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

as_text!(Rate, "Rate", { "pattern": "^[0-9]+[kM]? ?/ ?[0-9]* ?[a-z]+$", "examples": ["10/min", "1000/15min", "2M/day"] });

/// A number as short as it can be written without losing any of it.
struct Short(u64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n.is_multiple_of(1_000_000) => write!(f, "{}M", n / 1_000_000),
            n if n >= 10_000 && n.is_multiple_of(1_000) => write!(f, "{}k", n / 1_000),
            n => n.fmt(f),
        }
    }
}

/// So much money in a day or month.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CostRate {
    /// How much: more than nothing.
    pub amount: Money,
    /// In how long: a day or a month.
    pub window: Window,
}

impl FromStr for CostRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("`{text}` is no cost; write US dollars, `/`, and `day` or `month`, such as `5/day` or `200 USD/month`");
        let (amount, window) = text.split_once('/').ok_or_else(error)?;
        let amount: Money = amount.trim_end().parse().map_err(|_| error())?;
        if amount == Money(0) {
            return Err(format!("`{text}` would let nothing through; write more than 0"));
        }
        match window.trim_start().parse() {
            Ok(window @ (Window::Day | Window::Month)) => Ok(Self { amount, window }),
            _ => Err(error()),
        }
    }
}

impl fmt::Display for CostRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} USD/{}", self.amount, self.window)
    }
}

impl fmt::Debug for CostRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

as_text!(CostRate, "CostRate", { "pattern": "^\\$?[0-9]+(\\.[0-9]{1,12})? ?(USD)? ?/ ?(day|month)$", "examples": ["5/day", "200 USD/month"] });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        for (text, amount, window) in [
            ("10/min", 10, Window::Sliding(Duration::from_secs(60))),
            ("1000/15min", 1_000, Window::Sliding(Duration::from_secs(900))),
            ("20k/min", 20_000, Window::Sliding(Duration::from_secs(60))),
            ("2M/day", 2_000_000, Window::Day),
            ("5 / month", 5, Window::Month),
            ("3/s", 3, Window::Sliding(Duration::from_secs(1))),
            ("2/2s", 2, Window::Sliding(Duration::from_secs(2))),
            ("7/24h", 7, Window::Sliding(LONGEST)),
            ("9000M/month", 9_000_000_000, Window::Month),
            ("7/hour", 7, Window::Sliding(Duration::from_secs(3_600))),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.amount.get(), rate.window), (amount, window), "{text}");
        }
    }

    #[test]
    fn what_is_printed_is_read_as_the_same() {
        for text in ["10/min", "1000/15min", "20k/min", "2M/day", "5/month", "3/s", "90/90s", "7/24h", "1/h"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for text in ["5 USD/day", "0.5 USD/month"] {
            assert_eq!(text.parse::<CostRate>().unwrap().to_string(), text);
        }
        assert_eq!("$5/day".parse::<CostRate>().unwrap(), "5 USD/day".parse().unwrap());
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in [
            "",
            "10",
            "/min",
            "10/",
            "0/min",
            "-1/min",
            "1.5/min",
            "10/0s",
            "10/25h",
            "10/2day",
            "10/fortnight",
            "5G/min",
            "+1/s",
            "5000M/s",
        ] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
        for text in ["5", "5/min", "0/day", "-5/day", "5 EUR/day", "/day"] {
            assert!(text.parse::<CostRate>().is_err(), "{text}");
        }
    }
}
