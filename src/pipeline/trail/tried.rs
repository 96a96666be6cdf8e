//! What was tried for a request, target by target and key by key, and how that was decided.

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use http::StatusCode;

use super::{Course, End, Trail};
use crate::{
    pipeline::attempt::{Attempt, Way},
    runtime::{Provider, snapshot::PoolKey},
    telemetry::{
        access_log::Entry,
        decisions::{Cut, Decision, Sent, Tried, Tries},
    },
    types::Cause,
    upstream::body::Progress,
};

impl Trail {
    /// An attempt goes out.
    pub fn sent(&mut self, provider: &Arc<Provider>, key: Option<Arc<PoolKey>>, upload: Rc<Progress>, way: Way) {
        self.0.attempts += 1;
        let waited = self.0.waited + self.0.held_up + way.in_line + way.for_key;
        let attempt = Attempt::begin(provider, key, upload, way);
        if self.0.attempts == 1 {
            self.0.before_first = (attempt.sent - self.0.received).saturating_sub(waited);
        }
        self.0.last = Some(attempt);
    }

    /// The last attempt has come to this. Its reply is what goes down, unless [`Self::over`] says otherwise.
    pub fn judged(&mut self, cause: Cause, status: Option<StatusCode>) {
        if let Some(attempt) = &mut self.0.last {
            attempt.judged(cause, status);
        }
    }

    /// The last attempt is over, and something else is tried in its place.
    pub fn over(&mut self, failure: Option<&'static str>, then: &'static str) {
        let status = self.0.last.as_ref().and_then(Attempt::status);
        self.close((status, End::Complete), failure, then, Instant::now());
    }

    /// The last attempt is at its end, if it was not before.
    pub(super) fn close(
        &mut self,
        (status, end): (Option<StatusCode>, End),
        failure: Option<&'static str>,
        then: &'static str,
        now: Instant,
    ) {
        let received = self.0.received;
        if let Some(attempt) = &mut self.0.last
            && attempt.ended(status, end, failure)
        {
            let tried = attempt.tried(received, then, now);
            self.0.tries.push(tried);
        }
    }

    /// Whether all that could be tried was, and it was no good.
    pub fn spent(&mut self, is_spent: bool) {
        self.0.is_spent = is_spent;
    }

    /// What [`Self::spent`] said.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.0.is_spent
    }

    /// The last attempt.
    #[must_use]
    pub fn attempt(&self) -> Option<&Attempt> {
        self.0.last.as_ref()
    }

    /// How long the last attempt waited in its provider's line.
    #[must_use]
    pub fn waited_in_line(&self) -> Option<Duration> {
        Some(self.0.last.as_ref()?.in_line())
    }

    /// A target was passed over, for this reason, after so long in line and for a key.
    pub fn passed_over(&mut self, provider: &Provider, stopped: &'static str, way: &Way, then: &'static str) {
        self.0.held_up += way.in_line + way.for_key;
        self.0.tries.push(Tried {
            provider: provider.name.clone(),
            key: None,
            key_name: None,
            model: way.model.clone(),
            why: None,
            since_start: way.began - self.0.received,
            took: way.began.elapsed(),
            waited_for_key: way.for_key,
            waited_in_line: way.in_line,
            stopped: Some(stopped),
            cause: None,
            status: None,
            sent: Sent::No,
            then,
        });
    }
}

impl Course {
    /// Keeps how it was decided, if that is asked for.
    pub(super) fn keep_decision(&self, entry: &Entry<'_>, end: End, tried: Tries) {
        if !self.runtime.decisions.is_on() {
            return;
        }
        self.runtime.decisions.push(Decision {
            request_id: Cut::of(entry.request_id),
            at: entry.time,
            route: self.route.clone(),
            model: entry.model.map(Cut::of),
            cache: entry.cache,
            status: entry.status,
            end: end.name(),
            error: end.error(),
            took: entry.duration,
            cost: entry.cost,
            cost_estimated: entry.cost_estimated,
            tried,
        });
    }
}
