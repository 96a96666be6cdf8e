//! What an account may ask for in a minute: a bucket of requests and one of tokens.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The seconds that a bucket takes from empty to full.
const MINUTE: f64 = 60.0;

/// How much an account may ask for; `None` is no end of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests a minute.
    pub requests: Option<u32>,
    /// Tokens a minute: those of the prompt and the most that the reply may have, as far as they are known before it.
    pub tokens: Option<u32>,
}

/// A bucket as a reply tells of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Level {
    /// What it holds when it is full.
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
    /// Takes a request and its tokens, or neither.
    pub(super) fn take(&self, limits: Limits, tokens: usize, now: Instant) -> (Levels, Result<(), Refusal>) {
        if limits == Limits::default() {
            return (Levels::AMPLE, Ok(()));
        }
        let full = |limit: Option<u32>| limit.map_or(f64::INFINITY, f64::from);
        let (most_requests, most_tokens) = (full(limits.requests), full(limits.tokens));
        let mut fill = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = fill.unwrap_or(Fill { requests: most_requests, tokens: most_tokens, at: now });
        let passed = now.saturating_duration_since(before.at).as_secs_f64() / MINUTE;
        let refilled = |level: f64, most: f64| if most.is_finite() { (level + passed * most).min(most) } else { most };
        let (requests, tokens_left) = (refilled(before.requests, most_requests), refilled(before.tokens, most_tokens));
        #[expect(clippy::cast_precision_loss, reason = "a count of tokens is far below 2⁵²")]
        let wanted = tokens as f64;
        let wait = |missing: f64, most: f64| Duration::from_secs_f64((missing.min(most) / most * MINUTE).max(0.001));
        let taken = if requests < 1.0 {
            Err(Refusal { what: "requests", wait: wait(1.0 - requests, most_requests) })
        } else if tokens_left < wanted {
            Err(Refusal { what: "tokens", wait: wait(wanted - tokens_left, most_tokens) })
        } else {
            Ok(())
        };
        let (requests, tokens_left) = if taken.is_ok() { (requests - 1.0, tokens_left - wanted) } else { (requests, tokens_left) };
        *fill = Some(Fill { requests, tokens: tokens_left, at: now });
        let levels = Levels {
            requests: level(limits.requests, requests, Levels::AMPLE.requests),
            tokens: level(limits.tokens, tokens_left, Levels::AMPLE.tokens),
        };
        (levels, taken)
    }
}

fn level(limit: Option<u32>, remaining: f64, ample: Level) -> Level {
    let Some(limit) = limit else { return ample };
    let most = f64::from(limit);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 0 and a u32")]
    let whole = remaining.clamp(0.0, most) as u32;
    Level { limit, remaining: whole, reset: Duration::from_secs_f64(((most - remaining) / most * MINUTE).max(0.0)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_what_it_holds_and_fills_within_a_minute() {
        let (buckets, start) = (Buckets::default(), Instant::now());
        let limits = Limits { requests: Some(2), tokens: None };
        let take = |seconds| buckets.take(limits, 1_000_000, start + Duration::from_secs(seconds));
        assert_eq!((take(0).1, take(0).1), (Ok(()), Ok(())));
        let (levels, refused) = take(0);
        assert_eq!(refused, Err(Refusal { what: "requests", wait: Duration::from_secs(30) }));
        assert_eq!(levels.requests, Level { limit: 2, remaining: 0, reset: Duration::from_secs(60) });
        assert!(take(29).1.is_err() && take(30).1.is_ok() && take(31).1.is_err());
    }

    #[test]
    fn a_refusal_for_tokens_costs_no_request() {
        let (buckets, now) = (Buckets::default(), Instant::now());
        let limits = Limits { requests: Some(1), tokens: Some(100) };
        assert_eq!(buckets.take(limits, 101, now).1.unwrap_err().what, "tokens");
        let (levels, taken) = buckets.take(limits, 100, now);
        assert_eq!((taken, levels.requests.remaining, levels.tokens.remaining), (Ok(()), 0, 0));
    }
}
