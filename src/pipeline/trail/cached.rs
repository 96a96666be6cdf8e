//! What the cache had to do with a request.

use std::{cell::Cell, rc::Rc};

use http::StatusCode;

use super::{Course, End, Trail};
use crate::{
    pipeline::reservation::{Outcome, Told},
    policy::cache::Bypass,
    runtime::cache::Paid,
    types::Cached,
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

    /// Somebody else has paid for it: so much, if that is known, for so many bytes. Limits that count hits count it; what was charged for a
    /// call that has failed is given back.
    pub fn saved(&mut self, paid: Option<Paid>, (status, end, bytes): (StatusCode, End, u64)) {
        let is_stale = self.as_cached() == Some(Cached::Stale);
        if let Some(paid) = paid {
            self.0.runtime.cache.record.saved(paid.usage, paid.cost);
        }
        let Some(reservation) = self.0.reservation.take() else { return };
        let outcome = if is_stale { Outcome::Refused } else { Outcome::of_reply(status) };
        let Paid { usage, cost } = paid.filter(|_| !is_stale).unwrap_or_default();
        let counted = usage.output.unwrap_or_else(|| reservation.counted_by(bytes));
        let told = Told { usage, counted, whole: end == End::Complete };
        reservation.settle(outcome, told, self.0.runtime.moment(), |_| cost);
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
