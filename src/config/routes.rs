//! `routes:`: which paths and models go to which providers.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::pattern;
use crate::types::ProviderName;

/// One rule: requests under `path` for one of `models` go to the first of `targets` that can serve.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The path prefix, whole segments; it is replaced by the path of the target's `base_url`.
    pub path: String,
    /// The models it serves, `*` for any run of characters; without it, every model and every endpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelPattern>,
    /// Providers in order of preference. All must speak the same request format.
    pub targets: Vec<Target>,
    /// Whose credentials the provider sees: the pool's (`pool`) or the caller's own (`client`).
    #[serde(default)]
    pub credentials: Credentials,
}

/// One provider of a route, written as its name or as `{ provider: name }`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Target {
    /// The provider's name.
    pub provider: ProviderName,
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields {
            provider: ProviderName,
        }

        struct NameOrFields;

        impl<'de> Visitor<'de> for NameOrFields {
            type Value = Target;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a provider's name or `{ provider: name }`")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Target, E> {
                Ok(Target { provider: name.parse().map_err(E::custom)? })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Target, A::Error> {
                let Fields { provider } = Fields::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Target { provider })
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
        json_schema!({
            "anyOf": [
                name,
                { "type": "object", "properties": { "provider": name }, "required": ["provider"], "additionalProperties": false },
            ],
        })
    }
}

/// Whose credentials the provider sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Credentials {
    /// A key of the provider's pool; nothing of the caller's own credentials passes.
    #[default]
    Pool,
    /// The caller's own; the pool is not used.
    Client,
}

/// A model name in which `*` stands for any run of characters, also an empty one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModelPattern(Box<str>);

impl ModelPattern {
    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `model` fits.
    #[must_use]
    pub fn matches(&self, model: &str) -> bool {
        pattern::fits(&self.0, model)
    }
}

impl<'de> Deserialize<'de> for ModelPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Err(de::Error::custom("a model pattern must not be empty; write a model's name, or `*` for any"));
        }
        Ok(Self(text.into()))
    }
}

impl Serialize for ModelPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl JsonSchema for ModelPattern {
    fn schema_name() -> Cow<'static, str> {
        "ModelPattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "examples": ["gpt-*", "claude-*"] })
    }
}
