//! What goes wrong, by model name: the one place where a fault is defined.

use std::{fmt, str::FromStr, time::Duration};

use http::StatusCode;

use super::{
    body::{BrokenOff, Ending},
    error::{ApiError, INVALID_REQUEST, NO_QUOTA},
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
pub static FAULTS: [Fault; 17] = [
    Fault {
        model: "fault-400",
        effect: "400 context_length_exceeded",
        kind: Kind::Error(ApiError::fixed(
            StatusCode::BAD_REQUEST,
            INVALID_REQUEST,
            Some("context_length_exceeded"),
            "The prompt is longer than this model's context.",
        )),
    },
    Fault {
        model: "fault-401",
        effect: "401 invalid_api_key",
        kind: Kind::Error(
            ApiError::fixed(StatusCode::UNAUTHORIZED, INVALID_REQUEST, Some("invalid_api_key"), "This API key is not valid.")
                .with(&[("www-authenticate", "Bearer realm=\"simulator\"")]),
        ),
    },
    Fault {
        model: "fault-403",
        effect: "403 unsupported_country_region_territory",
        kind: Kind::Error(ApiError::fixed(
            StatusCode::FORBIDDEN,
            "request_forbidden",
            Some("unsupported_country_region_territory"),
            "This country, region or territory is not served.",
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
        )),
    },
    Fault {
        model: "fault-413",
        effect: "413 request_too_large",
        kind: Kind::Error(ApiError::fixed(
            StatusCode::PAYLOAD_TOO_LARGE,
            INVALID_REQUEST,
            Some("request_too_large"),
            "The request is larger than this model takes.",
        )),
    },
    Fault {
        model: "fault-422",
        effect: "422 unprocessable_entity",
        kind: Kind::Error(ApiError::fixed(
            StatusCode::UNPROCESSABLE_ENTITY,
            INVALID_REQUEST,
            Some("unprocessable_entity"),
            "The request is well-formed, and this model can do nothing with it.",
        )),
    },
    Fault {
        model: "fault-429",
        effect: "429 rate_limit_exceeded, with Retry-After: 1 and retry-after-ms: 250",
        kind: Kind::Error(
            ApiError::fixed(
                StatusCode::TOO_MANY_REQUESTS,
                "requests",
                Some("rate_limit_exceeded"),
                "The limit on requests a minute is reached. Try again in 250ms.",
            )
            .after(BRIEFLY)
            .with(&[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "250ms")]),
        ),
    },
    Fault {
        model: "fault-quota",
        effect: "429 insufficient_quota, without Retry-After: waiting does not help",
        kind: Kind::Error(ApiError::fixed(
            StatusCode::TOO_MANY_REQUESTS,
            NO_QUOTA,
            Some(NO_QUOTA),
            "The account's quota is used up. Waiting does not bring it back.",
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
    Fault { model: "fault-stall", effect: "half a reply, then nothing more", kind: Kind::Ends(Ending::Stalled) },
    Fault { model: "fault-slow", effect: "the first token and every other one take 20 times as long", kind: Kind::Slow(20) },
];

/// What an overloaded provider says.
const OVERLOADED: ApiError = ApiError::fixed(
    StatusCode::SERVICE_UNAVAILABLE,
    "service_unavailable_error",
    Some("server_is_overloaded"),
    "The server is overloaded. Try again later.",
)
.after(BRIEFLY);

/// When a fault that passes is worth another try.
const BRIEFLY: Duration = Duration::from_millis(250);

/// How often a fault comes by itself, whatever the model: `error-500=2%`, `reset=0.01`.
#[derive(Clone, Debug)]
pub struct Rate {
    /// What goes wrong.
    pub fault: &'static Fault,
    /// How often, from 0 to 1.
    pub share: f64,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, share) = text.split_once('=').ok_or_else(|| format!("`{text}` is not KIND=RATE, such as `error-500=2%`"))?;
        let fault = Fault::named(kind)?;
        let (number, whole) = share.strip_suffix('%').map_or((share, 1.0), |number| (number, 100.0));
        let share = number.parse().ok().map(|number: f64| number / whole).filter(|share| (0.0..=1.0).contains(share));
        Ok(Self { fault, share: share.ok_or_else(|| format!("`{text}`: a rate lies between 0% and 100%"))? })
    }
}

/// The fault that meets the n-th request, if any: the same one for the same seed.
pub(super) fn chance(rates: &[Rate], seed: u64, n: u64) -> Option<&'static Fault> {
    if rates.is_empty() {
        return None;
    }
    // An odd factor keeps neighbours apart, else their first throws would resemble each other.
    let mut left = fastrand::Rng::with_seed(seed ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).f64();
    rates.iter().find_map(|rate| {
        let hit = left < rate.share;
        left -= rate.share;
        hit.then_some(rate.fault)
    })
}

/// How every name here begins.
const PREFIX: &str = "fault-";

impl Fault {
    /// The fault of that name.
    pub(super) fn of(model: &str) -> Option<&'static Self> {
        FAULTS.iter().find(|fault| fault.model == model)
    }

    /// The fault that `--fault` and the admin path call so: `500`, `error-500`, `hang`.
    pub(super) fn named(name: &str) -> Result<&'static Self, String> {
        let name = name.strip_prefix("error-").unwrap_or(name);
        FAULTS.iter().find(|fault| fault.model.strip_prefix(PREFIX) == Some(name)).ok_or_else(|| {
            let known: Vec<&str> = FAULTS.iter().filter_map(|fault| fault.model.strip_prefix(PREFIX)).collect();
            format!("`{name}` is no fault; known are {}", known.join(", "))
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_it_is_written() {
        let rate = |text: &str| text.parse::<Rate>().map(|rate| (rate.fault.model, rate.share));
        assert_eq!(rate("error-500=2%"), Ok(("fault-500", 0.02)));
        assert_eq!(rate("reset=0.25"), Ok(("fault-reset", 0.25)));
        assert!(rate("unheard-of=1%").unwrap_err().contains("reset, truncated"));
        for text in ["reset", "reset=", "reset=-1%", "reset=101%", "reset=NaN", "=1%"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn faults_come_as_often_as_they_should_and_the_same_ones_for_the_same_seed() {
        let rates: Vec<Rate> = ["500=10%", "reset=5%"].iter().map(|text| text.parse().unwrap()).collect();
        let drawn = |seed| (0..10_000).map(|n| chance(&rates, seed, n).map(|fault| fault.model)).collect::<Vec<_>>();
        let count = |model| drawn(1).iter().filter(|fault| **fault == Some(model)).count();
        assert!((800..1_200).contains(&count("fault-500")) && (350..650).contains(&count("fault-reset")));
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }
}
