//! `routes[].targets`: who answers, in place of whom, and for which model.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::Few;
use crate::types::ProviderName;

/// One provider of a route, written as its name or as fields.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Target {
    /// The provider's name.
    pub provider: ProviderName,
    /// The model to ask it for in place of the caller's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What the targets before must have come to; `None` is all but [`Condition::ContextLength`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Few<Condition>>,
}

impl Target {
    /// Whether it takes over where the target before came to this.
    #[must_use]
    pub fn takes_over(&self, condition: Condition) -> bool {
        self.when.as_ref().map_or(condition != Condition::ContextLength, |when| when.contains(&condition))
    }
}

/// What a target can come to so that the next one takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Its breaker is open, or its host can't be reached.
    Open,
    /// None of its keys can serve: they are used up, revoked, or may not use the model.
    Exhausted,
    /// It answered with an error of its own, such as 500, 503 or 529, or with what is no reply.
    ServerError,
    /// It did not answer in time.
    Timeout,
    /// It has no room for the request within the time that there is.
    RateLimited,
    /// The prompt is longer than its model can read.
    ContextLength,
}

impl Condition {
    /// All there are.
    pub const ALL: [Self; 6] = [Self::Open, Self::Exhausted, Self::ServerError, Self::Timeout, Self::RateLimited, Self::ContextLength];
}

/// A target with more than its provider's name.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TargetFields {
    /// The provider's name.
    provider: ProviderName,
    /// The model to ask it for in place of the caller's; without it, the caller's own.
    #[serde(default)]
    model: Option<String>,
    /// What the target before must have come to so that this one takes over: one of `open`, `exhausted`, `server_error`, `timeout`,
    /// `rate_limited`, `context_length`, or a list of them; without it, all but `context_length`. The first target has none.
    #[serde(default)]
    when: Option<Few<Condition>>,
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrFields;

        impl<'de> Visitor<'de> for NameOrFields {
            type Value = Target;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a provider's name or `{ provider: name }`")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Target, E> {
                Ok(Target { provider: name.parse().map_err(E::custom)?, model: None, when: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Target, A::Error> {
                let TargetFields { provider, model, when } = TargetFields::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Target { provider, model, when })
            }
        }

        deserializer.deserialize_any(NameOrFields)
    }
}

impl JsonSchema for Target {
    fn schema_name() -> Cow<'static, str> {
        "Target".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<ProviderName>();
        let fields = generator.subschema_for::<TargetFields>();
        json_schema!({ "anyOf": [name, fields] })
    }
}
