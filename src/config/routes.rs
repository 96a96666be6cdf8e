//! `routes:`: which paths and models go to which providers.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{CacheChoice, Target, pattern};

/// One rule: requests under `path` for one of `models` go to the first of `targets` that can serve.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The path prefix, whole segments; it is replaced by the path of the target's `base_url`.
    pub path: String,
    /// The models it serves, `*` for any run of characters; without it, every model and every endpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelPattern>,
    /// Providers in order of preference: where one can't serve, the next takes over. All must speak the same request format.
    pub targets: Vec<Target>,
    /// Whose credentials the provider sees: the pool's (`pool`) or the caller's own (`client`).
    #[serde(default)]
    pub credentials: Credentials,
    /// Which target comes first: as they stand there (`given`), the one whose model costs least (`cheapest`), or the one whose first token
    /// came soonest of late (`fastest`).
    #[serde(default)]
    pub order: Order,
    /// What is answered in place of an error when no target could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_resort: Option<LastResort>,
    /// `off`, or what it does otherwise than `cache:` says; where that is left out, fields here give this route one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheChoice>,
}

/// Which of a route's targets comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// As they stand in the config.
    #[default]
    Given,
    /// The one whose model costs least, by the prices that are known.
    Cheapest,
    /// The one whose first token came soonest of late.
    Fastest,
}

/// What is answered when no target could: the same for every request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LastResort {
    /// The status: 200 to 599.
    #[serde(default = "unavailable")]
    #[schemars(range(min = 200, max = 599))]
    pub status: u16,
    /// What `body` is.
    #[serde(default = "json")]
    pub content_type: String,
    /// The body as it is sent, 64 KiB at most; `${file:path}` brings it from a file.
    pub body: String,
}

/// RFC 9110 §15.6.4: Service Unavailable.
const fn unavailable() -> u16 {
    503
}

fn json() -> String {
    "application/json".to_owned()
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
