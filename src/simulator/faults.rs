//! What goes wrong, by model name: the one place where a fault is defined.

use std::fmt;

use http::StatusCode;

use super::{
    body::{BrokenOff, Ending},
    error::{ApiError, INVALID_REQUEST},
};

/// A model that misbehaves, at whichever endpoint it is asked for.
#[derive(Debug)]
pub struct Fault {
    /// The model's name.
    pub model: &'static str,
    /// What happens, in a few words.
    pub effect: &'static str,
    pub(super) kind: Kind,
}

/// What a fault does to a reply.
#[derive(Debug)]
pub(super) enum Kind {
    /// An error instead of a reply.
    Error(ApiError),
    /// An error and a reply by turns, the error first.
    ByTurns(ApiError),
    /// No reply at all.
    Hang,
    /// A reply that does not end as it should.
    Ends(Ending),
    /// Everything takes so many times as long.
    Slow(u32),
}

/// Every fault there is.
pub static FAULTS: [Fault; 14] = [
    Fault {
        model: "fault-400",
        effect: "400 context_length_exceeded",
        kind: Kind::Error(ApiError::fixed(
            StatusCode::BAD_REQUEST,
            INVALID_REQUEST,
            Some("context_length_exceeded"),
            "The prompt is longer than this model's context.",
            &[],
        )),
    },
    Fault {
        model: "fault-401",
        effect: "401 invalid_api_key",
        kind: Kind::Error(ApiError::fixed(
            StatusCode::UNAUTHORIZED,
            INVALID_REQUEST,
            Some("invalid_api_key"),
            "This API key is not valid.",
            &[("www-authenticate", "Bearer realm=\"simulator\"")],
        )),
    },
    Fault {
        model: "fault-403",
        effect: "403 unsupported_country_region_territory",
        kind: Kind::Error(ApiError::fixed(
            StatusCode::FORBIDDEN,
            "request_forbidden",
            Some("unsupported_country_region_territory"),
            "This country, region or territory is not served.",
            &[],
        )),
    },
    Fault {
        model: "fault-404",
        effect: "404 model_not_found",
        kind: Kind::Error(ApiError::fixed(
            StatusCode::NOT_FOUND,
            INVALID_REQUEST,
            Some("model_not_found"),
            "The model `fault-404` does not exist.",
            &[],
        )),
    },
    Fault {
        model: "fault-429",
        effect: "429 rate_limit_exceeded, with Retry-After: 1 and retry-after-ms: 250",
        kind: Kind::Error(ApiError::fixed(
            StatusCode::TOO_MANY_REQUESTS,
            "requests",
            Some("rate_limit_exceeded"),
            "The limit on requests a minute is reached. Try again in 250ms.",
            &[
                ("retry-after", "1"),
                ("retry-after-ms", "250"),
                ("x-ratelimit-remaining-requests", "0"),
                ("x-ratelimit-reset-requests", "250ms"),
            ],
        )),
    },
    Fault {
        model: "fault-quota",
        effect: "429 insufficient_quota, without Retry-After: waiting does not help",
        kind: Kind::Error(ApiError::fixed(
            StatusCode::TOO_MANY_REQUESTS,
            "insufficient_quota",
            Some("insufficient_quota"),
            "The account's quota is used up. Waiting does not bring it back.",
            &[],
        )),
    },
    Fault {
        model: "fault-500",
        effect: "500 server_error",
        kind: Kind::Error(ApiError::fixed(
            StatusCode::INTERNAL_SERVER_ERROR,
            "server_error",
            None,
            "The server had an error while it processed the request.",
            &[],
        )),
    },
    Fault { model: "fault-503", effect: "503 server_is_overloaded, with Retry-After: 1", kind: Kind::Error(OVERLOADED) },
    Fault { model: "fault-flaky", effect: "503 server_is_overloaded and a good reply by turns", kind: Kind::ByTurns(OVERLOADED) },
    Fault { model: "fault-hang", effect: "never answers", kind: Kind::Hang },
    Fault {
        model: "fault-reset",
        effect: "half a reply, then the connection is reset",
        kind: Kind::Ends(Ending::BrokenOff(BrokenOff::Reset)),
    },
    Fault {
        model: "fault-truncated",
        effect: "half a reply, then the connection is closed before the last chunk",
        kind: Kind::Ends(Ending::BrokenOff(BrokenOff::Truncated)),
    },
    Fault {
        model: "fault-unfinished",
        effect: "half a reply and a proper end of the body: no finish_reason, no [DONE]",
        kind: Kind::Ends(Ending::Unfinished),
    },
    Fault { model: "fault-slow", effect: "the first token and every other one take 20 times as long", kind: Kind::Slow(20) },
];

/// What an overloaded provider says.
const OVERLOADED: ApiError = ApiError::fixed(
    StatusCode::SERVICE_UNAVAILABLE,
    "service_unavailable_error",
    Some("server_is_overloaded"),
    "The server is overloaded. Try again later.",
    &[("retry-after", "1"), ("retry-after-ms", "250")],
);

impl Fault {
    /// The fault of that name.
    pub(super) fn of(model: &str) -> Option<&'static Self> {
        FAULTS.iter().find(|fault| fault.model == model)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<18}{}", self.model, self.effect)
    }
}

/// The table for a terminal, a fault a line.
#[must_use]
pub fn table() -> String {
    FAULTS.iter().map(|fault| format!("  {fault}\n")).collect()
}
