//! What a caller is told of its own limits: OpenAI's `x-ratelimit-…` fields, the IETF's where they are asked for; and
//! whether the provider's own go down beside them or are left out.

mod go_duration;

use std::{fmt::Write, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};

pub use self::go_duration::{GoDuration, millis, millis_up, seconds_up};
use crate::{
    config::{Annotate, RateLimits},
    policy::limits::{Counting, Spec, Standing},
    runtime::{Snapshot, limits::Rule},
    types::{LimitName, Unit},
};

/// What is left of a limit.
#[derive(Clone, Debug)]
pub struct Left {
    /// The limit.
    pub limit: LimitName,
    /// Its numbers.
    pub spec: Spec,
    /// What is left of it.
    pub standing: Standing,
}

/// The caller's tightest limits.
#[derive(Clone, Debug, Default)]
pub struct Standings {
    /// Of those that count requests.
    pub requests: Option<Left>,
    /// Of those that count tokens.
    pub tokens: Option<Left>,
}

/// The most fields that are added here: three for each unit, and the IETF's two.
pub const FIELDS: usize = 8;

/// The largest whole number of a structured field (RFC 9651 §3.3.1).
const LARGEST: u64 = 999_999_999_999_999;

/// OpenAI's fields of one unit: limit, remaining, reset.
static REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
static TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

impl Standings {
    /// Takes in what is left of another limit.
    pub(super) fn add(&mut self, left: Left) {
        let place = match left.spec.unit() {
            Unit::Requests => &mut self.requests,
            Unit::Tokens => &mut self.tokens,
            Unit::Concurrent | Unit::Cost | Unit::FailedAuth => return,
        };
        if place.as_ref().is_none_or(|tightest| left.standing.is_tighter_than(&tightest.standing)) {
            *place = Some(left);
        }
    }

    /// Takes in what another step has found.
    pub fn join(&mut self, other: Self) {
        [other.requests, other.tokens].into_iter().flatten().for_each(|left| self.add(left));
    }

    /// Whether no limit applied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_none() && self.tokens.is_none()
    }

    /// Adds them to a head, as far as the config lets it: at most [`FIELDS`] fields. Where the provider's pass, a unit of which they
    /// tell keeps what stands there.
    pub fn tell(&self, headers: &mut HeaderMap, how: Annotate, provider_is_told: bool) {
        if how.rate_limits == RateLimits::Own {
            for (names, left) in [(&REQUESTS, &self.requests), (&TOKENS, &self.tokens)] {
                let is_taken = || provider_is_told && names.iter().any(|name| headers.contains_key(name));
                if let Some(Left { standing, .. }) = left.as_ref().filter(|_| !is_taken()) {
                    let [limit, remaining, reset] = names;
                    headers.insert(limit, HeaderValue::from(standing.limit));
                    headers.insert(remaining, HeaderValue::from(standing.remaining));
                    headers.insert(reset, go(standing.reset));
                }
            }
        }
        if how.ietf_rate_limits && !self.is_empty() {
            self.tell_as_the_ietf(headers);
        }
    }

    /// `"free";q=10;w=60` and `"free";r=3;t=13`: lists of structured fields (draft-ietf-httpapi-ratelimit-headers §3, §4).
    fn tell_as_the_ietf(&self, headers: &mut HeaderMap) {
        let (mut policies, mut left) = (String::new(), String::new());
        // A limit may count both, and a policy's name stands for one.
        let is_one = |limit: &LimitName| self.requests.as_ref().is_some_and(|requests| requests.limit == *limit);
        for Left { limit, spec, standing } in self.requests.iter().chain(&self.tokens) {
            let unit = if spec.unit() == Unit::Tokens && is_one(limit) { ":tokens" } else { "" };
            let between = if policies.is_empty() { "" } else { ", " };
            // Writing to a text can't fail, and a name needs no escapes.
            let _ = write!(policies, "{between}\"{limit}{unit}\";q={}", spec.amount().min(LARGEST));
            if let Some(window) = window(spec) {
                let _ = write!(policies, ";w={}", window.min(LARGEST));
            }
            if spec.unit() == Unit::Tokens {
                policies.push_str(";qu=\"tokens\"");
            }
            let _ = write!(left, "{between}\"{limit}{unit}\";r={}", standing.remaining.min(LARGEST));
            if !standing.more.is_zero() {
                let _ = write!(left, ";t={}", millis(standing.more).div_ceil(1_000).min(LARGEST));
            }
        }
        for (name, text) in [(POLICY, policies), (RATELIMIT, left)] {
            // Behind the provider's, where those pass: both are members of one list.
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.append(name, value);
            }
        }
    }
}

/// Whether the provider's own fields go down with its reply: they speak of the pool's accounts, unless the caller's own credential
/// went up.
#[must_use]
pub fn provider_is_told(snapshot: &Snapshot, by_pool: bool) -> bool {
    match snapshot.annotate.rate_limits {
        RateLimits::Provider => true,
        RateLimits::Off => false,
        RateLimits::Own => !by_pool || !snapshot.limits.first.iter().chain(&snapshot.limits.second).any(is_told),
    }
}

/// Whether callers are told how they stand with a limit: a shadow refuses nobody, and for the rest there are no fields.
fn is_told(rule: &Rule) -> bool {
    !rule.shadow && matches!(rule.spec.unit(), Unit::Requests | Unit::Tokens)
}

/// Seconds of a limit's window, if they are always as many.
fn window(spec: &Spec) -> Option<u64> {
    match spec.counting() {
        Counting::Sliding(length) | Counting::Bucket(length) => Some(seconds_up(length)),
        Counting::Day => Some(24 * 60 * 60),
        Counting::Month | Counting::Permits => None,
    }
}

fn go(duration: Duration) -> HeaderValue {
    // invariant: letters, digits and points.
    HeaderValue::from_bytes(GoDuration::of(duration).as_bytes()).unwrap_or(HeaderValue::from_static("0s"))
}

#[cfg(test)]
mod tests;
