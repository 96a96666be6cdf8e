//! What the cache had to do with a request.

use std::{cell::Cell, rc::Rc};

use http::StatusCode;

use super::{Course, End, Trail};
use crate::{
    pipeline::reservation::{Outcome, Told},
    policy::cache::Bypass,
    runtime::cache::Paid,
    types::{Cached, Usage},
};

/// What a call took, as soon as that is known.
pub type Paying = Cell<Paid>;

impl Trail {
    /// The cache has, or has not, answered it.
    pub fn cached(&mut self, cached: Cached) {
        self.0.cached = Some((cached, None));
    }

    /// The cache was not asked, for this reason.
    pub fn bypassed(&mut self, why: Bypass) {
        self.0.cached = Some((Cached::Bypass, Some(why.name())));
    }

    /// What the cache had to do with it, where its route has one.
    #[must_use]
    pub fn as_cached(&self) -> Option<Cached> {
        self.0.cached.map(|(cached, _)| cached)
    }

    /// Why the cache was not asked.
    #[must_use]
    pub fn bypass(&self) -> Option<&'static str> {
        self.0.cached.and_then(|(_, why)| why)
    }

    /// What its call takes is written there.
    pub fn pays(&mut self, paying: &Rc<Paying>) {
        self.0.paying = Some(Rc::clone(paying));
    }

    /// Somebody else has paid this for it. Limits that count hits count it; what was charged for a call that has failed is given back.
    pub fn saved(&mut self, paid: Paid, (status, end): (StatusCode, End)) {
        let is_served = self.as_cached() != Some(Cached::Stale);
        if self.as_cached().is_some_and(|cached| cached != Cached::Miss) {
            self.0.runtime.cache.record.saved(paid.usage, paid.cost);
        }
        let Some(reservation) = self.0.reservation.take() else { return };
        let (outcome, usage) = if is_served { (Outcome::of_reply(status), paid.usage) } else { (Outcome::Refused, Usage::default()) };
        self.settle(*reservation, outcome, Told { usage, counted: usage.output.unwrap_or(0), whole: end == End::Complete });
    }
}

impl Course {
    /// Counts it, at its end.
    pub(super) fn count_cached(&self) {
        let Some((cached, why)) = self.cached else { return };
        let record = &self.runtime.cache.record;
        record.asked(cached);
        if let Some(why) = why {
            record.bypassed(why);
        }
    }
}
