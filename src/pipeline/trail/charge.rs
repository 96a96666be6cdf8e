//! What limits have charged for a request, and how that is settled: once, on whichever way out it takes.

use http::StatusCode;

use super::{End, Trail};
use crate::{
    pipeline::{
        reject::Reject,
        reservation::{Outcome, Reservation, Told},
    },
    types::{Ask, Money, Usage},
};

impl Trail {
    /// Limits have let it through, and charged this.
    pub fn charged(&mut self, reservation: Reservation) {
        self.0.reservation = Some(Box::new(reservation));
    }

    /// What limits have charged until now.
    pub fn reservation(&mut self) -> Option<&mut Reservation> {
        self.0.reservation.as_deref_mut()
    }

    /// What is asked for.
    #[must_use]
    pub fn ask(&self) -> &Ask {
        &self.0.ask
    }

    /// Its stream was asked for a chunk that its client has not asked for.
    pub fn unasked(&mut self) {
        if let Some(reservation) = &mut self.0.reservation {
            reservation.unasked = true;
        }
    }

    /// Whether tokens or money were reserved for it.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.0.reservation.as_ref().is_some_and(|reservation| reservation.counts())
    }

    /// Whether its stream tells something that the client has not asked for.
    #[must_use]
    pub fn is_unasked(&self) -> bool {
        self.0.reservation.as_ref().is_some_and(|reservation| reservation.unasked)
    }

    /// The stream has said so many tokens until now.
    #[inline]
    pub fn produced(&mut self, tokens: u64) {
        let course = &mut *self.0;
        if let Some(reservation) = &mut course.reservation {
            reservation.extend(tokens, || course.runtime.moment());
        }
    }

    /// The reply is over, with this usage, and so many tokens that were counted in it, or else bytes.
    pub fn settle_charge(&mut self, (status, end): (StatusCode, End), usage: Usage, produced: Result<u64, u64>) {
        let Some(reservation) = self.0.reservation.take() else { return };
        let outcome = Outcome::of_reply(status);
        let whole = end == End::Complete;
        if whole && outcome == Outcome::Served {
            reservation.teach(&self.0.runtime.estimator, &self.0.ask, usage);
        }
        let counted = produced.unwrap_or_else(|bytes| reservation.counted_by(bytes));
        self.settle(*reservation, outcome, Told { usage, counted, whole });
    }

    /// Sidegate answers itself.
    pub fn settle_rejected(&mut self, reject: &Reject) {
        if let Some(reservation) = self.0.reservation.take() {
            self.settle(*reservation, Outcome::of_reject(reject), Told::default());
        }
    }

    /// It is over before there was a reply: the client has left. What went up was read.
    pub(super) fn settle_left(&mut self) {
        if let Some(reservation) = self.0.reservation.take() {
            let outcome = if self.0.attempts > 0 { Outcome::Served } else { Outcome::Refused };
            self.settle(*reservation, outcome, Told::default());
        }
    }

    fn settle(&self, reservation: Reservation, outcome: Outcome, told: Told) {
        let cost = |_: &Usage| None::<Money>;
        reservation.settle(outcome, told, self.0.runtime.moment(), cost);
    }
}
