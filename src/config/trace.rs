//! `trace:`: what becomes of the traces that callers and providers take part in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use super::{BaseUrl, SecretText};
use crate::types::Percent;

/// How a request's place in a trace (W3C Trace Context) goes on to the provider, and where our own part is told.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Trace {
    /// What a provider sees of `traceparent` and `tracestate`. By default `continue` where spans are exported, else `pass`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagate: Option<Propagate>,
    /// Whether a request without a `traceparent` begins a trace: in the access log and, unless `propagate: drop`, in the request to the
    /// provider.
    pub create: bool,
    /// Where spans are sent. Without it, none are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<Otlp>,
}

impl Trace {
    /// What a provider sees.
    #[must_use]
    pub fn propagate(&self) -> Propagate {
        self.propagate.unwrap_or(if self.otlp.is_some() { Propagate::Continue } else { Propagate::Pass })
    }
}

/// What a provider sees of the trace that a request is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Propagate {
    /// What the client sent, untouched.
    Pass,
    /// The same trace, with our own span as the parent. A `traceparent` that breaks the rules is replaced by a new one.
    Continue,
    /// Nothing.
    Drop,
}

/// Where spans are sent: OTLP over HTTP, in JSON.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Otlp {
    /// The collector, such as `http://localhost:4318`; `/v1/traces` is put behind it. It is reached straight, whatever proxy the
    /// environment names.
    pub endpoint: BaseUrl,
    /// Fields that each request to the collector carries, such as its key.
    #[serde(default)]
    pub headers: Vec<OtlpHeader>,
    /// How many of the requests that come without a `traceparent` are told of. Of those that have one, the caller's own choice counts.
    #[serde(default = "all")]
    pub sample: Percent,
    /// What this deployment is called there: `service.name`.
    #[serde(default = "service")]
    pub service: String,
}

/// A field of a request to the collector.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OtlpHeader {
    /// Its name, such as `authorization`.
    pub name: String,
    /// Its value: a secret, meant for `${VAR}` or `${file:path}`.
    #[serde(serialize_with = "masked")]
    #[schemars(with = "String")]
    pub value: SecretText,
}

fn masked<S: Serializer>(_: &SecretText, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("[secret]")
}

fn all() -> Percent {
    Percent::ALL
}

fn service() -> String {
    "sidegate".to_owned()
}
