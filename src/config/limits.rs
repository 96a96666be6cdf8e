//! `limits:`: how much each caller may have of what.

use std::{borrow::Cow, fmt, marker::PhantomData, num::NonZeroUsize};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, IntoDeserializer, SeqAccess, Visitor, value::SeqAccessDeserializer},
};

use super::ModelPattern;
use crate::types::{ClientName, CostRate, LimitName, Rate, Region, Tier, Unit};

/// One limit: `when` says which requests it is for, `per` whose are counted together, and the rest how many there may be.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The limit's name in refusals, logs and metrics. Counters belong to it: a limit with another name begins anew.
    pub name: LimitName,
    /// Which requests it is for; without it, all.
    #[serde(default, skip_serializing_if = "When::is_everything")]
    pub when: When,
    /// Whose requests are counted together: one of `ip`, `client`, `tier`, `region`, `model`, `session`, `all`, or a list of them, such as `[client, model]`.
    pub per: Few<Per>,
    /// How many requests in how long, such as `10/min`; never more than that in any minute, unless there is a `burst`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Rate>,
    /// How many tokens in how long, such as `20k/min`: those of prompts and those of replies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Rate>,
    /// How many requests at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<NonZeroUsize>,
    /// How much money in a day or month, such as `5 USD/day`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostRate>,
    /// How many credentials that do not hold, in how long; who goes beyond it gets 429 for those. One that holds is never refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_auth: Option<Rate>,
    /// How many at once, where `requests` or `tokens` are to be a rate on average: a bucket of this size that fills at that rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<NonZeroUsize>,
    /// Count, and report whom it would refuse, but refuse nobody.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub shadow: bool,
}

impl Limit {
    /// What it counts.
    pub fn units(&self) -> impl Iterator<Item = Unit> {
        let has = |unit: &Unit| match unit {
            Unit::Requests => self.requests.is_some(),
            Unit::Tokens => self.tokens.is_some(),
            Unit::Concurrent => self.concurrent.is_some(),
            Unit::Cost => self.cost.is_some(),
            Unit::FailedAuth => self.failed_auth.is_some(),
        };
        Unit::ALL.into_iter().filter(has)
    }

    /// Whether it can only be asked once the model is known.
    #[must_use]
    pub fn turns_on_model(&self) -> bool {
        self.when.model.is_some() || self.per.contains(&Per::Model)
    }
}

/// Which requests a limit is for. Each field may be one value or a list; a request must fit all that are there.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// Requests of these tiers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Few<Tier>>,
    /// Requests from these regions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Few<Region>>,
    /// Requests of these clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<Few<ClientName>>,
    /// Requests for these models; `*` stands for any run of characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Few<ModelPattern>>,
}

impl When {
    /// Whether it is for all requests.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Those of an address; of IPv6, of a /64, and in a wider sense of a /56 and a /48.
    Ip,
    /// Those of a client: by its key, its token or its certificate, else by its address.
    Client,
    /// Those of a tier.
    Tier,
    /// Those from a region.
    Region,
    /// Those for a model.
    Model,
    /// Those of a session, as `clients.session` tells it.
    Session,
    /// All.
    All,
}

/// One or several, at least one; written as one value or as a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Few<T>(Vec<T>);

impl<T> std::ops::Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> From<T> for Few<T> {
    fn from(one: T) -> Self {
        Self(vec![one])
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrList<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrList<T> {
            type Value = Few<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one value or a list of them")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Few<T>, E> {
                T::deserialize(text.into_deserializer()).map(Few::from)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Few<T>, A::Error> {
                let several = Vec::deserialize(SeqAccessDeserializer::new(list))?;
                if several.is_empty() { Err(de::Error::custom("an empty list; name at least one")) } else { Ok(Few(several)) }
            }
        }

        deserializer.deserialize_any(OneOrList(PhantomData))
    }
}

impl<T: Serialize> Serialize for Few<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<T: JsonSchema> JsonSchema for Few<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}OrList", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }
}
