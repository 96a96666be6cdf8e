//! `prices:`: what tokens cost.

use std::{borrow::Cow, collections::BTreeMap, fmt, path::PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::ModelPattern;
use crate::types::Price;

/// What tokens cost. With this section, also an empty one (`prices: {}`), the cost of each request is told in the access log and the
/// metrics.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Prices {
    /// A file of prices, YAML or JSON, in the form of the list that is built in; it is read anew when it changes. What it says
    /// comes before that list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Prices by model, `*` for any run of characters: in US dollars for a million tokens. They come before all others. A model's own
    /// name comes first, then its name without the date of a snapshot, then the longest pattern that fits.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<ModelPattern, Price>,
    /// What a model costs whose price is not known: as much as the dearest of its provider (`dearest`), nothing (`free`), or a
    /// price. With `deny` it may not be used where a cost limit applies.
    pub unknown: UnknownPrice,
}

/// What a model costs whose price is not known: `dearest`, `free`, `deny` or a price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownPrice {
    /// As much as the dearest model that is known of its provider.
    #[default]
    Dearest,
    /// Nothing.
    Free,
    /// Nobody knows; where a cost limit applies, the request is refused.
    Deny,
    /// So much.
    #[serde(untagged)]
    Price(Price),
}

impl<'de> Deserialize<'de> for UnknownPrice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrPrice;

        impl<'de> Visitor<'de> for WordOrPrice {
            type Value = UnknownPrice;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`dearest`, `free`, `deny` or a price such as `{ input: 1, output: 4 }`")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<UnknownPrice, E> {
                match word {
                    "dearest" => Ok(UnknownPrice::Dearest),
                    "free" => Ok(UnknownPrice::Free),
                    "deny" => Ok(UnknownPrice::Deny),
                    _ => Err(E::unknown_variant(word, &["dearest", "free", "deny"])),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<UnknownPrice, A::Error> {
                Price::deserialize(MapAccessDeserializer::new(map)).map(UnknownPrice::Price)
            }
        }

        deserializer.deserialize_any(WordOrPrice)
    }
}

impl JsonSchema for UnknownPrice {
    fn schema_name() -> Cow<'static, str> {
        "UnknownPrice".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let price = generator.subschema_for::<Price>();
        json_schema!({ "anyOf": [{ "type": "string", "enum": ["dearest", "free", "deny"] }, price] })
    }
}
