//! The shapes of answers: JSON, errors of one form, and fields that hold for all of them.

use std::{borrow::Cow, time::Duration};

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS},
    },
    response::{IntoResponse, Json, Response},
};
use serde_json::{Value, json};

use crate::{
    pipeline::tell::on_the_calendar,
    telemetry::{access_log::Timestamp, durations::Summary},
    types::Moment,
};

/// Why a request is not answered with what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing is here.
    NoEndpoint,
    /// Something is, for another method.
    Method,
    /// The Host is a name that somebody may have registered.
    Host,
    /// A page of another origin asks for a change.
    Origin,
    /// A change needs the token.
    NoToken,
    /// This is not the token.
    WrongToken,
    /// Other machines can ask, and no token is set that would tell who may change something.
    Unguarded,
    /// No provider has such a key.
    NoKey,
    /// No provider of this name has breakers.
    NoProvider,
    /// No decision of a request with this id is kept.
    NoDecision,
    /// The query is none that the endpoint understands; for this reason.
    Query(&'static str),
    /// It could not be carried out.
    Failed,
}

impl Refusal {
    fn shape(self) -> (StatusCode, &'static str, Cow<'static, str>) {
        let (status, code, message) = match self {
            Self::NoEndpoint => (StatusCode::NOT_FOUND, "not_found", "There is no such endpoint; GET /openapi.json lists them all."),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This endpoint has another method: see Allow."),
            Self::Host => (StatusCode::FORBIDDEN, "host_not_allowed", "Ask by IP address, by localhost, or by a name without a dot."),
            Self::Origin => (StatusCode::FORBIDDEN, "origin_not_allowed", "A page of another origin may not change anything here."),
            Self::NoToken => {
                (StatusCode::UNAUTHORIZED, "token_required", "A change needs the token of `admin.token`: `Authorization: Bearer …`.")
            }
            Self::WrongToken => (StatusCode::UNAUTHORIZED, "token_wrong", "This is not the token of `admin.token`."),
            Self::Unguarded => (
                StatusCode::FORBIDDEN,
                "changes_need_token",
                "Other machines can reach this address, so nothing can be changed here without a token: set `admin.token` in the config.",
            ),
            Self::NoKey => (StatusCode::NOT_FOUND, "key_not_found", "No provider has this key; GET /keys lists them all."),
            Self::NoProvider => {
                (StatusCode::NOT_FOUND, "provider_not_found", "No provider of this name has breakers; GET /breakers lists them all.")
            }
            Self::NoDecision => (
                StatusCode::NOT_FOUND,
                "decision_not_found",
                "No request with this id is among the last that have ended; `log.decisions` in the config says how many are kept.",
            ),
            Self::Query(why) => (StatusCode::BAD_REQUEST, "query_wrong", why),
            Self::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "failed", "It could not be carried out; the log says why."),
        };
        (status, code, message.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, message) = self.shape();
        let mut response = (status, Json(json!({ "error": { "message": message, "code": code } }))).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"sidegate\""));
        }
        response
    }
}

/// No cache keeps an answer, no browser guesses what it is, and none runs anything in it, unless it says so itself.
pub async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// A number as it is told: to a thousandth.
#[must_use]
pub fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// Milliseconds, to the microsecond.
#[must_use]
pub fn millis(time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1e3)
}

/// A moment of the policies' clock, [`crate::types::Moment::nanos`], as RFC 3339.
#[must_use]
pub fn when(nanos: Option<u64>, now: Moment) -> Option<String> {
    nanos.map(|nanos| Timestamp(on_the_calendar(nanos, now)).to_string())
}

/// Mean and percentiles, all `null` where there was nothing.
#[must_use]
pub fn summary(summary: Option<Summary>) -> Value {
    let mean = summary.map(|summary| rounded(summary.mean));
    let [p50, p90, p95, p99] = std::array::from_fn(|at| summary.map(|summary| rounded(summary.percentiles[at])));
    json!({ "mean": mean, "p50": p50, "p90": p90, "p95": p95, "p99": p99 })
}
