//! `log:`: what Sidegate says about itself on standard error. The access log is no part of it.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::{Period, as_text};

/// What Sidegate says about itself on standard error.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// From which level on: `error`, `warn`, `info`, `debug`, `trace`, or `off`; behind it, parts that differ, such as `info,h2=debug`.
    /// The environment variable `SIDEGATE_LOG` goes before it.
    pub level: Levels,
    /// The form of a line: `auto` is `human` on a terminal and `json` elsewhere.
    pub format: LogFormat,
    /// A request that takes longer is told of in one line of its own, with all that is known of its course. Of a streamed reply the time
    /// until its head counts, of any other the time until its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow: Option<Period>,
    /// For how many of the last requests the admin listener can tell why each was decided as it was: at `/decisions`. About 600 bytes
    /// of memory each; at most 10000, and 0 keeps none.
    #[schemars(range(max = 10_000))]
    pub decisions: usize,
}

/// The most decisions that may be kept: about 6 MB.
pub const MOST_DECISIONS: usize = 10_000;

impl Default for Log {
    fn default() -> Self {
        Self { level: Levels::default(), format: LogFormat::default(), slow: None, decisions: 1_000 }
    }
}

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// `human` on a terminal, `json` elsewhere.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// Text for reading.
    Human,
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    Off,
    /// What failed for good.
    Error,
    /// What an operator should look at.
    Warn,
    /// What happened.
    Info,
    /// What was decided, and why.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    const ALL: [(&str, Self); 6] = [
        ("off", Self::Off),
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];

    fn name(self) -> &'static str {
        Self::ALL.into_iter().find_map(|(name, level)| (level == self).then_some(name)).unwrap_or_default()
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find_map(|(known, level)| known.eq_ignore_ascii_case(name).then_some(level))
    }
}

/// A level for all, and others for parts of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    /// The level of all that is not named.
    pub default: Level,
    /// The levels of modules and libraries, such as `h2`, with all that is below each.
    pub parts: Vec<(Box<str>, Level)>,
}

impl Default for Levels {
    fn default() -> Self {
        Self { default: Level::Info, parts: Vec::new() }
    }
}

/// More than anybody needs to tell apart.
const MOST_PARTS: usize = 64;

impl FromStr for Levels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A level that is misspelt is not taken for the name of a part, as other programs do.
        let wrong = |what: &str| {
            format!(
                "`{what}` is no level; write `off`, `error`, `warn`, `info`, `debug` or `trace`, and behind it `PART=LEVEL`, such as `info,h2=debug`"
            )
        };
        let (mut default, mut parts) = (None, Vec::new());
        for directive in text.split(',').map(str::trim) {
            match directive.split_once('=') {
                None if default.is_none() => default = Some(Level::named(directive).ok_or_else(|| wrong(directive))?),
                None => return Err(format!("`{directive}` is a second level for all; write one, and `PART=LEVEL` for what differs")),
                Some((part, level)) => {
                    let fits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'));
                    let level = Level::named(level).filter(|_| fits).ok_or_else(|| wrong(directive))?;
                    parts.push((part.into(), level));
                }
            }
        }
        if parts.len() > MOST_PARTS {
            return Err(format!("so many parts are not told apart; write at most {MOST_PARTS}"));
        }
        Ok(Self { default: default.unwrap_or(Level::Info), parts })
    }
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.default.name())?;
        self.parts.iter().try_for_each(|(part, level)| write!(f, ",{part}={}", level.name()))
    }
}

as_text!(Levels, "LogLevel", { "examples": ["info", "off", "info,h2=debug"] });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_as_they_are_written() {
        for (text, printed) in [
            ("info", "info"),
            ("OFF", "off"),
            ("warn, h2=debug", "warn,h2=debug"),
            ("sidegate::upstream=trace", "info,sidegate::upstream=trace"),
            ("h2=off,error,hickory_proto=warn", "error,h2=off,hickory_proto=warn"),
        ] {
            assert_eq!(text.parse::<Levels>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn a_slip_is_not_taken_for_the_name_of_a_part() {
        for text in ["", "inof", "info,", "info,debug", "h2=loud", "=debug", "h2[span]=debug", "a b=info", "h2=", &"a=info,".repeat(70)] {
            assert!(text.parse::<Levels>().is_err(), "{text}");
        }
    }
}
