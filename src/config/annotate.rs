//! `annotate:`: what Sidegate adds to replies. Each addition can be switched off.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The fields that Sidegate adds to replies. All are on by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Annotate {
    /// `x-request-id`, where the provider gave none.
    pub request_id: bool,
    /// `x-sidegate-key`: the fingerprint of the key that was used.
    pub key: bool,
    /// `x-sidegate-attempts`: how many attempts the reply took.
    pub attempts: bool,
    /// `server-timing: sidegate;dur=…`: the milliseconds that Sidegate itself added.
    pub timing: bool,
}

impl Default for Annotate {
    fn default() -> Self {
        Self { request_id: true, key: true, attempts: true, timing: true }
    }
}
