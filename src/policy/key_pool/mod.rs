//! The key pool: which key carries the next request, and what the end of each request says about keys and their accounts.
//!
//! A key is good or bad as a whole ([`health`]); what it may carry belongs to its account, model by model ([`account`],
//! [`shadow`]). A request goes to a key that is sound and whose account can afford it ([`acquire`]); where nothing is known of
//! any account's quota, to the one with the least in flight for its weight. Nothing is ever sent to an account that is known to
//! be empty: [`Unavailable::Until`] says when it will not be, and the caller waits.
//!
//! Counters are shared by all workers and all generations of the config; numbers come with each call. One account has one
//! short lock for each model, and none where nothing is known of its quota.

pub mod account;
mod bucket;
mod choose;
mod drawn;
mod guard;
mod health;
pub mod homes;
mod key;
mod lease;
mod model;
mod scan;
mod shadow;
mod standing;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

pub use choose::{acquire, could_acquire};
pub use health::{Health, Transition};
pub use key::State;
pub use lease::{Lease, Why};
pub use standing::{ModelStanding, Standing};

use crate::types::verdict::Cause;

/// So much of something in so long, for one model of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How many: as many may be used at once.
    pub amount: u64,
    /// In how long it comes back.
    pub window: Duration,
}

/// The numbers of one key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spec {
    /// Its share of the traffic against its neighbours' weights; 0 takes it out of use.
    pub weight: f64,
    /// Whose it is.
    pub account: Account,
    /// How many requests the account may send for each model, where the operator says so.
    pub requests: Option<Quota>,
    /// How many tokens, prompt and reply together.
    pub tokens: Option<Quota>,
    /// Whether prompts that begin alike go to the same account, for its prompt cache.
    pub affinity: bool,
}

impl Spec {
    /// A key of which nothing is known but its weight and whose it is.
    #[must_use]
    pub const fn of(weight: f64, account: Account) -> Self {
        Self { weight, account, requests: None, tokens: None, affinity: false }
    }
}

/// Tells the accounts of one pool apart. Keys of one account share its quotas and what it keeps: files, stored responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account(pub usize);

/// Among which keys to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// All that are in use.
    Any,
    /// Those of the account that keeps what is stored: the account of the first key in use. Where nobody remembers which
    /// account made an object, it is made and looked for there.
    Home,
    /// Those of this account: it is known to keep what the request names.
    Of(Account),
}

/// Keys that refused a request: it does not go to them again.
#[derive(Clone, Debug, Default)]
pub struct Tried(Vec<Arc<State>>);

impl Tried {
    /// This key has refused it.
    pub fn add(&mut self, lease: &Lease) {
        if !self.contains(lease.key()) {
            self.0.push(Arc::clone(lease.key()));
        }
    }

    /// How many have.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn contains(&self, state: &Arc<State>) -> bool {
        self.0.iter().any(|tried| Arc::ptr_eq(tried, state))
    }
}

/// What a request asks of the pool.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Among which keys.
    pub choice: Choice,
    /// The model, by the name that the provider knows; none where the request names none.
    pub model: Option<&'a str>,
    /// Tokens that it may take, prompt and reply together.
    pub tokens: u64,
    /// How its prompt begins, where that is long enough for a provider to remember.
    pub prefix: Option<u64>,
    /// Keys that refused it.
    pub tried: &'a Tried,
    /// Whether it can be sent once more, should the key refuse it. One that can't is no probe as long as a sound key is there.
    pub repeatable: bool,
    /// A number drawn for this call.
    pub random: u64,
}

/// Where the pool's turn stands, so that equals take turns.
#[derive(Debug, Default)]
pub struct Turn {
    next: AtomicUsize,
    /// When a quarantined key was last asked before its time, for want of any other; 0 is never.
    last_resort: AtomicU64,
}

impl Turn {
    /// Whose turn it is among so many.
    fn take(&self, keys: usize) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed) % keys.max(1)
    }
}

/// One key of a pool.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Its numbers.
    pub spec: Spec,
    /// Its state.
    pub state: Arc<State>,
    /// The state of its account, which it shares with the account's other keys.
    pub owner: Arc<account::State>,
}

impl Slot {
    /// Whether it is in use, be it sound or not.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.spec.weight > 0.0 && !self.state.is_retired() && !self.state.is_disabled()
    }

    /// Forgets all that speaks against the key and its account: an operator knows better.
    pub fn reset(&self) {
        self.state.machine.reset();
        self.owner.reset();
    }
}

/// No key of the pool can serve, and there is nothing to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

/// Why no key was leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// There is nothing to wait for: no key is in use that did not refuse the request, or all are quarantined for longer than
    /// anybody waits.
    Exhausted(Exhausted),
    /// The earliest moment at which one can afford it. It may be taken by somebody else then: ask again.
    Until {
        /// As [`crate::types::Moment::nanos`].
        nanos: u64,
        /// What it waits for.
        why: Cause,
    },
}

/// Whether any key is in use. Takes nothing, and nobody's turn.
#[must_use]
pub fn is_usable(slots: &[Slot]) -> bool {
    slots.iter().any(Slot::is_usable)
}

#[cfg(test)]
mod tests;
