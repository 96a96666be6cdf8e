//! What an account may ask for in a minute: a bucket of requests and one of tokens.

use std::{
    str::FromStr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The seconds for which a limit is said.
const MINUTE: f64 = 60.0;

/// What a bucket holds unless it is told otherwise: what comes in within a minute.
pub(super) const DEEP: Duration = Duration::from_secs(60);

/// How much an account may ask for; `None` is no end of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests a minute.
    pub requests: Option<u32>,
    /// Tokens a minute: those of the prompt and the most that the reply may have, as far as they are known before it.
    pub tokens: Option<u32>,
}

/// An account with limits of its own, as a flag says it: `large=10000/2000000`, requests and tokens a minute; `-` is no end of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The account's name, as its keys say it.
    pub account: String,
    /// What it may ask for.
    pub limits: Limits,
}

impl FromStr for Quota {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not NAME=REQUESTS/TOKENS a minute, such as `large=10000/2000000` or `small=60/-`");
        let (account, limits) =
            text.split_once('=').filter(|(account, _)| !account.is_empty() && !account.contains('-')).ok_or_else(wrong)?;
        let (requests, tokens) = limits.split_once('/').ok_or_else(wrong)?;
        let limit = |text: &str| match text {
            "-" => Ok(None),
            number => number.parse().ok().filter(|limit| *limit > 0).map(Some).ok_or_else(wrong),
        };
        Ok(Self { account: account.to_owned(), limits: Limits { requests: limit(requests)?, tokens: limit(tokens)? } })
    }
}

/// A bucket as a reply tells of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Level {
    /// What comes into it within a minute.
    pub(super) limit: u32,
    /// What is in it.
    pub(super) remaining: u32,
    /// Until it is full again.
    pub(super) reset: Duration,
}

/// Both buckets as a reply tells of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Levels {
    pub(super) requests: Level,
    pub(super) tokens: Level,
}

impl Levels {
    /// Those of an account that is never short of anything.
    pub(super) const AMPLE: Self = Self {
        requests: Level { limit: 10_000, remaining: 9_999, reset: Duration::from_millis(6) },
        tokens: Level { limit: 2_000_000, remaining: 1_999_000, reset: Duration::from_millis(30) },
    };
}

/// What a request is refused for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Refusal {
    /// Which bucket has too little: `requests` or `tokens`.
    pub(super) what: &'static str,
    /// Until it has enough. For more than it ever holds, until it is full.
    pub(super) wait: Duration,
}

/// The buckets of one account.
#[derive(Debug, Default)]
pub(super) struct Buckets(Mutex<Option<Fill>>);

#[derive(Clone, Copy, Debug)]
struct Fill {
    requests: f64,
    tokens: f64,
    at: Instant,
}

impl Buckets {
    /// Takes a request and its tokens, or neither. `depth` is the time within which an empty bucket is full.
    pub(super) fn take(&self, limits: Limits, depth: Duration, tokens: usize, now: Instant) -> (Levels, Result<(), Refusal>) {
        if limits == Limits::default() {
            return (Levels::AMPLE, Ok(()));
        }
        let (most_requests, most_tokens) = (full(limits.requests, depth), full(limits.tokens, depth));
        let mut fill = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = fill.unwrap_or(Fill { requests: most_requests, tokens: most_tokens, at: now });
        let passed = now.saturating_duration_since(before.at).as_secs_f64();
        let refilled = |level: f64, limit: Option<u32>, most: f64| limit.map_or(most, |limit| (level + passed * a_second(limit)).min(most));
        let requests = refilled(before.requests, limits.requests, most_requests);
        let tokens_left = refilled(before.tokens, limits.tokens, most_tokens);
        #[expect(clippy::cast_precision_loss, reason = "a count of tokens is far below 2⁵²")]
        let wanted = tokens as f64;
        let taken = if requests < 1.0 {
            Err(Refusal { what: "requests", wait: wait(1.0 - requests, limits.requests, most_requests) })
        } else if tokens_left < wanted {
            Err(Refusal { what: "tokens", wait: wait(wanted - tokens_left, limits.tokens, most_tokens) })
        } else {
            Ok(())
        };
        let (requests, tokens_left) = if taken.is_ok() { (requests - 1.0, tokens_left - wanted) } else { (requests, tokens_left) };
        *fill = Some(Fill { requests, tokens: tokens_left, at: now });
        let levels = Levels {
            requests: level(limits.requests, requests, most_requests, Levels::AMPLE.requests),
            tokens: level(limits.tokens, tokens_left, most_tokens, Levels::AMPLE.tokens),
        };
        (levels, taken)
    }
}

fn a_second(limit: u32) -> f64 {
    f64::from(limit) / MINUTE
}

/// What a bucket holds: at least one, else nothing would ever pass.
fn full(limit: Option<u32>, depth: Duration) -> f64 {
    limit.map_or(f64::INFINITY, |limit| (a_second(limit) * depth.as_secs_f64()).max(1.0))
}

fn wait(missing: f64, limit: Option<u32>, most: f64) -> Duration {
    limit.map_or(Duration::ZERO, |limit| Duration::from_secs_f64((missing.min(most) / a_second(limit)).max(0.001)))
}

fn level(limit: Option<u32>, remaining: f64, most: f64, ample: Level) -> Level {
    let Some(limit) = limit else { return ample };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 0 and a u32")]
    let whole = remaining.clamp(0.0, f64::from(u32::MAX)) as u32;
    Level { limit, remaining: whole, reset: Duration::from_secs_f64(((most - remaining) / a_second(limit)).max(0.0)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_what_it_holds_and_fills_within_a_minute() {
        let (buckets, start) = (Buckets::default(), Instant::now());
        let limits = Limits { requests: Some(2), tokens: None };
        let take = |seconds| buckets.take(limits, DEEP, 1_000_000, start + Duration::from_secs(seconds));
        assert_eq!((take(0).1, take(0).1), (Ok(()), Ok(())));
        let (levels, refused) = take(0);
        assert_eq!(refused, Err(Refusal { what: "requests", wait: Duration::from_secs(30) }));
        assert_eq!(levels.requests, Level { limit: 2, remaining: 0, reset: Duration::from_secs(60) });
        assert!(take(29).1.is_err() && take(30).1.is_ok() && take(31).1.is_err());
    }

    #[test]
    fn a_shallow_bucket_holds_less_and_fills_at_the_same_pace() {
        let (buckets, start) = (Buckets::default(), Instant::now());
        let limits = Limits { requests: Some(60), tokens: None };
        let take = |milliseconds| buckets.take(limits, Duration::from_secs(5), 0, start + Duration::from_millis(milliseconds));
        let (levels, _) = take(0);
        assert_eq!(levels.requests, Level { limit: 60, remaining: 4, reset: Duration::from_secs(1) });
        assert!((0..4).all(|_| take(0).1.is_ok()) && take(0).1.is_err());
        assert!(take(999).1.is_err() && take(1_000).1.is_ok() && take(1_001).1.is_err());
    }

    #[test]
    fn a_bucket_that_is_too_shallow_for_one_request_holds_one() {
        let (buckets, start) = (Buckets::default(), Instant::now());
        let limits = Limits { requests: Some(6), tokens: None };
        let take = |seconds| buckets.take(limits, Duration::from_secs(1), 0, start + Duration::from_secs(seconds)).1;
        assert!(take(0).is_ok() && take(9).is_err() && take(10).is_ok());
    }

    #[test]
    fn an_account_and_its_limits_are_read_as_they_are_written() {
        let quota = |text: &str| text.parse::<Quota>().map(|quota| (quota.account, quota.limits.requests, quota.limits.tokens));
        assert_eq!(quota("large=10000/2000000"), Ok(("large".to_owned(), Some(10_000), Some(2_000_000))));
        assert_eq!(quota("small=60/-"), Ok(("small".to_owned(), Some(60), None)));
        for text in ["", "small", "small=60", "small=0/60", "=60/60", "a-b=60/60", "small=60/-1", "small=x/y"] {
            assert!(quota(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_refusal_for_tokens_costs_no_request() {
        let (buckets, now) = (Buckets::default(), Instant::now());
        let limits = Limits { requests: Some(1), tokens: Some(100) };
        assert_eq!(buckets.take(limits, DEEP, 101, now).1.unwrap_err().what, "tokens");
        let (levels, taken) = buckets.take(limits, DEEP, 100, now);
        assert_eq!((taken, levels.requests.remaining, levels.tokens.remaining), (Ok(()), 0, 0));
    }
}
