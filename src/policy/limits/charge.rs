//! What a request was charged, until all of it is known.

use std::{fmt, sync::Arc};

use super::{Spec, State, Subject, table::Slot};
use crate::types::{Moment, Unit};

/// The most parts that are told apart of what was taken beyond a charge.
const MOST_PARTS: usize = 64;

/// What a request was charged. Dropped, it gives back the permits, and what was counted stays counted.
#[must_use = "a charge that is dropped gives its permits back at once"]
#[derive(Default)]
pub struct Charge {
    holds: Vec<Hold>,
    /// What keeps the counters of most alive.
    counters: Option<Counters>,
}

/// All counters of a generation. To hold on to these is to hold on to each: a count that goes up and down once a request, where
/// there would be one for each of its limits.
pub type Counters = Arc<[Arc<State>]>;

/// Which counters were charged.
pub(super) enum Of {
    /// Those at this place of the charge's own.
    Place(usize),
    /// These.
    State(Arc<State>),
}

impl Of {
    fn state<'s>(&'s self, counters: Option<&'s Counters>) -> Option<&'s Arc<State>> {
        match self {
            Self::Place(at) => counters?.get(*at),
            Self::State(state) => Some(state),
        }
    }
}

/// The charge of one limit.
pub(super) struct Hold {
    pub(super) of: Of,
    pub(super) spec: Spec,
    pub(super) slot: Slot,
    pub(super) amount: u64,
    pub(super) at: Moment,
    /// What was taken beyond it, and when.
    pub(super) beyond: Vec<(u64, Moment)>,
}

impl Charge {
    pub(super) fn new(holds: Vec<Hold>, counters: Option<Counters>) -> Self {
        Self { holds, counters }
    }

    /// Whether no limit applied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    /// Whether something of this unit was charged.
    #[must_use]
    pub fn has(&self, unit: Unit) -> bool {
        self.holds.iter().any(|hold| hold.spec.unit() == unit)
    }

    /// Adds what was charged later.
    pub fn join(&mut self, mut later: Self) {
        if self.holds.is_empty() {
            std::mem::swap(self, &mut later);
        }
        let same = self.counters.as_ref().zip(later.counters.as_ref()).is_some_and(|(one, other)| Arc::ptr_eq(one, other));
        for mut hold in std::mem::take(&mut later.holds) {
            // Of another generation it is kept by itself.
            if !same && let Some(state) = hold.of.state(later.counters.as_ref()).cloned() {
                hold.of = Of::State(state);
            }
            self.holds.push(hold);
        }
    }

    /// Gives back `amount` of this unit to each limit that counts it: never more than it was charged, nor what has passed since.
    pub fn refund(&mut self, unit: Unit, amount: u64, now: Moment) {
        for hold in self.holds.iter_mut().filter(|hold| hold.spec.unit() == unit) {
            hold.refund(self.counters.as_ref(), amount, now);
        }
    }

    /// Gives back all: the request was not let through after all.
    pub fn cancel(mut self, now: Moment) {
        let counters = self.counters.as_ref();
        self.holds.iter_mut().filter(|hold| hold.spec.unit() != Unit::Concurrent).for_each(|hold| hold.refund(counters, u64::MAX, now));
    }

    /// Takes more of this unit than was asked for: it has been used already, so nothing is refused, and what goes beyond the limit
    /// is a debt.
    pub fn force(&mut self, unit: Unit, amount: u64, now: Moment) {
        for hold in self.holds.iter_mut().filter(|hold| hold.spec.unit() == unit && amount > 0) {
            let Some(state) = hold.of.state(self.counters.as_ref()) else { continue };
            // What was swept meanwhile had passed, and begins anew.
            let anew = |key| state.seat(&hold.spec, Subject { key, group: key }, now);
            if let Some(mut seat) = state.find(hold.slot).or_else(|| hold.slot.key().map(anew)) {
                // A debt that was forgiven is not there to be given back.
                let taken = seat.force(&hold.spec, amount, now);
                let is_full = hold.beyond.len() >= MOST_PARTS;
                match hold.beyond.last_mut() {
                    // Given back, it is then missed at an earlier time than it was taken, which lets nobody have more.
                    Some((last, _)) if is_full => *last += taken,
                    _ => hold.beyond.push((taken, now)),
                }
            }
        }
    }
}

impl Hold {
    /// What was taken last goes back first, and each part from where it was taken: what stays passes no sooner than it should.
    fn refund(&mut self, counters: Option<&Counters>, amount: u64, now: Moment) {
        let Some(state) = self.of.state(counters) else { return };
        let mut rest = amount;
        let parts = self.beyond.iter_mut().rev().map(|(taken, at)| (taken, *at)).chain([(&mut self.amount, self.at)]);
        for (taken, at) in parts {
            let back = rest.min(*taken);
            (rest, *taken) = (rest - back, *taken - back);
            if back > 0
                && let Some(mut seat) = state.find(self.slot)
            {
                seat.refund(&self.spec, back, at, now);
            }
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        for hold in self.holds.iter_mut().filter(|hold| hold.spec.unit() == Unit::Concurrent) {
            // Permits know no time.
            hold.refund(self.counters.as_ref(), u64::MAX, Moment::default());
        }
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.holds.iter().map(|hold| (hold.spec.unit(), hold.amount))).finish()
    }
}
