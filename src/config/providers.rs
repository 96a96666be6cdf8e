//! `providers:`: who answers, with which keys, over which connections.

use std::{borrow::Cow, fmt, num::NonZeroUsize, path::PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{BaseUrl, BreakerChoice, ProxyChoice, Queue, SecretText};
use crate::types::{Dialect, Period, Rate};

/// One AI provider.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// How it wants its key, and which request format it speaks.
    #[serde(default)]
    pub dialect: Dialect,
    /// Scheme, host, port and path prefix; may be left out where the dialect has one well-known host. Behind a Unix socket:
    /// `unix:/run/vllm.sock:/v1`, the path of the socket and, behind `:`, that of the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<BaseUrl>,
    /// The keys of the pool. May be empty only where every route to it says `credentials: client`.
    #[serde(default)]
    pub keys: Vec<KeySource>,
    /// What keeps a request at one key: nothing (`none`), or the start of its prompt (`prompt`), so that the provider finds in its own cache
    /// what it has read before.
    #[serde(default)]
    pub affinity: Affinity,
    /// When it is left alone for a while, or `off`.
    #[serde(default)]
    pub breaker: BreakerChoice,
    /// How many requests it has at the same time, and where the others wait. Without it, there is no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queue>,
    /// How long each phase of an attempt may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// The protocol to speak: `auto` asks by ALPN over TLS and is HTTP/1.1 in plain text.
    #[serde(default)]
    pub http_version: HttpVersion,
    /// Bounds on the pool of connections.
    #[serde(default)]
    pub connections: Connections,
    /// The egress proxy on the way: `environment` follows `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, `none` goes straight,
    /// and the URL of an HTTP proxy goes through that one, also for plain-text providers by CONNECT.
    #[serde(default)]
    pub proxy: ProxyChoice,
    /// How both sides prove who they are.
    #[serde(default)]
    pub tls: UpstreamTls,
}

impl Provider {
    /// Where it lives: what was written, else its dialect's well-known host.
    #[must_use]
    pub fn base_url(&self) -> Option<BaseUrl> {
        self.base_url.clone().or_else(|| self.dialect.default_base_url()?.parse().ok())
    }
}

/// Where one or several keys come from: exactly one of `env`, `dir`, `file` and `value`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeySource {
    /// An environment variable. `NAME*` takes `NAME` and every `NAME_<digits>`, each as a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// A directory, such as a mounted Secret: each file is a key, named after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// A file that holds one key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The key itself, meant for `${VAR}` and for what `sidegate key seal` prints; a literal key in a config file is everybody's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<SecretText>,
    /// A name for logs and metrics; by default the variable or file it came from, or `key-` and its place in the list.
    /// Where the source gives several keys, the name of the variable or file follows behind a dash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its share of the traffic against its neighbours' weights, by default 1; 0 takes it out of use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Keys with the same account share one quota and what the provider stores for it; by default each key is an account of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// How many requests its account may make in how long, of each model, as the provider says: `500/min`. Less is used where a reply's
    /// headers say less. Keys with the same account say it once, or say the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Rate>,
    /// How many tokens its account may have in how long, of each model, as the provider says: `200k/min`. The rest is as for `requests`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Rate>,
    /// Sent as `openai-organization` with this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// Sent as `openai-project` with this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

/// What keeps a request at one key of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Affinity {
    /// Nothing: the key with the most room takes it.
    #[default]
    None,
    /// The start of its prompt, as long as that key has room.
    Prompt,
}

/// How long each phase of an attempt may take. There is no limit on the whole: streams may be long.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Name look-up, TCP and TLS together.
    pub connect: Period,
    /// From the last byte of the request to the head of the reply. Thinking models are slow: keep it long.
    pub first_byte: Period,
    /// Between two parts of the reply's body, and between two parts of an upload that the provider takes.
    pub idle: Period,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Period::secs(3), first_byte: Period::secs(600), idle: Period::secs(300) }
    }
}

/// The protocol spoken with a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HttpVersion {
    /// HTTP/2 where the provider offers it by ALPN, else HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only; in plain text by prior knowledge.
    Http2,
}

impl<'de> Deserialize<'de> for HttpVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "auto" => Ok(Self::Auto),
            "1" | "1.1" => Ok(Self::Http1),
            "2" => Ok(Self::Http2),
            other => Err(de::Error::custom(format!("`{other}` is not an HTTP version; write `auto`, `1.1` or `2`"))),
        }
    }
}

impl Serialize for HttpVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for HttpVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Http1 => "1.1",
            Self::Http2 => "2",
        })
    }
}

impl JsonSchema for HttpVersion {
    fn schema_name() -> Cow<'static, str> {
        "HttpVersion".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ["auto", "1.1", 1.1, "2", 2] })
    }
}

/// Bounds on the pool of connections to one provider. Counts are for the whole process and shared out among its workers.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Connections {
    /// The most connections open at once, though each of the workers may have one.
    pub max: NonZeroUsize,
    /// The most streams on one HTTP/2 connection, if the provider does not allow fewer.
    pub streams: NonZeroUsize,
    /// How long an unused connection is kept. Keep it below the provider's own idle timeout.
    pub idle: Period,
    /// A connection older than this takes no new request, so that a changed address is followed.
    pub max_age: Period,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            max: const { NonZeroUsize::new(10_000).unwrap() },
            streams: const { NonZeroUsize::new(64).unwrap() },
            idle: Period::secs(50),
            max_age: Period::secs(600),
        }
    }
}

/// How a provider proves who it is, and how we do. When the files change, new connections use what is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamTls {
    /// The certificates that are trusted: `bundled`, `system`, or the path of a PEM file.
    pub roots: Roots,
    /// A PEM file with the certificate and its chain that is shown where the provider asks for one; `key` goes with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// A PEM file with the private key of `certificate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

/// The root certificates that a provider's certificate must lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Roots {
    /// Mozilla's, built into the binary.
    #[default]
    Bundled,
    /// Those that the machine trusts.
    System,
    /// Those of a PEM file, and no others.
    File(PathBuf),
}

impl<'de> Deserialize<'de> for Roots {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "bundled" => Ok(Self::Bundled),
            "system" => Ok(Self::System),
            path if path.contains(['/', '.']) => Ok(Self::File(path.into())),
            other => {
                Err(de::Error::custom(format!("`{other}` is not a set of roots; write `bundled`, `system` or the path of a PEM file")))
            }
        }
    }
}

impl Serialize for Roots {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bundled => serializer.serialize_str("bundled"),
            Self::System => serializer.serialize_str("system"),
            Self::File(path) => serializer.collect_str(&path.display()),
        }
    }
}

impl JsonSchema for Roots {
    fn schema_name() -> Cow<'static, str> {
        "Roots".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["bundled", "system", "/etc/ssl/corporate.pem"] })
    }
}
