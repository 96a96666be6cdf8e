//! What a limit's refusal says: which limit, when to come back, and whether to come back at all.
//!
//! The SDKs that OpenAI, Anthropic and others build wait for `retry-after-ms`, else `retry-after`, and try twice by themselves.
//! Beyond 60 s most of them take the time for a mistake and come back within seconds; `x-should-retry: false` lets them raise at once.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER};

use super::Shape;
use crate::{
    pipeline::{
        fields::X_SIDEGATE_LIMIT,
        standing::{GoDuration, Standings, millis_up, seconds_up},
    },
    policy::limits::{Counting, Spec},
    types::{LimitName, Money, Unit},
};

/// The longest wait that SDKs keep to, in milliseconds.
const PATIENCE: u64 = 60_000;

/// What is added to a wait, in milliseconds: the timers of event loops may be early by as much.
const EARLY: u64 = 1;

/// When to try again where nobody knows when a place is free, in milliseconds: at once would be too early for what takes seconds, and
/// callers that were refused together shall not come back together.
const UNKNOWN: std::ops::RangeInclusive<u64> = 1_001..=1_999;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// Why a limit refuses a request.
#[derive(Clone, Debug)]
pub struct Limited {
    /// The limit that has to be waited for longest.
    pub limit: LimitName,
    /// Its numbers.
    pub spec: Spec,
    /// How long that is; `None` if no wait is long enough.
    pub wait: Option<Duration>,
    /// What is left of the caller's tightest limits.
    pub standings: Standings,
}

/// What the caller is advised to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Advice {
    /// Wait so long.
    Wait(Duration),
    /// Raise now. It would pass after so long, if that is known.
    GiveUp(Option<Duration>),
}

impl Limited {
    /// Its row in `docs/errors.md`.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let (status, code) = match self.spec.unit() {
            _ if self.never_passes() => (StatusCode::TOO_MANY_REQUESTS, "request_too_large_for_limit"),
            Unit::Requests | Unit::Tokens | Unit::Concurrent => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded"),
            Unit::Cost => (StatusCode::TOO_MANY_REQUESTS, "insufficient_quota"),
            Unit::FailedAuth => (StatusCode::TOO_MANY_REQUESTS, "too_many_failed_credentials"),
        };
        let final_answer = matches!(self.advice(), Advice::GiveUp(_));
        Shape { status, code, kind: self.kind(), final_answer, close: false }
    }

    /// OpenAI's words, where it has one: programs look at them.
    fn kind(&self) -> &'static str {
        match self.spec.unit() {
            Unit::Requests | Unit::Concurrent => "requests",
            Unit::Tokens => "tokens",
            Unit::Cost => "insufficient_quota",
            Unit::FailedAuth => "authentication_error",
        }
    }

    /// Whether the request is larger than the whole limit. A place among requests at the same time is never larger.
    fn never_passes(&self) -> bool {
        self.wait.is_none() && matches!(self.spec.unit(), Unit::Requests | Unit::Tokens | Unit::Cost)
    }

    fn advice(&self) -> Advice {
        match (self.spec.unit(), self.wait) {
            (Unit::Concurrent, _) => Advice::Wait(Duration::from_millis(fastrand::u64(UNKNOWN))),
            // The same credential fails again, however long its sender waits.
            (Unit::FailedAuth, wait) => Advice::GiveUp(wait),
            (_, Some(wait)) if in_millis(wait) <= PATIENCE => Advice::Wait(wait),
            (_, wait) => Advice::GiveUp(wait),
        }
    }

    /// For people. `Please try again in 7s.` is how OpenAI puts it, and some programs read it.
    pub(super) fn message(&self) -> String {
        let (limit, unit, allowed) = (&self.limit, self.spec.unit(), self.allowed());
        if self.never_passes() {
            let what = if unit == Unit::Tokens { "Ask for fewer tokens" } else { "Ask for less" };
            return format!("This request is larger than limit `{limit}` ({allowed}) ever lets through. {what}.");
        }
        let then = match (unit, self.wait) {
            (Unit::Concurrent, _) => "Please try again when one of them has ended".to_owned(),
            (_, None) => "Please try again later".to_owned(),
            (_, Some(wait)) => format!("Please try again in {}", GoDuration::of(Duration::from_secs(seconds_up(wait)))),
        };
        format!("Limit `{limit}` ({allowed}) is used up. {then}.")
    }

    /// The limit in words: `10 requests a minute`.
    fn allowed(&self) -> String {
        let amount = self.spec.amount();
        let plural = if amount == 1 { "" } else { "s" };
        let what = match self.spec.unit() {
            Unit::Requests | Unit::Concurrent => format!("{amount} request{plural}"),
            Unit::Tokens => format!("{amount} token{plural}"),
            Unit::Cost => format!("{} USD", Money(amount)),
            Unit::FailedAuth => format!("{amount} failed credential{plural}"),
        };
        let seconds = match self.spec.counting() {
            Counting::Permits => return format!("{what} at the same time"),
            Counting::Day => return format!("{what} a day"),
            Counting::Month => return format!("{what} a month"),
            Counting::Sliding(length) | Counting::Bucket(length) => length.as_secs(),
        };
        match seconds {
            1 => format!("{what} a second"),
            MINUTE => format!("{what} a minute"),
            HOUR => format!("{what} an hour"),
            _ if seconds.is_multiple_of(HOUR) => format!("{what} in {} hours", seconds / HOUR),
            _ if seconds.is_multiple_of(MINUTE) => format!("{what} in {} minutes", seconds / MINUTE),
            _ => format!("{what} in {seconds} seconds"),
        }
    }

    /// Adds when to come back, and the limit's name.
    pub(super) fn add(&self, headers: &mut HeaderMap) {
        if let Ok(name) = HeaderValue::from_str(self.limit.as_str()) {
            headers.insert(X_SIDEGATE_LIMIT, name);
        }
        let advice = self.advice();
        if let Advice::Wait(wait) | Advice::GiveUp(Some(wait)) = advice {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds_up(wait)));
        }
        if let Advice::Wait(wait) = advice {
            headers.insert("retry-after-ms", HeaderValue::from(in_millis(wait)));
        }
    }
}

/// The milliseconds after which the request passes, also by a timer that is early; but not so many for that alone that nobody waits.
fn in_millis(wait: Duration) -> u64 {
    let millis = millis_up(wait);
    if millis < PATIENCE { millis + EARLY } else { millis }
}

#[cfg(test)]
mod tests;
