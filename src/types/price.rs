//! What tokens of a model cost.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Money;

/// The price list that is built in: YAML, as `docs/cost.md` describes it.
pub static LISTED: &str = include_str!("../../prices.yaml");

/// Pico-dollars of one token for each micro-dollar of a million tokens.
const PICO_PER_MICRO: u64 = 1_000_000;

/// A hundred thousand dollars for a million tokens: far beyond every price there is, and far from any overflow.
const MOST: u64 = 100_000_000_000;

/// What a million tokens of one kind cost: US dollars with up to six digits behind the point, so that one token costs a whole
/// number of pico-dollars.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PerMillion(u64);

impl PerMillion {
    /// So many tokens, saturating.
    #[must_use]
    pub const fn of(self, tokens: u64) -> Money {
        Money(self.0).times(tokens)
    }

    /// Dollars, rounded as floating point does: to be shown.
    #[must_use]
    pub fn dollars(self) -> f64 {
        self.0 as f64 / PICO_PER_MICRO as f64
    }
}

impl FromStr for PerMillion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("`{text}` is no price; write US dollars for a million tokens, such as `2.50` or `0.075`");
        let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let million: Money = Some(text).filter(|_| digits).ok_or_else(error)?.parse().map_err(|_| error())?;
        if !million.0.is_multiple_of(PICO_PER_MICRO) {
            return Err(format!("`{text}` is finer than prices are; write at most six digits behind the point"));
        }
        let token = million.0 / PICO_PER_MICRO;
        if token > MOST {
            Err(format!("`{text}` is more than any token costs; write US dollars for a million tokens"))
        } else {
            Ok(Self(token))
        }
    }
}

impl fmt::Display for PerMillion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Money(self.0.saturating_mul(PICO_PER_MICRO)).fmt(f)
    }
}

impl fmt::Debug for PerMillion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for PerMillion {
    /// From the digits as they were written: a number would have been rounded.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for PerMillion {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for PerMillion {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PerMillion".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["number", "string"], "minimum": 0, "maximum": 100_000, "examples": [2.5, 0.075] })
    }
}

/// What a million tokens of a model cost, in US dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Tokens of the prompt.
    pub input: PerMillion,
    /// Tokens of the prompt that come from the provider's cache; without it, what `input` costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<PerMillion>,
    /// Tokens of the prompt that are put into the provider's cache; without it, what `input` costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<PerMillion>,
    /// Those of them that are kept there for longer, such as Anthropic's hour; without it, what `stored` costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_long: Option<PerMillion>,
    /// Tokens of the reply; `0` for a model that only reads.
    pub output: PerMillion,
    /// Tokens of the reply that are thought and not shown; without it, what `output` costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<PerMillion>,
    /// What a request with a long prompt costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<LongPrice>,
}

/// What a million tokens of a request with a long prompt cost, all of them: in US dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LongPrice {
    /// A prompt of more tokens than this is long.
    pub above: u64,
    /// Tokens of the prompt.
    pub input: PerMillion,
    /// Tokens of the prompt that come from the provider's cache; without it, what `input` costs here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<PerMillion>,
    /// Tokens of the prompt that are put into the provider's cache; without it, what `input` costs here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<PerMillion>,
    /// Those of them that are kept there for longer; without it, what `stored` costs here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_long: Option<PerMillion>,
    /// Tokens of the reply.
    pub output: PerMillion,
    /// Tokens of the reply that are thought and not shown; without it, what `output` costs here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<PerMillion>,
}

impl LongPrice {
    /// The same as a price of its own.
    #[must_use]
    pub fn price(&self) -> Price {
        let Self { above: _, input, cached, stored, stored_long, output, reasoning } = *self;
        Price { input, cached, stored, stored_long, output, reasoning, long: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_costs_a_whole_number_of_pico_dollars() {
        for (text, pico) in [("0", 0), ("0.075", 75_000), ("2.50", 2_500_000), ("15", 15_000_000), ("0.000001", 1), ("100000", MOST)] {
            assert_eq!(text.parse::<PerMillion>().unwrap().of(1), Money(pico), "{text}");
        }
        assert_eq!("0.0750".parse::<PerMillion>().unwrap().to_string(), "0.075");
        assert_eq!("2.5".parse::<PerMillion>().unwrap().dollars(), 2.5);
        assert_eq!("100000".parse::<PerMillion>().unwrap().of(u64::MAX), Money(u64::MAX));
    }

    #[test]
    fn what_is_no_price_is_refused_with_what_to_write() {
        for (text, words) in [
            ("", "is no price; write"),
            ("-1", "is no price; write"),
            ("1e3", "is no price; write"),
            (".nan", "is no price; write"),
            ("2 USD", "is no price; write"),
            ("99999999999999999999", "is no price; write"),
            ("0.0000001", "six digits"),
            ("100000.000001", "more than any token costs"),
        ] {
            let refused = text.parse::<PerMillion>().unwrap_err();
            assert!(refused.contains(words), "{text}: {refused}");
        }
    }
}
