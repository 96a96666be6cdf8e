//! `cache:`: whether the same question is paid for once.

use std::{borrow::Cow, fmt, num::NonZeroU32};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{CacheChoice, Config, Route};
use crate::types::{Period, Size};

/// Whether the same question is paid for once. It holds for every route that has no `cache: off`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// How long a reply answers, give or take a tenth.
    pub ttl: Period,
    /// How long a refusal answers that is the request's own fault, in its own client's scope alone; `0s` for never.
    pub negative_ttl: Period,
    /// How long after its time a reply still answers where nobody else can: the breaker is open, or every attempt has failed. `0s` for never.
    pub stale_if_error: Period,
    /// The most memory that all replies together take up, with all that is kept of each; calls under way may hold as much again. What
    /// is asked for least goes first.
    pub max_size: Size,
    /// The most replies that are kept.
    pub max_entries: NonZeroU32,
    /// The largest body that is kept: 16 MiB at most, and half of `max_size`. A longer one is passed on and not kept, and nobody joins it
    /// any more.
    pub max_entry: Size,
    /// Who may be answered with what another has asked: the same client alone (`client`), those of its tier (`tier`), or everybody (`all`).
    pub scope: Scope,
    /// Which questions have an answer worth keeping: all (`any`), or those that always have the same one, about (`strict`).
    pub determinism: Determinism,
    /// Request fields that make a difference, besides those that always do: two requests that differ in one of them are two questions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// Whether equal requests at the same time share one call.
    pub collapse: bool,
    /// Whether a call goes on to its end for the cache when nobody reads it any more. It is paid for then, read or not.
    pub finish: bool,
    /// How a stream is played again: all at once (`instant`), or at four times the pace at which it came (`paced`).
    pub replay: Replay,
    /// Whether limits of tokens and cost count what a hit would have used.
    pub count_hits: bool,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            ttl: Period::secs(10 * 60),
            negative_ttl: Period::secs(10),
            stale_if_error: Period::secs(60 * 60),
            max_size: Size::mib(256),
            max_entries: const { NonZeroU32::new(100_000).unwrap() },
            max_entry: Size::mib(1),
            scope: Scope::default(),
            determinism: Determinism::default(),
            headers: Vec::new(),
            collapse: true,
            finish: false,
            replay: Replay::default(),
            count_hits: false,
        }
    }
}

/// The section as it is written. `off` says what leaving it out says, so that it can be written down.
pub(super) struct OffOrFields;

pub(super) fn off_or_fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cache>, D::Error> {
    deserializer.deserialize_any(OffOrFields)
}

impl<'de> Visitor<'de> for OffOrFields {
    type Value = Option<Cache>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`off` or fields such as `{ ttl: 10m }`")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Option<Cache>, E> {
        match word {
            "off" => Ok(None),
            _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
        }
    }

    fn visit_unit<E: de::Error>(self) -> Result<Option<Cache>, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<Cache>, A::Error> {
        Cache::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
}

impl JsonSchema for OffOrFields {
    fn schema_name() -> Cow<'static, str> {
        "CacheOrOff".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let fields = generator.subschema_for::<Cache>();
        json_schema!({ "anyOf": [{ "const": "off" }, fields] })
    }
}

impl Config {
    /// How replies of this route are kept, if they are.
    #[must_use]
    pub fn cache_of(&self, route: &Route) -> Option<Cache> {
        match &route.cache {
            None => self.cache.clone(),
            Some(CacheChoice::Off) => None,
            Some(CacheChoice::On(own)) => Some(own.over(self.cache.clone().unwrap_or_default())),
        }
    }

    /// The most memory that all replies together take up, in bytes, and the most replies: one store serves all routes.
    #[must_use]
    pub fn cache_bounds(&self) -> (Size, NonZeroU32) {
        let bounds = |cache: &Cache| (cache.max_size, cache.max_entries);
        self.cache.as_ref().map_or_else(|| bounds(&Cache::default()), bounds)
    }
}

/// Who may be answered with what another has asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The same client alone: by its key, token or certificate, or else by its address.
    #[default]
    Client,
    /// All clients of the same tier.
    Tier,
    /// Everybody.
    All,
}

/// Which questions have an answer worth keeping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Determinism {
    /// All: an answer that was drawn once is good enough for the next who asks the same.
    #[default]
    Any,
    /// Those alone to which the provider would give the same answer, about: `temperature: 0`, a `seed`, embeddings, moderations.
    Strict,
}

/// How a stream is played again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Replay {
    /// All at once.
    #[default]
    Instant,
    /// At four times the pace at which it came, and no pause longer than 50 ms.
    Paced,
}
