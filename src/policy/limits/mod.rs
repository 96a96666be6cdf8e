//! Limits: how much of something a subject may have in a stretch of time.
//!
//! Four ways of counting, one table each: a window that slides ([`sliding`]), a bucket of tokens where a burst is allowed
//! ([`bucket`]), a page of the calendar for days and months ([`calendar`]), and permits for what goes on at the same time
//! ([`permits`]). A request is weighed against all limits that apply to it under one `now`: it is charged to each of them or
//! to none.
//!
//! Counters hold what was used, never what is left, and no number of the config: a limit that is made smaller counts what was
//! used before against the new one.

mod bucket;
mod calendar;
mod charge;
mod permits;
mod seat;
mod sliding;
mod spec;
mod state;
mod table;

use std::{sync::Arc, time::Duration};

use smallvec::SmallVec;

pub use charge::{Charge, Counters};
pub use spec::{Counting, Spec};
pub use state::{Consumer, State};

use self::{
    charge::{Hold, Of},
    seat::Seat,
};
use crate::types::{Moment, Unit};

/// More limits than this are weighed at the price of an allocation.
const USUAL: usize = 8;

/// Who is counted: hashes with a key that nobody outside knows, so that nobody can choose whose counter he shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    /// The subject itself.
    pub key: u64,
    /// Its neighbourhood: where a table is full, the new ones of a neighbourhood share a counter.
    pub group: u64,
}

/// One limit that a request is weighed against.
#[derive(Clone, Copy, Debug)]
pub struct Check<'c> {
    /// Its numbers.
    pub spec: &'c Spec,
    /// Its counters. No two checks of one request have the same.
    pub state: &'c Arc<State>,
    /// Where they stand among those of their generation, if they do.
    pub place: Option<usize>,
    /// Whose counter.
    pub subject: Subject,
    /// How much is asked for.
    pub amount: u64,
    /// Whether it counts and never refuses.
    pub shadow: bool,
    /// Which of the caller's limits it is: it comes back with what is told of it.
    pub tag: usize,
    /// How it turned out.
    pub outcome: Outcome,
}

impl<'c> Check<'c> {
    /// A limit that is about to be asked.
    #[must_use]
    pub fn new(spec: &'c Spec, state: &'c Arc<State>, subject: Subject, amount: u64) -> Self {
        Self { spec, state, place: None, subject, amount, shadow: false, tag: 0, outcome: Outcome::default() }
    }
}

/// How a check turned out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whether there was not enough left.
    pub is_over: bool,
    /// What is left, with what was charged. When it comes back is told of the [`tightest`] limits alone.
    pub standing: Standing,
}

/// What is left of a limit for one subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The most there is at once.
    pub limit: u64,
    /// What is left of it.
    pub remaining: u64,
    /// Until it is whole again, if nothing more is taken.
    pub reset: Duration,
    /// Until there is more of it than now.
    pub more: Duration,
}

impl Standing {
    /// Whether more than half of it is used.
    #[must_use]
    pub const fn is_scarce(&self) -> bool {
        self.remaining < self.limit - self.limit / 2
    }

    /// Whether a smaller part is left than of `other`.
    #[must_use]
    pub fn is_tighter_than(&self, other: &Self) -> bool {
        u128::from(self.remaining) * u128::from(other.limit) < u128::from(other.remaining) * u128::from(self.limit)
    }
}

/// Why a request was refused. Nothing was charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The tag of the limit that has to be waited for longest.
    pub tag: usize,
    /// How long that is; `None` if no wait is long enough, since more was asked for than there ever is.
    pub wait: Option<Duration>,
}

impl Refusal {
    /// The one of the two that has to be waited for longer: what was found before, and what this check says if it is no shadow.
    fn longer(before: Option<Self>, check: &Check<'_>, weighed: Result<(), Option<Duration>>) -> Option<Self> {
        let (Err(wait), false) = (weighed, check.shadow) else { return before };
        let this = Self { tag: check.tag, wait };
        match before {
            Some(before) if !this.is_longer_than(&before) => Some(before),
            _ => Some(this),
        }
    }

    fn is_longer_than(&self, other: &Self) -> bool {
        match (self.wait, other.wait) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(one), Some(other)) => one > other,
        }
    }
}

/// Charges all of `checks` or none. Each of them is told how it turned out; their order may change.
///
/// All counters concerned are locked at once, always in the same order, so that no other request sees half of it.
///
/// # Errors
///
/// [`Refusal`] if one that is no shadow has not enough left. Shadows are charged where they have enough, as if they refused.
pub fn acquire(checks: &mut [Check<'_>], now: Moment) -> Result<Charge, Refusal> {
    acquire_of(None, checks, now)
}

/// The same for limits of a generation, whose `counters` are all kept as one.
///
/// # Errors
///
/// As above.
pub fn acquire_of(counters: Option<&Counters>, checks: &mut [Check<'_>], now: Moment) -> Result<Charge, Refusal> {
    checks.sort_unstable_by_key(|check| check.state.id());
    let mut seats: SmallVec<[Seat<'_>; USUAL]> = SmallVec::new();
    let mut refusal: Option<Refusal> = None;
    for check in &mut *checks {
        let seat = check.state.seat(check.spec, check.subject, now);
        let weighed = seat.weigh(check.spec, check.amount, now);
        check.outcome.is_over = weighed.is_err();
        refusal = Refusal::longer(refusal, check, weighed);
        seats.push(seat);
    }
    if let Some(refusal) = refusal {
        for (check, seat) in checks.iter_mut().zip(&seats) {
            check.outcome.standing = seat.standing(check.spec, now);
        }
        return Err(refusal);
    }
    let mut holds = Vec::with_capacity(checks.len());
    for (check, seat) in checks.iter_mut().zip(&mut seats) {
        let left = |remaining| Standing { limit: check.spec.at_once(), remaining, ..Standing::default() };
        if check.outcome.is_over {
            check.outcome.standing = seat.standing(check.spec, now);
            continue;
        }
        let (slot, remaining) = seat.charge(check.spec, check.amount, now);
        check.outcome.standing = left(remaining);
        let place = check.place.filter(|at| counters.and_then(|all| all.get(*at)).is_some_and(|state| Arc::ptr_eq(state, check.state)));
        let of = place.map_or_else(|| Of::State(Arc::clone(check.state)), Of::Place);
        holds.push(Hold { of, spec: *check.spec, slot, amount: check.amount, at: now, beyond: Vec::new() });
    }
    for unit in [Unit::Requests, Unit::Tokens] {
        if let Some(at) = tightest(checks, unit) {
            checks[at].outcome.standing = seats[at].standing(checks[at].spec, now);
        }
    }
    Ok(Charge::new(holds, counters.cloned()))
}

/// The limit on `unit` of which the smallest part is left; shadows are none.
#[must_use]
pub fn tightest(checks: &[Check<'_>], unit: Unit) -> Option<usize> {
    let of_unit = checks.iter().enumerate().filter(|(_, check)| !check.shadow && check.spec.unit() == unit);
    let tighter = |one: &Check<'_>, other: &Check<'_>| one.outcome.standing.is_tighter_than(&other.outcome.standing);
    of_unit.reduce(|tightest, this| if tighter(this.1, tightest.1) { this } else { tightest }).map(|(at, _)| at)
}

/// Tells how checks would turn out, and charges nothing.
pub fn weigh(checks: &mut [Check<'_>], now: Moment) -> Option<Refusal> {
    let mut longest: Option<Refusal> = None;
    for check in checks {
        let seat = check.state.seat(check.spec, check.subject, now);
        let weighed = seat.weigh(check.spec, check.amount, now);
        check.outcome = Outcome { is_over: weighed.is_err(), standing: seat.standing(check.spec, now) };
        longest = Refusal::longer(longest, check, weighed);
    }
    longest
}

#[cfg(test)]
mod tests;
