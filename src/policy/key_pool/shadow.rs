//! What is left of an account's requests and tokens for one model, as far as we know: a shadow of the provider's own counters.
//!
//! Each dimension has two buckets: one with the operator's numbers, and one with those that the provider tells beside its
//! replies. Both fill at the rate of their quota, and what is sent is taken out of both at once, before it is sent. What the
//! provider tells lowers a bucket at any time, and raises it only if nothing was sent since: what is on its way there is not
//! in its figures yet.
//!
//! A provider may allow fewer at once than its quota says (a tenth of it in six seconds, say), or share it with somebody else.
//! So a refusal for want of room that was not expected quarters what is taken at once, and if that is as little as a
//! second's worth already, takes a tenth off the rate. Both come back by a hundredth every ten seconds.

use std::time::Duration;

use super::{
    Quota,
    bucket::{Bucket, Flow},
};
use crate::types::{
    headroom::{Headroom, Room},
    verdict::Dimension,
};

/// No model takes more, and callers may say that they want any number: sums of what was sent stay exact up to 2^53, which is
/// half a billion of these.
const MOST_TOKENS: u64 = 1 << 24;

/// What a request takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Need {
    pub(super) requests: f64,
    pub(super) tokens: f64,
}

impl Need {
    /// One request of so many tokens, at most [`MOST_TOKENS`].
    pub(super) fn of(tokens: u64) -> Self {
        Self { requests: 1.0, tokens: tokens.min(MOST_TOKENS) as f64 }
    }
}

/// The operator's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Terms {
    pub(super) requests: Option<Quota>,
    pub(super) tokens: Option<Quota>,
}

/// What a look at the shadow says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fit {
    /// Nothing is known.
    Unknown,
    /// It can be afforded: how often over, and which part of the quota is left then.
    Affords { times: f64, headroom: f64 },
    /// It can't, before then.
    At(u64, Dimension),
}

impl Fit {
    /// Of two dimensions the tighter one.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, fit) | (fit, Self::Unknown) => fit,
            (Self::Affords { times: a, headroom: h }, Self::Affords { times: b, headroom: i }) => {
                Self::Affords { times: a.min(b), headroom: h.min(i) }
            }
            (Self::At(a, of), Self::At(b, other)) => {
                if a >= b {
                    Self::At(a, of)
                } else {
                    Self::At(b, other)
                }
            }
            (at @ Self::At(..), _) | (_, at @ Self::At(..)) => at,
        }
    }
}

/// How much had been sent when a request was: what was sent after it is not in what its reply tells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Mark {
    requests: f64,
    tokens: f64,
    at: u64,
}

#[derive(Clone, Debug, Default)]
struct Dimensioned {
    configured: Bucket,
    told: Bucket,
    terms: Option<Flow>,
    sent: f64,
}

impl Dimensioned {
    fn drain(&mut self, quota: Option<Quota>, now: u64) {
        if let Some(quota) = quota {
            self.configured.drain(quota.into(), now);
        }
        if let Some(flow) = self.terms {
            self.told.drain(flow, now);
        }
    }

    /// The buckets that count, with their numbers.
    fn each(&mut self, quota: Option<Quota>) -> impl Iterator<Item = (&mut Bucket, Flow)> {
        let configured = quota.map(|quota| (&mut self.configured, quota.into()));
        configured.into_iter().chain(self.terms.map(|flow| (&mut self.told, flow)))
    }

    fn fit(&self, quota: Option<Quota>, need: f64, dimension: Dimension) -> Fit {
        let configured = quota.map_or(Fit::Unknown, |quota| self.configured.fit(quota.into(), need, dimension));
        configured.and(self.terms.map_or(Fit::Unknown, |flow| self.told.fit(flow, need, dimension)))
    }

    fn told(&mut self, quota: Option<Quota>, room: Room, (mark, sent_at): (f64, u64), now: u64) {
        if let Some(limit) = room.limit.filter(|limit| *limit > 0 && !room.window.is_zero()) {
            let flow = Flow::from(Quota { amount: limit, window: room.window });
            if self.terms.is_none() {
                self.told = Bucket::default();
                self.told.at = now;
            }
            self.terms = Some(flow);
        }
        let (since, age) = ((self.sent - mark).max(0.0), now.saturating_sub(sent_at) as f64);
        let remaining = room.remaining as f64;
        for (bucket, flow) in self.each(quota) {
            // Whether the figure is of when the request came or of when its reply went: what came back since then at least
            // makes up for what was sent since then, and it never says more than what it said.
            let left = remaining - (since - bucket.rate(flow) * age).max(0.0);
            bucket.lower(flow, left);
        }
        if let Some(flow) = self.terms.filter(|_| since == 0.0 && room.limit.is_some()) {
            self.told.used = (self.told.capacity(flow) - remaining).max(0.0);
        }
    }
}

/// What is left, by dimension.
#[derive(Clone, Debug, Default)]
pub(super) struct Shadow {
    requests: Dimensioned,
    tokens: Dimensioned,
}

impl Shadow {
    fn drain(&mut self, terms: &Terms, now: u64) {
        self.requests.drain(terms.requests, now);
        self.tokens.drain(terms.tokens, now);
    }

    /// Whether so much can be afforded.
    pub(super) fn fit(&mut self, terms: &Terms, need: Need, now: u64) -> Fit {
        self.drain(terms, now);
        let requests = self.requests.fit(terms.requests, need.requests, Dimension::Requests);
        requests.and(self.tokens.fit(terms.tokens, need.tokens, Dimension::Tokens))
    }

    /// Takes it, if it can be afforded.
    pub(super) fn take(&mut self, terms: &Terms, need: Need, now: u64) -> Result<Mark, Fit> {
        if let at @ Fit::At(..) = self.fit(terms, need, now) {
            return Err(at);
        }
        self.requests.each(terms.requests).for_each(|(bucket, flow)| bucket.take(flow, need.requests));
        self.tokens.each(terms.tokens).for_each(|(bucket, flow)| bucket.take(flow, need.tokens));
        self.requests.sent += need.requests;
        self.tokens.sent += need.tokens;
        Ok(Mark { requests: self.requests.sent, tokens: self.tokens.sent, at: now })
    }

    /// What was taken was not sent. What had come back meanwhile is not given twice: a bucket is never more than full.
    pub(super) fn give_back(&mut self, terms: &Terms, need: Need, now: u64) {
        self.drain(terms, now);
        self.requests.each(terms.requests).for_each(|(bucket, flow)| bucket.give_back(flow, need.requests));
        self.tokens.each(terms.tokens).for_each(|(bucket, flow)| bucket.give_back(flow, need.tokens));
    }

    /// What the provider told beside the reply to the request of this mark.
    pub(super) fn told(&mut self, terms: &Terms, headroom: &Headroom, mark: Mark, now: u64) {
        self.drain(terms, now);
        if let Some(room) = headroom.requests {
            self.requests.told(terms.requests, room, (mark.requests, mark.at), now);
        }
        if let Some(room) = headroom.tokens {
            self.tokens.told(terms.tokens, room, (mark.tokens, mark.at), now);
        }
    }

    /// The provider refused the request of this mark: there was no room.
    pub(super) fn refused(&mut self, terms: &Terms, dimension: Dimension, mark: Mark, now: u64) {
        self.drain(terms, now);
        if dimension != Dimension::Tokens {
            self.requests.each(terms.requests).for_each(|(bucket, flow)| bucket.refused(flow, mark.at, now));
        }
        if dimension == Dimension::Tokens {
            self.tokens.each(terms.tokens).for_each(|(bucket, flow)| bucket.refused(flow, mark.at, now));
        }
    }

    /// What is left of requests and of tokens, as room: by the tighter of what is configured and what is told.
    pub(super) fn standing(&mut self, terms: &Terms, now: u64) -> Headroom {
        self.drain(terms, now);
        let room = |of: &mut Dimensioned, quota| {
            let rooms = of.each(quota).map(|(bucket, flow)| Room {
                limit: Some(flow.amount as u64),
                remaining: (bucket.capacity(flow) - bucket.used).max(0.0) as u64,
                reset: Some(Duration::from_nanos((bucket.used / bucket.rate(flow)) as u64)),
                window: Duration::from_nanos(flow.window as u64),
            });
            rooms.min_by_key(|room| room.remaining)
        };
        Headroom { requests: room(&mut self.requests, terms.requests), tokens: room(&mut self.tokens, terms.tokens) }
    }

    /// Whether a provider has told anything.
    pub(super) fn is_told(&self) -> bool {
        self.requests.terms.is_some() || self.tokens.terms.is_some()
    }
}

impl Mark {
    /// When the request was sent.
    pub(super) fn sent_at(&self) -> u64 {
        self.at
    }
}

impl Terms {
    /// Whether the operator says nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_none() && self.tokens.is_none()
    }
}

impl From<&super::Spec> for Terms {
    fn from(spec: &super::Spec) -> Self {
        Self { requests: spec.requests, tokens: spec.tokens }
    }
}
