//! A reply's head: its status, and the fields that each dialect sends with it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use serde_json::Value;

use super::{
    body::{Body, Ending},
    error::{ApiError, Fields},
    exchange::Exchange,
    limits::{Level, Levels},
    pace::Pace,
    script::{EVENTS, Script},
};
use crate::types::{Dialect, RequestFormat};

/// How a reply is sent.
pub(super) struct Reply {
    dialect: Dialect,
    status: StatusCode,
    fields: Fields,
    retry: Option<Duration>,
    levels: Levels,
    request_id: String,
    pub(super) script: Script,
    pub(super) pace: Pace,
    ending: Ending,
}

impl Reply {
    /// A good reply.
    pub(super) fn new(dialect: Dialect, script: Script, (pace, ending): (Pace, Ending)) -> Self {
        let request_id = request_id(dialect);
        let (status, fields, retry, levels) = (StatusCode::OK, &[], None, Levels::AMPLE);
        Self { dialect, status, fields, retry, levels, request_id, script, pace, ending }
    }

    /// A good reply that nothing delays.
    pub(super) fn at_once(dialect: Dialect, script: Script) -> Self {
        Self::new(dialect, script, (Pace::AT_ONCE, Ending::Clean))
    }

    /// An error, in the dialect's words. `wrapped` is Gemini's way of putting it into a list.
    pub(super) fn error(dialect: Dialect, error: &ApiError, wrapped: bool) -> Self {
        let mut reply = Self::at_once(dialect, Script::at_once(&Value::Null));
        let json = error.json(dialect, &reply.request_id);
        reply.script = Script::at_once(&if wrapped { vec![json].into() } else { json });
        (reply.status, reply.retry) = (error.status(dialect), error.retry);
        if dialect.request_format() == RequestFormat::Openai {
            reply.fields = error.fields;
        }
        reply
    }

    /// With the levels of the account's buckets.
    pub(super) fn at(self, levels: Levels) -> Self {
        Self { levels, ..self }
    }

    /// The reply as it goes out, its body with the exchange in it.
    pub(super) fn respond(self, mut exchange: Exchange) -> Response<Body> {
        let headers = self.headers(&exchange);
        let Self { status, script, pace, ending, .. } = self;
        let stream = matches!(script, Script::Stream { .. });
        exchange.note(|seen| (seen.status, seen.stream) = (Some(status), stream));
        let mut response = Response::new(Body::new(script, pace, ending, exchange));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    fn headers(&self, exchange: &Exchange) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(24);
        let (Script::Whole { content_type, .. } | Script::Stream { content_type, .. }) = self.script;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if content_type == EVENTS {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        let milliseconds = HeaderValue::from(u64::try_from(exchange.elapsed().as_millis()).unwrap_or(u64::MAX));
        match self.dialect {
            Dialect::Openai | Dialect::Groq | Dialect::Deepseek | Dialect::Mistral | Dialect::Openrouter | Dialect::Vllm => {
                headers.insert("openai-organization", HeaderValue::from_static("simulated"));
                headers.insert("openai-version", HeaderValue::from_static("2020-10-01"));
                headers.insert("openai-processing-ms", milliseconds);
                rate_fields(&mut headers, &self.levels, go_duration);
            }
            Dialect::Azure => {
                headers.insert("x-ms-region", HeaderValue::from_static("Simulated"));
                rate_fields(&mut headers, &self.levels, |reset| seconds(reset).to_string());
            }
            Dialect::Anthropic => {
                headers.insert("anthropic-organization-id", HeaderValue::from_static("simulated"));
                anthropic_rate_fields(&mut headers, &self.levels);
            }
            Dialect::Gemini => {
                headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
            }
        }
        for (name, value) in self.fields {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        if let Some(wait) = self.retry {
            retry_fields(&mut headers, self.dialect, wait);
        }
        insert(&mut headers, if self.dialect == Dialect::Anthropic { "request-id" } else { "x-request-id" }, self.request_id.clone());
        headers
    }
}

/// The only thing in a reply, beside times, that no seed decides: it must tell equal requests apart.
fn request_id(dialect: Dialect) -> String {
    let number = fastrand::u64(..);
    match dialect {
        Dialect::Azure => format!("{:08x}-0000-4000-8000-{:012x}", number >> 32, number & 0xffff_ffff_ffff),
        Dialect::Openai
        | Dialect::Anthropic
        | Dialect::Gemini
        | Dialect::Groq
        | Dialect::Deepseek
        | Dialect::Mistral
        | Dialect::Openrouter
        | Dialect::Vllm => format!("req_{number:016x}"),
    }
}

/// `x-ratelimit-*`, by OpenAI's names; Azure differs in how it writes the reset.
fn rate_fields(headers: &mut HeaderMap, levels: &Levels, reset: impl Fn(Duration) -> String) {
    let names = [
        ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
        ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
    ];
    for ([limit, remaining, until], level) in names.into_iter().zip([levels.requests, levels.tokens]) {
        headers.insert(limit, HeaderValue::from(level.limit));
        headers.insert(remaining, HeaderValue::from(level.remaining));
        insert(headers, until, reset(level.reset));
    }
}

/// `anthropic-ratelimit-*`. One bucket holds tokens of both directions here, so three rows tell the same.
fn anthropic_rate_fields(headers: &mut HeaderMap, levels: &Levels) {
    let rows =
        [("requests", levels.requests), ("tokens", levels.tokens), ("input-tokens", levels.tokens), ("output-tokens", levels.tokens)];
    for (what, Level { limit, remaining, reset }) in rows {
        let until = rfc3339(SystemTime::now() + reset);
        for (word, value) in [("limit", limit.to_string()), ("remaining", remaining.to_string()), ("reset", until)] {
            if let Ok(name) = HeaderName::try_from(format!("anthropic-ratelimit-{what}-{word}")) {
                insert(headers, name, value);
            }
        }
    }
}

/// When to come again. Google says it in the body alone, Anthropic in whole seconds alone.
fn retry_fields(headers: &mut HeaderMap, dialect: Dialect, wait: Duration) {
    if dialect == Dialect::Gemini {
        return;
    }
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds(wait)));
    if dialect != Dialect::Anthropic {
        headers.insert("retry-after-ms", HeaderValue::from(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)));
    }
}

fn insert(headers: &mut HeaderMap, name: impl http::header::IntoHeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// Whole seconds, none of them too early.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// A duration as Go prints it, to the millisecond: `12ms`, `1s`, `6m0s`, `1h2m3.5s`.
fn go_duration(time: Duration) -> String {
    let (whole, milliseconds) = (time.as_secs(), time.subsec_millis());
    let fraction = if milliseconds == 0 { String::new() } else { format!(".{milliseconds:03}").trim_end_matches('0').to_owned() };
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, 0) if milliseconds > 0 => format!("{milliseconds}ms"),
        (0, 0, seconds) => format!("{seconds}{fraction}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}{fraction}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

/// A time of RFC 3339, to the second: `2026-01-31T23:59:59Z`.
fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Eras of 400 years, from 1 March of the year 0: leap days come last in each year, month, and era.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (date, month, carry) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 }, u64::from(month >= 10));
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z", era * 400 + year + carry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (milliseconds, text) in
            [(0, "0s"), (12, "12ms"), (1_000, "1s"), (1_250, "1.25s"), (360_000, "6m0s"), (3_723_500, "1h2m3.5s"), (7_659, "7.659s")]
        {
            assert_eq!(go_duration(Duration::from_millis(milliseconds)), text);
        }
    }

    #[test]
    fn times_are_written_as_the_rfc_has_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_772_323_200, "2026-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
