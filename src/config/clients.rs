//! `clients:`: who may call.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Jwt, Mtls, SessionField};
use crate::types::{Tier, names::ClientName};

/// Who may call, and as whom.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clients {
    /// What a caller is that proves no name: a tier, or `deny`.
    #[serde(default)]
    pub anonymous: Anonymous,
    /// The client keys. Only their hashes are written down. `sidegate key new` makes one, and its entry here.
    #[serde(default)]
    pub keys: Vec<ClientKey>,
    /// Callers for whom an issuer vouches with signed tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Jwt>,
    /// Which certificates of `listen.tls.client_ca` name their clients. Without it, such a certificate opens the door and says no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtls: Option<Mtls>,
    /// Where a request says which session it belongs to, for limits that count `per: session`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionField>,
}

/// What a caller is that proves no name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Anonymous {
    /// Refused with 401.
    #[default]
    Deny,
    /// Let in as a client of this tier, told apart by address.
    Tier(Tier),
}

impl<'de> Deserialize<'de> for Anonymous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "deny" => Ok(Self::Deny),
            tier => tier.parse().map(Self::Tier).map_err(de::Error::custom),
        }
    }
}

impl Serialize for Anonymous {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Deny => serializer.serialize_str("deny"),
            Self::Tier(tier) => tier.serialize(serializer),
        }
    }
}

impl JsonSchema for Anonymous {
    fn schema_name() -> Cow<'static, str> {
        "Anonymous".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["deny", "free"] })
    }
}

/// A client and the hash of its key.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientKey {
    /// The client's name in logs and limits. Keys of one name are one client: so one takes over from the other.
    pub name: ClientName,
    /// The SHA-256 of the whole key, 64 hex digits, as `sidegate key new` prints it beside a new key; of another key,
    /// `printf %s "$KEY" | sha256sum`.
    pub sha256: KeyHash,
    /// The client's tier.
    pub tier: Tier,
}

/// The SHA-256 of a client key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// The hash of a key as a client sent it.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key).as_ref());
        Self(hash)
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut hash = [0; 32];
        let fine = text.len() == 64
            && text.is_ascii()
            && hash.iter_mut().zip(text.as_bytes().chunks(2)).all(|(byte, digits)| {
                let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'));
                digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).map(|value| *byte = value).is_some()
            });
        // The text is not shown: somebody may have written the key itself.
        if fine { Ok(Self(hash)) } else { Err(de::Error::custom("not a SHA-256; write 64 hex digits: `printf %s \"$KEY\" | sha256sum`")) }
    }
}

impl Serialize for KeyHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A short key can be found by trying, given its whole hash. These digits tell keys apart, as in logs.
        serializer.collect_str(&format_args!("{:.12}", self.to_string()))
    }
}

impl JsonSchema for KeyHash {
    fn schema_name() -> Cow<'static, str> {
        "Sha256".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-fA-F]{64}$" })
    }
}
