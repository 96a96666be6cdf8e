//! A page of the calendar: what was used of a day or a month, UTC, forgotten when the page is turned.

use std::time::Duration;

use super::{Spec, Standing, table::Cell};
use crate::types::Moment;

/// What one subject has used of a page.
#[derive(Debug, Default)]
pub(super) struct Page {
    number: u32,
    used: u64,
}

impl Page {
    /// What is used of the page that `now` stands on. A clock that was put back turns no page; one that was wrong by more than a
    /// whole page, as that of a machine which began with a date of its own, would else keep it closed until that date.
    fn used(&self, spec: &Spec, now: Moment) -> u64 {
        let (number, _) = spec.page(now);
        if number > self.number || number + 1 < self.number { 0 } else { self.used }
    }

    fn turn(&mut self, spec: &Spec, now: Moment) {
        let (number, _) = spec.page(now);
        if number > self.number || number + 1 < self.number {
            *self = Self { number, used: 0 };
        }
    }
}

impl Cell for Page {
    fn weigh(&self, spec: &Spec, amount: u64, now: Moment) -> Result<(), Option<Duration>> {
        if amount > spec.amount() {
            return Err(None);
        }
        match self.used(spec, now).checked_add(amount) {
            Some(used) if used <= spec.amount() => Ok(()),
            _ => Err(Some(Duration::from_secs(spec.page(now).1))),
        }
    }

    fn charge(&mut self, spec: &Spec, amount: u64, now: Moment) {
        self.turn(spec, now);
        self.used = self.used.saturating_add(amount);
    }

    fn refund(&mut self, spec: &Spec, amount: u64, taken: Moment, _: Moment) {
        // What was taken from an earlier page is of no use on this one.
        if spec.page(taken).0 == self.number {
            self.used = self.used.saturating_sub(amount);
        }
    }

    fn remaining(&self, spec: &Spec) -> u64 {
        spec.amount().saturating_sub(self.used)
    }

    fn standing(&self, spec: &Spec, now: Moment) -> Standing {
        let used = self.used(spec, now);
        let end = Duration::from_secs(if used == 0 { 0 } else { spec.page(now).1 });
        Standing { limit: spec.amount(), remaining: spec.amount().saturating_sub(used), reset: end, more: end }
    }

    fn is_idle(&self, spec: &Spec, now: Moment) -> bool {
        self.used(spec, now) == 0
    }
}
