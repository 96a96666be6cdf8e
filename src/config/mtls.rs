//! `clients.mtls`: clients that a certificate names.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::pattern;
use crate::types::{ClientName, ForeignName, Tier};

/// Which certificates name their clients. A certificate's name is its first URI, such as a SPIFFE ID; without URIs, its first DNS
/// name, in small letters; with neither, the common name of its subject.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mtls {
    /// The tier of every certificate, unless its rule says another. Without it only certificates of `names` make clients; the
    /// rest count as `anonymous`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Rules for names; the first that fits counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<CertificateRule>,
}

/// What a certificate of a certain name makes its client.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateRule {
    /// The certificate's name; `*` stands for any run of characters, also across `/` and dots.
    pub name: NamePattern,
    /// What the client is called: one client, however many certificates fit. By default the name of each certificate is a client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientName>,
    /// The client's tier; by default that of `mtls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
}

impl Mtls {
    /// The first rule that fits a certificate of this name.
    #[must_use]
    pub fn rule(&self, name: &ForeignName) -> Option<&CertificateRule> {
        self.names.iter().find(|rule| pattern::fits(&rule.name.0, name.as_str()))
    }
}

/// The name of a certificate, in which `*` stands for any run of characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern(Box<str>);

impl<'de> Deserialize<'de> for NamePattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match ForeignName::new(&text) {
            Some(_) => Ok(Self(text.into())),
            None => Err(de::Error::custom("no certificate has this name; write one such as `spiffe://example.org/web` or `*.example.org`")),
        }
    }
}

impl Serialize for NamePattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl JsonSchema for NamePattern {
    fn schema_name() -> Cow<'static, str> {
        "NamePattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "examples": ["spiffe://example.org/ns/*/web", "*.batch.example.org"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_counts() {
        let rule = |name: &str, client: &str| CertificateRule {
            name: NamePattern(name.into()),
            client: Some(client.parse().unwrap()),
            tier: None,
        };
        let mtls =
            Mtls { tier: None, names: vec![rule("spiffe://prod/web", "web"), rule("spiffe://prod/*", "rest"), rule("*.example", "dns")] };
        let client =
            |name: &str| mtls.rule(&ForeignName::new(name).unwrap()).and_then(|rule| rule.client.as_ref()).map(|client| client.as_str());
        for (name, expected) in [
            ("spiffe://prod/web", Some("web")),
            ("spiffe://prod/web/2", Some("rest")),
            ("spiffe://test/web", None),
            ("a.example", Some("dns")),
            ("spiffe://prod", None),
        ] {
            assert_eq!(client(name), expected, "{name}");
        }
    }
}
