//! `providers.NAME.breaker:`: when a host, or one model of it, is left alone for a while.

use std::{borrow::Cow, fmt, num::NonZeroU32};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::types::{Percent, Period};

/// When a host, or one model of it, is left alone for a while. Each model of a provider has a breaker of its own, and its host has one
/// for what concerns all of them. Only what blames the host counts: no caller's mistake, no rate limit, no caller that left.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// The share of attempts in `window` that must have failed, once there are `minimum` of them.
    pub error_rate: Percent,
    /// How far back attempts count, in ten steps.
    pub window: Period,
    /// The fewest attempts in `window` from which a share is taken.
    pub minimum: NonZeroU32,
    /// So many failures in a row are enough too, so that a sidecar with few requests also finds out.
    pub consecutive: NonZeroU32,
    /// How long nothing is sent before a few probes are. It doubles with each time that they fail, up to ten times as long.
    pub open: Period,
    /// A first token that takes longer is slow, and where four of five are, in `window` and from `minimum` of them on, the breaker opens as
    /// for failures. Without it, nothing is too slow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow: Option<Period>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            error_rate: Percent::whole(50),
            window: Period::secs(10),
            minimum: const { NonZeroU32::new(20).unwrap() },
            consecutive: const { NonZeroU32::new(5).unwrap() },
            open: Period::secs(30),
            slow: None,
        }
    }
}

/// A provider's breaker: its numbers, or `off`.
#[derive(Clone, Debug, PartialEq)]
pub enum BreakerChoice {
    /// By these numbers.
    On(Breaker),
    /// None: each request is sent, whatever became of those before it.
    Off,
}

impl Default for BreakerChoice {
    fn default() -> Self {
        Self::On(Breaker::default())
    }
}

impl BreakerChoice {
    /// Its numbers, unless it is off.
    #[must_use]
    pub fn numbers(&self) -> Option<&Breaker> {
        match self {
            Self::On(breaker) => Some(breaker),
            Self::Off => None,
        }
    }
}

impl<'de> Deserialize<'de> for BreakerChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OffOrNumbers;

        impl<'de> Visitor<'de> for OffOrNumbers {
            type Value = BreakerChoice;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`off` or fields such as `{ error_rate: 50%, open: 30s }`")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<BreakerChoice, E> {
                match word {
                    "off" => Ok(BreakerChoice::Off),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }

            fn visit_unit<E: de::Error>(self) -> Result<BreakerChoice, E> {
                Ok(BreakerChoice::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<BreakerChoice, A::Error> {
                Breaker::deserialize(MapAccessDeserializer::new(map)).map(BreakerChoice::On)
            }
        }

        deserializer.deserialize_any(OffOrNumbers)
    }
}

impl Serialize for BreakerChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::On(breaker) => breaker.serialize(serializer),
            Self::Off => serializer.serialize_str("off"),
        }
    }
}

impl JsonSchema for BreakerChoice {
    fn schema_name() -> Cow<'static, str> {
        "BreakerChoice".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let numbers = generator.subschema_for::<Breaker>();
        json_schema!({ "anyOf": [{ "const": "off" }, numbers] })
    }
}
