//! What limits have charged for a request, and how that is settled: once, on whichever way out it takes.

use http::StatusCode;

use super::{End, Trail};
use crate::{
    pipeline::{
        reject::Reject,
        reservation::{Outcome, Reservation, Told},
    },
    policy::{estimate::Estimate, limits::Charge},
    types::{Money, Usage},
};

impl Trail {
    /// Limits that need no body have charged this.
    pub fn charged(&mut self, charge: Charge) {
        if !charge.is_empty() {
            self.0.reservation = Some(Box::new(Reservation::new(charge)));
        }
    }

    /// Limits that turn on what is asked for have charged this, by the estimate.
    pub fn reserved(&mut self, charge: Charge, (estimate, cost): (Estimate, Money), who: u16) {
        if !charge.is_empty() {
            self.0.reservation.get_or_insert_with(|| Box::new(Reservation::new(Charge::default()))).reserve(charge, (estimate, cost), who);
        }
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
        reservation.settle(outcome, told, self.0.runtime.moment(), |usage| Some(self.0.cost_of(usage)?.amount));
    }
}
