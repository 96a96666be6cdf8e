//! What one key has lived through: counted where requests end, read by the admin listener and the metrics.
//!
//! It belongs to the key, not to a generation of the config. All counts are relaxed atomics: each is exact, and two that
//! are read together may be a request apart.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use http::StatusCode;

use super::{causes::Causes, occurrences::Occurrences};
use crate::types::Cause;

/// How much of the running mean a new first byte replaces: one in so many.
const SMOOTHING: u64 = 8;

/// What went wrong with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The provider's reply says so.
    Status(StatusCode),
    /// There was no reply, or it broke off; the word is the one of the logs.
    Failure(&'static str),
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "http_{}", status.as_u16()),
            Self::Failure(word) => f.write_str(word),
        }
    }
}

/// The last error of a key, and when it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastError {
    /// What went wrong.
    pub class: ErrorClass,
    /// When.
    pub at: SystemTime,
}

/// How one attempt came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A whole reply with this status.
    Answered(StatusCode),
    /// A reply with this status that broke off, for this reason.
    BrokeOff(StatusCode, &'static str),
    /// No reply, for this reason.
    Failed(&'static str),
    /// The client left, or spoilt its own upload, before a reply had begun: nobody upstream is to blame.
    Left,
}

impl Outcome {
    /// What speaks against the key or its provider. A caller's mistake (400, 404, 422 …) does not.
    #[must_use]
    pub fn error(self) -> Option<ErrorClass> {
        match self {
            Self::Answered(status) => blames(status).then_some(ErrorClass::Status(status)),
            Self::BrokeOff(_, reason) | Self::Failed(reason) => Some(ErrorClass::Failure(reason)),
            Self::Left => None,
        }
    }
}

/// Whether a status speaks against the key or its provider: a credential, payment or quota problem, or 5xx.
fn blames(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 402 | 403 | 429) || status.is_server_error() || status.as_u16() > 599
}

/// The record of one key.
#[derive(Debug, Default)]
pub struct KeyRecord {
    statuses: [AtomicU64; 4],
    failures: AtomicU64,
    left: AtomicU64,
    errors: AtomicU64,
    /// Microseconds; 0 before the first.
    first_byte: AtomicU64,
    tokens: [AtomicU64; 2],
    /// Locked when something went wrong, and never else.
    last_error: Mutex<Option<LastError>>,
    moved: Occurrences<2>,
    cooldowns: Causes,
}

impl KeyRecord {
    /// The head of a reply came, so long after the request was sent.
    pub fn first_byte(&self, after: Duration) {
        let new = u64::try_from(after.as_micros()).unwrap_or(u64::MAX >> 4).max(1);
        let old = self.first_byte.load(Relaxed);
        // Of two workers that do this at once, one is forgotten: it is a mean, not a count.
        let mean = if old == 0 { new } else { (old * (SMOOTHING - 1) + new) / SMOOTHING };
        self.first_byte.store(mean.max(1), Relaxed);
    }

    /// An attempt with this key is over. The clock is asked only if something went wrong.
    pub fn ended(&self, outcome: Outcome, now: impl FnOnce() -> SystemTime) {
        match outcome {
            Outcome::Answered(status) | Outcome::BrokeOff(status, _) => &self.statuses[class(status.as_u16())],
            Outcome::Failed(_) => &self.failures,
            Outcome::Left => &self.left,
        }
        .fetch_add(1, Relaxed);
        if let Some(class) = outcome.error() {
            self.errors.fetch_add(1, Relaxed);
            *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(LastError { class, at: now() });
        }
    }

    /// A reply told its usage.
    pub fn used(&self, tokens_in: u64, tokens_out: u64) {
        self.tokens[0].fetch_add(tokens_in, Relaxed);
        self.tokens[1].fetch_add(tokens_out, Relaxed);
    }

    /// It came to this state, in the word of the policy, for this cause.
    pub fn moved(&self, to: &'static str, cause: Cause) {
        self.moved.add([to, cause.name()]);
    }

    /// Its account is not asked for a model for a while, for this cause: whether that is new or goes on for longer.
    pub fn cooled(&self, cause: Cause) {
        self.cooldowns.add(cause);
    }

    /// Changes of its state that there were: the new state and the cause, and how many.
    #[must_use]
    pub fn transitions(&self) -> Vec<([&'static str; 2], u64)> {
        self.moved.all()
    }

    /// How often its account was not asked for a while, by cause.
    pub fn cooldowns(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.cooldowns.counted()
    }

    /// Replies by class of status: 2xx (and 101), 3xx, 4xx, 5xx.
    #[must_use]
    pub fn statuses(&self) -> [u64; 4] {
        self.statuses.each_ref().map(|count| count.load(Relaxed))
    }

    /// Attempts without a reply, for another reason than the client.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// Attempts that their client left, or spoilt, before a reply had begun.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left.load(Relaxed)
    }

    /// Attempts that are over, those that their client left included.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.statuses().iter().sum::<u64>() + self.failures() + self.left()
    }

    /// Attempts whose end speaks against the key or its provider.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors.load(Relaxed)
    }

    /// The share of attempts that nothing speaks against, those that their client left aside; `None` before the first.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        let judged = self.statuses().iter().sum::<u64>() + self.failures();
        (judged > 0).then(|| judged.saturating_sub(self.errors()) as f64 / judged as f64)
    }

    /// The running mean of the time from sending to the reply's head; `None` before the first.
    #[must_use]
    pub fn mean_first_byte(&self) -> Option<Duration> {
        Some(self.first_byte.load(Relaxed)).filter(|micros| *micros > 0).map(Duration::from_micros)
    }

    /// Tokens in and out, as far as replies told them.
    #[must_use]
    pub fn tokens(&self) -> [u64; 2] {
        self.tokens.each_ref().map(|count| count.load(Relaxed))
    }

    /// What went wrong last.
    #[must_use]
    pub fn last_error(&self) -> Option<LastError> {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a status among the four classes. What is below 200 is a switch of protocols, and a success.
pub(super) fn class(status: u16) -> usize {
    usize::from(status / 100).clamp(2, 5) - 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Dimension;

    fn status(code: u16) -> StatusCode {
        StatusCode::from_u16(code).unwrap()
    }

    #[test]
    fn changes_of_state_and_cool_downs_are_counted_by_cause() {
        let record = KeyRecord::default();
        assert_eq!((record.transitions().len(), record.cooldowns().count()), (0, 0));
        record.moved("quarantined", Cause::InvalidKey);
        record.moved("active", Cause::Served);
        record.cooled(Cause::RateLimited(Dimension::Tokens));
        assert_eq!(record.transitions(), [(["active", "served"], 1), (["quarantined", "invalid_key"], 1)]);
        assert_eq!(record.cooldowns().collect::<Vec<_>>(), [("rate_limited_tokens", 1)]);
    }

    #[test]
    fn a_callers_mistake_is_not_held_against_the_key() {
        let record = KeyRecord::default();
        assert_eq!((record.success_rate(), record.last_error(), record.mean_first_byte()), (None, None, None));
        for code in [101, 200, 302, 400, 404, 422] {
            record.ended(Outcome::Answered(status(code)), || unreachable!("nothing went wrong"));
        }
        record.ended(Outcome::Left, || unreachable!("nothing went wrong"));
        assert_eq!((record.requests(), record.statuses(), record.errors()), (7, [2, 1, 3, 0], 0));
        assert_eq!((record.success_rate(), record.last_error()), (Some(1.0), None));
    }

    #[test]
    fn what_speaks_against_it_is_counted_once_and_the_last_is_told() {
        let record = KeyRecord::default();
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let ends = [
            (Outcome::Answered(status(429)), "http_429"),
            (Outcome::Answered(status(503)), "http_503"),
            (Outcome::BrokeOff(status(200), "closed"), "closed"),
            (Outcome::Failed("connect_refused"), "connect_refused"),
        ];
        for (second, (outcome, word)) in (0..).zip(ends) {
            record.ended(outcome, || at(second));
            let last = record.last_error().unwrap();
            assert_eq!((last.class.to_string().as_str(), last.at), (word, at(second)));
        }
        record.ended(Outcome::Answered(status(200)), || at(9));
        assert_eq!(record.last_error().unwrap().at, at(3));
        assert_eq!((record.requests(), record.errors(), record.failures(), record.success_rate()), (5, 4, 1, Some(0.2)));
    }

    #[test]
    fn the_first_byte_is_a_mean_that_follows() {
        let record = KeyRecord::default();
        record.first_byte(Duration::from_millis(800));
        assert_eq!(record.mean_first_byte(), Some(Duration::from_millis(800)));
        record.first_byte(Duration::ZERO);
        assert_eq!(record.mean_first_byte(), Some(Duration::from_millis(700)));
        (0..200).for_each(|_| record.first_byte(Duration::from_millis(100)));
        let mean = record.mean_first_byte().unwrap();
        assert!(mean >= Duration::from_millis(99) && mean <= Duration::from_millis(101), "{mean:?}");
        record.first_byte(Duration::MAX);
        assert!(record.mean_first_byte().unwrap() > mean);
    }

    #[test]
    fn tokens_add_up() {
        let record = KeyRecord::default();
        record.used(3, 5);
        record.used(4, 0);
        assert_eq!(record.tokens(), [7, 5]);
    }
}
