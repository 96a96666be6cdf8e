//! The right to use a key for one attempt, and what becomes of the key and its account when the attempt ends.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::Duration,
};

use super::{
    Slot, State, account,
    account::{Named, Place},
    guard,
    health::{Health, Transition},
    shadow::{Mark, Need, Terms},
};
use crate::types::{
    Moment,
    headroom::Headroom,
    verdict::{Cause, Verdict},
};

/// How a key was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// It is quarantined, and its time for one request has come.
    Probe,
    /// It is quarantined, and there is no other.
    LastResort,
    /// Its account has seen how the prompt begins.
    Affinity,
    /// Its account has the most left, of those that were looked at.
    Headroom,
    /// It has the least in flight for its weight.
    LeastInFlight,
}

impl Why {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::LastResort => "last_resort",
            Self::Affinity => "affinity",
            Self::Headroom => "headroom",
            Self::LeastInFlight => "least_in_flight",
        }
    }
}

/// The epochs in which a lease was taken, and whether it is the one request that decides on them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Epochs {
    pub(super) key: u64,
    pub(super) account: u64,
    pub(super) probes_key: bool,
    pub(super) probes_account: bool,
}

/// What was taken for a request.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) place: Cell<Place>,
    /// The model's name, where it has no entry of its own yet.
    pub(super) unknown: Option<Box<str>>,
    pub(super) terms: Terms,
    pub(super) need: Need,
    pub(super) mark: Mark,
    pub(super) random: u64,
}

/// The right to use one key for one attempt. `Drop` gives it back, also when the request is abandoned: what it took of the
/// account's quota then counts as sent, and a probe as one that says nothing.
#[must_use = "a lease that is dropped is given back at once"]
#[derive(Debug)]
pub struct Lease {
    /// The place of the key in the slice that `acquire` was called with.
    pub index: usize,
    /// How it was chosen.
    pub why: Why,
    /// What taking it did to the key: a probe makes it half-open.
    pub began: Option<Transition>,
    pub(super) state: Arc<State>,
    pub(super) owner: Arc<account::State>,
    pub(super) epochs: Epochs,
    pub(super) taken: Taken,
    /// What was told of a model that has no entry of its own yet: kept until it is known to be served.
    pub(super) told: RefCell<Option<Box<Headroom>>>,
    /// When anything was last heard of it: `Drop` has no clock.
    pub(super) heard: Cell<u64>,
    pub(super) was_sent: bool,
    pub(super) is_judged: bool,
}

impl Lease {
    /// Whether the key was taken back since: what has not been sent yet may not be sent with it.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.state.is_retired() || self.state.is_disabled()
    }

    /// Whether it is the one request that shows whether a quarantined key, or account, is good again.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.epochs.probes_key || self.epochs.probes_account
    }

    pub(super) fn key(&self) -> &Arc<State> {
        &self.state
    }

    fn model(&self) -> &super::model::Model {
        self.owner.at(self.taken.place.get())
    }

    /// What its provider told of the account's quota, beside the reply.
    pub fn answered(&self, headroom: &Headroom, now: Moment) {
        self.heard.set(now.nanos);
        if self.taken.unknown.is_some() && self.taken.place.get() == Place::REST {
            *self.told.borrow_mut() = Some(Box::new(*headroom));
            return;
        }
        self.model().told(&self.taken.terms, headroom, self.taken.mark, now.nanos);
    }

    /// The model has an entry of its own from now on, if there is room.
    fn settle_model(&self, now: u64) {
        if let Some(name) = self.taken.unknown.as_deref().filter(|_| self.taken.place.get() == Place::REST) {
            self.taken.place.set(self.owner.settle(Named::new(Some(name))));
        }
        if self.taken.place.get() != Place::REST
            && let Some(told) = self.told.borrow_mut().take()
        {
            self.model().told(&self.taken.terms, &told, self.taken.mark, now);
        }
    }

    /// The first token of its reply came, so long after it was sent: it is served.
    pub fn first_token(&self, after: Duration, now: Moment) -> Option<Transition> {
        self.heard.set(now.nanos);
        self.state.saw_first_token(after, now.nanos);
        self.served(now.nanos)
    }

    fn served(&self, now: u64) -> Option<Transition> {
        self.settle_model(now);
        self.model().serve();
        let account = self.epochs.probes_account.then(|| self.owner.machine.pass(self.epochs.account, now)).flatten();
        let key = self.epochs.probes_key.then(|| self.state.machine.pass(self.epochs.key, now)).flatten();
        account.or(key)
    }

    /// It is known how the attempt ended. `slots` is the pool that it was taken from, or what it has become since.
    pub fn judge(&mut self, verdict: Verdict, slots: &[Slot], now: Moment) -> Option<Transition> {
        self.heard.set(now.nanos);
        if std::mem::replace(&mut self.is_judged, true) {
            return None;
        }
        let (cause, told) = (verdict.cause, verdict.wait);
        let changed = match cause {
            Cause::Served => self.served(now.nanos),
            Cause::InvalidKey => {
                let may_enter = || guard::may_enter(slots, |slot| Arc::ptr_eq(&slot.state, &self.state), now.nanos);
                self.state.machine.fail(self.epochs.key, (cause, told), may_enter, now.nanos)
            }
            Cause::Exhausted => {
                let may_enter = || guard::may_enter(slots, |slot| Arc::ptr_eq(&slot.owner, &self.owner), now.nanos);
                let changed = self.owner.machine.fail(self.epochs.account, (cause, told), may_enter, now.nanos);
                changed.or(self.accepted(now.nanos))
            }
            Cause::RateLimited(dimension) => {
                if self.owner.has_room_for_refused() {
                    self.settle_model(now.nanos);
                }
                let by = (self.taken.mark, self.taken.random);
                let until = self.model().cool(&self.taken.terms, (verdict, dimension), by, now.nanos);
                let cools = Transition { from: Health::Active, to: Health::Cooling, cause, until: Some(until) };
                self.accepted(now.nanos).or(Some(cools))
            }
            Cause::UnknownModel | Cause::Forbidden => self.turn_off(cause, slots, now),
            Cause::Unreachable | Cause::Unprocessed => {
                self.was_sent = false;
                None
            }
            _ => None,
        };
        changed.or(self.release(now.nanos))
    }

    /// The key itself was accepted, whatever else was refused.
    fn accepted(&self, now: u64) -> Option<Transition> {
        self.epochs.probes_key.then(|| self.state.machine.pass(self.epochs.key, now)).flatten()
    }

    /// Whether a refusal of its model speaks against its account: if another one is known to serve that. Else it is the caller's
    /// mistake.
    #[must_use]
    pub fn is_served_elsewhere(&self, slots: &[Slot], now: Moment) -> bool {
        let name = match &self.taken.unknown {
            Some(name) => name,
            None if self.taken.place.get() == Place::REST => return false,
            None => &self.model().name,
        };
        !name.is_empty() && guard::is_served_elsewhere(slots, Named::new(Some(name)), &self.owner, now.nanos)
    }

    /// The account is not asked for this model for a while.
    fn turn_off(&self, cause: Cause, slots: &[Slot], now: Moment) -> Option<Transition> {
        if !self.is_served_elsewhere(slots, now) {
            return None;
        }
        let now = now.nanos;
        self.settle_model(now);
        if self.taken.place.get() == Place::REST {
            return None;
        }
        let until = self.model().turn_off(cause, now);
        Some(Transition { from: Health::Active, to: Health::Cooling, cause, until: Some(until) })
    }

    /// It was not sent after all: what it took is given back, and a probe is due again at once.
    pub fn unsent(mut self, now: Moment) {
        self.heard.set(now.nanos);
        self.was_sent = false;
    }

    /// Gives back what was not sent, and a probe that decided nothing.
    fn release(&mut self, now: u64) -> Option<Transition> {
        if !self.was_sent && self.taken.need != Need::default() {
            let need = std::mem::take(&mut self.taken.need);
            self.model().give_back(&self.taken.terms, need, now);
        }
        if !self.is_probe() {
            return None;
        }
        let epochs = std::mem::take(&mut self.epochs);
        let account = epochs.probes_account.then(|| self.owner.machine.undecided(epochs.account, self.was_sent, now)).flatten();
        let key = epochs.probes_key.then(|| self.state.machine.undecided(epochs.key, self.was_sent, now)).flatten();
        account.or(key)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.release(self.heard.get());
        self.state.ended();
    }
}
