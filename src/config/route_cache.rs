//! `routes[].cache:`: what a route does otherwise than `cache:` says.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{Cache, Determinism, Replay, Scope};
use crate::types::{Period, Size};

/// What a route does otherwise. One store serves all routes, so how large it may be is not said here.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouteCache {
    /// As `cache.ttl`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Period>,
    /// As `cache.negative_ttl`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negative_ttl: Option<Period>,
    /// As `cache.stale_if_error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_if_error: Option<Period>,
    /// As `cache.max_entry`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_entry: Option<Size>,
    /// As `cache.scope`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// As `cache.determinism`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub determinism: Option<Determinism>,
    /// As `cache.headers`, which it replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Vec<String>>,
    /// As `cache.collapse`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collapse: Option<bool>,
    /// As `cache.finish`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish: Option<bool>,
    /// As `cache.replay`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
    /// As `cache.count_hits`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count_hits: Option<bool>,
}

impl RouteCache {
    /// `all`, with what this says otherwise.
    #[must_use]
    pub fn over(&self, all: Cache) -> Cache {
        // Named one by one, so that a new field can't be forgotten here.
        let Self { ttl, negative_ttl, stale_if_error, max_entry, scope, determinism, headers, collapse, finish, replay, count_hits } =
            self.clone();
        Cache {
            ttl: ttl.unwrap_or(all.ttl),
            negative_ttl: negative_ttl.unwrap_or(all.negative_ttl),
            stale_if_error: stale_if_error.unwrap_or(all.stale_if_error),
            max_size: all.max_size,
            max_entries: all.max_entries,
            max_entry: max_entry.unwrap_or(all.max_entry),
            scope: scope.unwrap_or(all.scope),
            determinism: determinism.unwrap_or(all.determinism),
            headers: headers.unwrap_or(all.headers),
            collapse: collapse.unwrap_or(all.collapse),
            finish: finish.unwrap_or(all.finish),
            replay: replay.unwrap_or(all.replay),
            count_hits: count_hits.unwrap_or(all.count_hits),
        }
    }
}

/// A route's cache: what it does otherwise, or `off`.
#[derive(Clone, Debug, PartialEq)]
pub enum CacheChoice {
    /// It has one: as `cache:` says, and else by the defaults, but for these fields.
    On(RouteCache),
    /// It has none.
    Off,
}

impl<'de> Deserialize<'de> for CacheChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OffOrFields;

        impl<'de> Visitor<'de> for OffOrFields {
            type Value = CacheChoice;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`off` or fields such as `{ ttl: 1h }`")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<CacheChoice, E> {
                match word {
                    "off" => Ok(CacheChoice::Off),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CacheChoice, A::Error> {
                RouteCache::deserialize(MapAccessDeserializer::new(map)).map(CacheChoice::On)
            }
        }

        deserializer.deserialize_any(OffOrFields)
    }
}

impl Serialize for CacheChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::On(own) => own.serialize(serializer),
            Self::Off => serializer.serialize_str("off"),
        }
    }
}

impl JsonSchema for CacheChoice {
    fn schema_name() -> Cow<'static, str> {
        "CacheChoice".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let fields = generator.subschema_for::<RouteCache>();
        json_schema!({ "anyOf": [{ "const": "off" }, fields] })
    }
}
