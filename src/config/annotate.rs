//! `annotate:`: what Sidegate adds to replies. Each addition can be switched off.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The fields that Sidegate adds to replies. All are on by default but `cache_status` and `ietf_rate_limits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Annotate {
    /// `x-request-id`, where the provider gave none.
    pub request_id: bool,
    /// `x-sidegate-key`: the fingerprint of the key that was used.
    pub key: bool,
    /// `x-sidegate-attempts`: how many attempts the reply took.
    pub attempts: bool,
    /// `x-sidegate-target`: the provider that answered, and its model where the target renames it; where a route has several targets.
    pub target: bool,
    /// `x-sidegate-queue-ms`: how long the request waited in its provider's line; where `queue:` is set.
    pub queue: bool,
    /// `x-should-retry: false`: on an error that stays after all that could be tried, so that SDKs do not try it all over again.
    pub should_retry: bool,
    /// `server-timing: sidegate;dur=…`: the milliseconds that Sidegate itself added.
    pub timing: bool,
    /// `x-sidegate-cache`: what the cache had to do with the reply, such as `hit`, and `age` where it was stored; where a route has a cache.
    pub cache: bool,
    /// `cache-status`: the same in the form of RFC 9211, and why the cache was not asked.
    pub cache_status: bool,
    /// Whose limits replies tell of, in fields such as `x-ratelimit-remaining-requests`.
    pub rate_limits: RateLimits,
    /// `ratelimit-policy` and `ratelimit`: the caller's own limits in the form of the IETF's draft
    /// (draft-ietf-httpapi-ratelimit-headers). The draft may still change, so this is off by default.
    pub ietf_rate_limits: bool,
}

impl Default for Annotate {
    fn default() -> Self {
        Self {
            request_id: true,
            key: true,
            attempts: true,
            target: true,
            queue: true,
            should_retry: true,
            timing: true,
            cache: true,
            cache_status: false,
            rate_limits: RateLimits::default(),
            ietf_rate_limits: false,
        }
    }
}

/// Whose limits replies tell of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RateLimits {
    /// Those of `limits:` that apply to the caller. The provider's speak of the pool's accounts and are left out; they pass where
    /// there is nothing in `limits:` to tell of, and where the caller's own credentials go up.
    #[default]
    Own,
    /// The provider's, as they come.
    Provider,
    /// Nobody's: the provider's are left out, and none are added.
    Off,
}
