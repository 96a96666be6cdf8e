//! Step 10: every request is settled exactly once, at the end of its reply or by `Drop` when the client leaves before.
//!
//! `Drop` never waits: everything here is counting and giving back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    holds::Holds,
    observe::{Observer, learner::Learner},
    trail::{End, Trail},
};
use crate::{telemetry::TargetMetrics, types::Usage};
use bytes::Bytes;
use http::StatusCode;

/// What is made of a reply on its way down.
#[derive(Debug, Default)]
pub struct Watch {
    /// What reads its usage, if it may tell any.
    pub observer: Option<Box<Observer>>,
    /// What learns the ids it tells, if it may tell any, until it has.
    pub learner: Option<Box<Learner>>,
    /// Whether it is a stream: events, or a WebSocket.
    pub stream: bool,
    /// Whether its first bytes are of interest: a model's first words, about.
    pub first: bool,
}

/// The end of a request, to be reached.
#[derive(Debug)]
pub struct Settlement {
    trail: Trail,
    metrics: Arc<TargetMetrics>,
    /// Which of the metrics' models it is.
    model: usize,
    status: StatusCode,
    overhead: Duration,
    bytes_out: u64,
    watch: Watch,
    ended: bool,
    /// Given back when the settlement goes.
    holds: Holds,
}

impl Settlement {
    /// Takes over everything that the request holds, when the reply's head goes down: `now`, with so much `overhead`.
    #[must_use]
    pub fn new(
        metrics: Arc<TargetMetrics>,
        holds: Holds,
        (status, watch): (StatusCode, Watch),
        (now, overhead): (Instant, Duration),
        trail: Trail,
    ) -> Self {
        let model = metrics.model(trail.model());
        metrics.of(model, &trail.runtime().metrics).answered(status);
        metrics.overhead.record(overhead);
        if watch.stream {
            metrics.streams.increment(1);
        }
        if let Some(first_byte) = trail.first_byte() {
            metrics.first_byte.record(first_byte);
        }
        let mut settlement = Self { trail, metrics, model, status, overhead, bytes_out: 0, watch, ended: false, holds };
        if !settlement.watch.first && settlement.trail.first_byte().is_some() {
            settlement.began(now);
        }
        settlement
    }

    /// So many bytes of the reply went down.
    pub fn passed(&mut self, bytes: u64) {
        self.bytes_out += bytes;
    }

    /// These bytes of the reply's body go down.
    #[inline]
    pub fn relayed(&mut self, data: &Bytes) {
        self.passed(data.len() as u64);
        if self.watch.first {
            self.begin();
        }
        if self.watch.learner.as_mut().is_some_and(|learner| learner.frame(data)) {
            self.watch.learner = None;
        }
        if let Some(observer) = &mut self.watch.observer {
            observer.frame(data);
            if let Some(produced) = observer.produced() {
                self.trail.produced(produced);
            }
        }
    }

    /// These bytes came, and so many go down.
    pub fn relayed_less(&mut self, data: &Bytes, passed: u64) {
        let before = self.bytes_out;
        self.relayed(data);
        self.bytes_out = before + passed;
    }

    /// The first bytes of a stream are here.
    #[cold]
    fn begin(&mut self) {
        self.watch.first = false;
        let now = Instant::now();
        if let Some(after) = self.trail.since_sent(now) {
            self.began(now);
            self.metrics.of(self.model, &self.trail.runtime().metrics).ttft.record(after);
        }
    }

    /// The first words are here; those of an error say nothing of how soon a model answers.
    fn began(&mut self, now: Instant) {
        if (self.status.is_success() || self.status == StatusCode::SWITCHING_PROTOCOLS)
            && let Some(after) = self.trail.since_up(now)
        {
            self.holds.first_token(after, &self.trail, now);
        }
    }

    /// The request is over. What it holds is given back when this goes.
    pub fn finish(&mut self, end: End) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let now = Instant::now();
        self.holds.settle(end, &self.trail, now);
        self.metrics.ended(match end {
            End::Complete => 0,
            End::Left => 1,
            End::Truncated(_) | End::Rejected(_) => 2,
        });
        let model = self.metrics.of(self.model, &self.trail.runtime().metrics);
        model.duration.record(self.trail.elapsed(now));
        if let Some(learner) = self.watch.learner.take() {
            learner.finish();
        }
        let (mut usage, mut produced) = (Usage::default(), None);
        if let Some(mut observer) = self.watch.observer.take() {
            observer.flush();
            produced = observer.produced();
            usage = observer.usage(end == End::Complete);
            if !usage.is_unknown() {
                model.used(usage);
                if let Some(cost) = self.trail.used(usage) {
                    self.metrics.cost(self.model, cost.amount, &self.trail.runtime().metrics);
                }
            }
        }
        self.trail.settle_charge((self.status, end), usage, produced.ok_or(self.bytes_out));
        if self.watch.stream {
            self.metrics.streams.decrement(1);
        }
        self.metrics.sent.increment(self.trail.bytes_in());
        self.metrics.received.increment(self.bytes_out);
        self.trail.end((self.status, end), self.bytes_out, self.overhead, now);
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        self.finish(self.trail.dropped());
    }
}
