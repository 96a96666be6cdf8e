//! The key pool, which key carries the next request: weighted, least in flight.
//!
//! Each key's load is what it has in flight over its weight; the key whose load would be smallest with
//! one more request takes it. Among equals the turn goes round, so that a quiet pool spreads its
//! traffic too. Counters are shared by all workers; two workers that decide at the same moment may both
//! see the same idle key, which costs one request of balance and nothing else.

pub mod homes;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
};

/// The numbers of one key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spec {
    /// Its share of the traffic against its neighbours' weights; 0 takes it out of use.
    pub weight: f64,
    /// Whose it is.
    pub account: Account,
}

/// Tells the accounts of one pool apart. Keys of one account share what it keeps: files, stored responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account(pub usize);

/// Among which keys to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// All that are in use.
    Any,
    /// Those of the account that keeps what is stored: the account of the first key in use. Objects are made there, and looked
    /// for as long as nobody knows which account made them.
    Home,
    /// Those of this account, which made the object that is asked for.
    Of(Account),
}

/// The counters of one key. They belong to the key, not to a generation of the config.
#[derive(Debug, Default)]
pub struct State {
    in_flight: AtomicU32,
    retired: AtomicBool,
    disabled: AtomicBool,
}

impl State {
    /// Requests that hold a lease on it now.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Takes the key out of use for good: it gets no new lease, from whichever generation; leases that run go on.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// The key is back in the config.
    pub fn revive(&self) {
        self.retired.store(false, Ordering::Release);
    }

    /// Whether it is in no config any more.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Takes the key out of use until [`Self::enable`]: it gets no new lease, from whichever generation; leases that run go on.
    pub fn disable(&self) {
        self.disabled.store(true, Ordering::Release);
    }

    /// Puts it back into use.
    pub fn enable(&self) {
        self.disabled.store(false, Ordering::Release);
    }

    /// Whether an operator has taken it out of use.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        self.disabled.load(Ordering::Acquire)
    }
}

/// Where the pool's turn stands, so that equals take turns.
#[derive(Debug, Default)]
pub struct Turn(AtomicUsize);

/// One key of a pool.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Its numbers.
    pub spec: Spec,
    /// Its counters.
    pub state: Arc<State>,
}

impl Slot {
    /// Whether it can be leased.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.spec.weight > 0.0 && !self.state.is_retired() && !self.state.is_disabled()
    }
}

/// The right to use one key for one attempt. `Drop` gives it back, also when the request is abandoned.
#[must_use = "a lease that is dropped is given back at once"]
#[derive(Debug)]
pub struct Lease {
    /// The place of the key in the slice that `acquire` was called with.
    pub index: usize,
    state: Arc<State>,
}

impl Lease {
    /// Whether the key was taken back since: what has not been sent yet may not be sent with it.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.state.is_retired() || self.state.is_disabled()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.state.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// No key of the pool is in use: all are retired, disabled or have weight 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

/// Leases the key that carries the least for its weight.
///
/// # Errors
///
/// [`Exhausted`] if no key is in use.
pub fn acquire(slots: &[Slot], turn: &Turn, choice: Choice) -> Result<Lease, Exhausted> {
    let only = match choice {
        Choice::Any => None,
        Choice::Of(account) => Some(account),
        Choice::Home => Some(slots.iter().find(|slot| slot.is_usable()).ok_or(Exhausted)?.spec.account),
    };
    let first = turn.0.fetch_add(1, Ordering::Relaxed) % slots.len().max(1);
    let (before, from) = slots.split_at(first);
    let in_turn = from.iter().chain(before).enumerate();
    let usable = in_turn.filter(|(_, slot)| slot.is_usable() && only.is_none_or(|account| slot.spec.account == account));
    let load = |slot: &Slot| f64::from(slot.state.in_flight() + 1) / slot.spec.weight;
    // `min_by` keeps the first of equals, and the first is whose turn it is.
    let (offset, slot) = usable.min_by(|(_, a), (_, b)| load(a).total_cmp(&load(b))).ok_or(Exhausted)?;
    slot.state.in_flight.fetch_add(1, Ordering::Relaxed);
    Ok(Lease { index: (first + offset) % slots.len(), state: Arc::clone(&slot.state) })
}

/// Whether any key is in use. Takes nothing, and nobody's turn.
#[must_use]
pub fn is_usable(slots: &[Slot]) -> bool {
    slots.iter().any(Slot::is_usable)
}

#[cfg(test)]
mod tests;
