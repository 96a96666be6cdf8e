//! A locked counter of whichever kind.

use std::time::Duration;

use super::{
    Spec, Standing,
    bucket::Bucket,
    calendar::Page,
    permits::Permits,
    sliding::Log,
    table::{Cell, Place, Slot},
};
use crate::types::Moment;

/// A locked counter, or the place for one.
#[derive(Debug)]
pub(super) enum Seat<'s> {
    Sliding(Place<'s, Log>),
    Bucket(Place<'s, Bucket>),
    Calendar(Place<'s, Page>),
    Permits(Place<'s, Permits>),
}

/// Does the same with whichever kind it is.
macro_rules! each {
    ($kinds:ident, $one:expr, $it:ident => $what:expr) => {
        match $one {
            $kinds::Sliding($it) => $what,
            $kinds::Bucket($it) => $what,
            $kinds::Calendar($it) => $what,
            $kinds::Permits($it) => $what,
        }
    };
}

pub(super) use each;

impl Seat<'_> {
    pub(super) fn weigh(&self, spec: &Spec, amount: u64, now: Moment) -> Result<(), Option<Duration>> {
        each!(Seat, self, place => place.look(|cell| cell.weigh(spec, amount, now)))
    }

    /// Takes it, and tells where it is found again and how much is left.
    pub(super) fn charge(&mut self, spec: &Spec, amount: u64, now: Moment) -> (Slot, u64) {
        each!(Seat, self, place => place.change(|cell| {
            cell.charge(spec, amount, now);
            cell.remaining(spec)
        }))
    }

    /// Returns how much was taken.
    pub(super) fn force(&mut self, spec: &Spec, amount: u64, now: Moment) -> u64 {
        each!(Seat, self, place => place.change(|cell| cell.force(spec, amount, now)).1)
    }

    pub(super) fn refund(&mut self, spec: &Spec, amount: u64, taken: Moment, now: Moment) {
        each!(Seat, self, place => place.change(|cell| cell.refund(spec, amount, taken, now)));
    }

    pub(super) fn standing(&self, spec: &Spec, now: Moment) -> Standing {
        each!(Seat, self, place => place.look(|cell| cell.standing(spec, now)))
    }
}
