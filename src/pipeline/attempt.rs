//! One send to a provider, as the trail remembers it, and what its end adds to the records of provider and key.

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use http::StatusCode;

use super::trail::End;
use crate::{
    runtime::{Provider, snapshot::PoolKey},
    telemetry::{
        decisions::{Sent, Tried},
        key_record::Outcome,
    },
    types::Cause,
    upstream::body::Progress,
};

/// How an attempt came about.
#[derive(Clone, Debug)]
pub struct Way {
    /// The model that is asked for, where the target renames it.
    pub model: Option<Arc<str>>,
    /// Why it carries this key, in a word of the pool's.
    pub why: Option<&'static str>,
    /// When its target's turn came.
    pub began: Instant,
    /// How long it then waited in the provider's line.
    pub in_line: Duration,
    /// How long it then waited for a key that can afford it.
    pub for_key: Duration,
}

impl Way {
    /// A target's turn has come.
    #[must_use]
    pub fn new(model: Option<&Arc<str>>) -> Self {
        Self { model: model.cloned(), why: None, began: Instant::now(), in_line: Duration::ZERO, for_key: Duration::ZERO }
    }
}

/// One send to a provider.
#[derive(Debug)]
pub struct Attempt {
    /// Who it goes to.
    pub provider: Arc<Provider>,
    /// The key it carries; `None` where it is the client's own.
    pub key: Option<Arc<PoolKey>>,
    /// Counts what goes up.
    pub upload: Rc<Progress>,
    /// When it went out.
    pub sent: Instant,
    /// When its reply began.
    pub head: Option<Instant>,
    way: Way,
    verdict: Option<(Cause, Option<StatusCode>)>,
    is_over: bool,
}

impl Attempt {
    /// It goes out now.
    #[must_use]
    pub fn begin(provider: &Arc<Provider>, key: Option<Arc<PoolKey>>, upload: Rc<Progress>, way: Way) -> Self {
        provider.record.begun();
        let sent = Instant::now();
        upload.begin(sent);
        Self { provider: Arc::clone(provider), key, upload, sent, head: None, way, verdict: None, is_over: false }
    }

    /// From sending to the reply's head.
    #[must_use]
    pub fn first_byte(&self) -> Option<Duration> {
        Some(self.head? - self.sent)
    }

    /// How long it waited in its provider's line.
    #[must_use]
    pub fn in_line(&self) -> Duration {
        self.way.in_line
    }

    /// What it has come to is known.
    pub fn judged(&mut self, cause: Cause, status: Option<StatusCode>) {
        self.verdict = Some((cause, status));
    }

    /// What it has come to, as far as that is known.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.verdict.map(|(cause, _)| cause)
    }

    /// The status of its reply, once that was judged.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.verdict.and_then(|(_, status)| status)
    }

    /// It is over: with this reply, if it began, or this failure. False if it was before.
    pub fn ended(&mut self, status: Option<StatusCode>, end: End, failure: Option<&'static str>) -> bool {
        if std::mem::replace(&mut self.is_over, true) {
            return false;
        }
        let outcome = self.outcome(status, end, failure);
        self.provider.record.ended(outcome);
        if let Some(key) = &self.key {
            key.record.ended(outcome, SystemTime::now);
        }
        // A reply that was good until it broke off was not good.
        match (outcome, self.verdict) {
            (Outcome::BrokeOff(status, _), Some((Cause::Served, _))) => self.judged(Cause::BrokenOff, Some(status)),
            (Outcome::Left, None) => self.judged(Cause::Left, None),
            _ => {}
        }
        if let Some((cause, _)) = self.verdict {
            self.provider.record.attempts.judged(cause);
        }
        true
    }

    fn outcome(&self, status: Option<StatusCode>, end: End, failure: Option<&'static str>) -> Outcome {
        let replied = status.filter(|_| self.head.is_some());
        match (failure, replied, end) {
            (Some(reason), ..) if is_no_fault_upstream(reason) => Outcome::Left,
            (Some(reason), ..) => Outcome::Failed(reason),
            (None, None, _) => Outcome::Left,
            (None, Some(status), End::Truncated(reason)) if !is_no_fault_upstream(reason) => Outcome::BrokeOff(status, reason),
            (None, Some(status), _) => Outcome::Answered(status),
        }
    }

    /// The step that it was for its request, which began then, with what is done next.
    #[must_use]
    pub fn tried(&self, received: Instant, then: &'static str, now: Instant) -> Tried {
        let Way { model, why, began, in_line, for_key } = &self.way;
        let (cause, status) = self.verdict.map_or((None, None), |(cause, status)| (Some(cause), status));
        let sent = match cause {
            Some(Cause::Unreachable | Cause::Unprocessed) => Sent::No,
            _ if self.head.is_some() => Sent::Answered,
            _ => Sent::Unanswered,
        };
        Tried {
            provider: self.provider.name.clone(),
            key: self.key.as_ref().map(|key| key.id),
            key_name: self.key.as_ref().map(|key| Arc::clone(&key.name)),
            model: model.clone(),
            why: *why,
            since_start: *began - received,
            took: now.saturating_duration_since(*began),
            waited_for_key: *for_key,
            waited_in_line: *in_line,
            stopped: None,
            cause,
            status: status.map(|status| status.as_u16()),
            sent,
            then,
        }
    }
}

/// Whether what ended it was the client's upload, or a drain: nobody upstream is to blame.
#[must_use]
pub fn is_no_fault_upstream(reason: &str) -> bool {
    matches!(reason, "upload" | "upload_too_large" | "drained")
}
