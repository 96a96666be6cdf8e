//! What is known of one model of an account: how long it is left alone, and what is left of its quota.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    health::{LONGEST, period},
    shadow::{Fit, Mark, Need, Shadow, Terms},
};
use crate::types::{
    headroom::Headroom,
    moment::nanos,
    verdict::{Cause, Dimension, Verdict},
};

/// The least that an account is left alone for a model, whatever is told.
const SHORTEST: u64 = 250_000_000;

/// The first wait where none is told: it doubles with each refusal in a row, and a part of it is drawn.
const FIRST: u64 = 1_000_000_000;

/// The longest wait where none is told.
const UNTOLD: u64 = 30_000_000_000;

/// How long an account is not asked for a model that it does not have.
const OFF: u64 = 3_600_000_000_000;

/// Bits of what is drawn that make the jitter.
const DRAWN: u32 = 32;

#[derive(Clone, Debug, Default)]
struct Inner {
    /// Refusals in a row without a time told.
    refused: u32,
    /// When it last began to cool.
    cooled: u64,
    /// Refusals of the model in a row.
    turned_off: u32,
    shadow: Shadow,
}

/// One model of one account.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// Its name; empty where requests name none, and for all those that found no place of their own.
    pub(super) name: Box<str>,
    pub(super) hash: u64,
    /// Until when it cools, by dimension.
    cooling: [AtomicU64; 3],
    off: AtomicU64,
    is_forbidden: AtomicBool,
    served: AtomicBool,
    /// Whether a provider has told what is left.
    is_told: AtomicBool,
    /// Whether a refusal is to be forgotten when a request is served.
    is_marked: AtomicBool,
    inner: Mutex<Inner>,
}

const DIMENSIONS: [Dimension; 3] = [Dimension::Requests, Dimension::Tokens, Dimension::Unknown];

fn place(dimension: Dimension) -> usize {
    match dimension {
        Dimension::Requests => 0,
        Dimension::Tokens => 1,
        Dimension::Unknown => 2,
    }
}

impl Model {
    /// A model that gets a place of its own. What was taken so far of what those without one share is taken of it too: nothing
    /// is granted twice.
    pub(super) fn new(name: Box<str>, hash: u64, rest: &Self) -> Self {
        let shadow = rest.lock().shadow.clone();
        let is_told = AtomicBool::new(shadow.is_told());
        Self { name, hash, is_told, inner: Mutex::new(Inner { shadow, ..Inner::default() }), ..Self::default() }
    }

    /// A panic elsewhere leaves it as it was: nothing in here stops half way.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until when it is left alone, and why.
    pub(super) fn cools(&self, now: u64) -> Option<(u64, Cause)> {
        let until = |place: usize| self.cooling[place].load(Ordering::Relaxed);
        let (last, dimension) = (0..3).map(|place| (until(place), place)).max()?;
        (last > now).then(|| (last, Cause::RateLimited(DIMENSIONS[dimension])))
    }

    /// Until when it is not asked for, and why.
    pub(super) fn is_off(&self, now: u64) -> Option<(u64, Cause)> {
        let (until, forbidden) = (self.off.load(Ordering::Relaxed), self.is_forbidden.load(Ordering::Relaxed));
        (until > now).then_some((until, if forbidden { Cause::Forbidden } else { Cause::UnknownModel }))
    }

    /// Whether a request for it was ever served.
    pub(super) fn was_served(&self) -> bool {
        self.served.load(Ordering::Relaxed)
    }

    /// Whether its quota affords it.
    pub(super) fn fit(&self, terms: &Terms, need: Need, now: u64) -> Fit {
        if terms.is_empty() && !self.is_told.load(Ordering::Relaxed) {
            return Fit::Unknown;
        }
        self.lock().shadow.fit(terms, need, now)
    }

    /// Takes it, if it can be afforded.
    pub(super) fn take(&self, terms: &Terms, need: Need, now: u64) -> Result<Mark, Fit> {
        self.lock().shadow.take(terms, need, now)
    }

    /// What was taken was not sent.
    pub(super) fn give_back(&self, terms: &Terms, need: Need, now: u64) {
        self.lock().shadow.give_back(terms, need, now);
    }

    /// What the provider told of its quota.
    pub(super) fn told(&self, terms: &Terms, headroom: &Headroom, mark: Mark, now: u64) {
        if headroom.requests.is_none() && headroom.tokens.is_none() {
            return;
        }
        let mut inner = self.lock();
        inner.shadow.told(terms, headroom, mark, now);
        self.is_told.store(inner.shadow.is_told(), Ordering::Relaxed);
    }

    /// A request for it was served.
    pub(super) fn serve(&self) {
        if !self.served.load(Ordering::Relaxed) {
            self.served.store(true, Ordering::Relaxed);
        }
        if self.is_marked.load(Ordering::Relaxed) {
            self.is_marked.store(false, Ordering::Relaxed);
            let mut inner = self.lock();
            (inner.refused, inner.turned_off) = (0, 0);
        }
    }

    /// The account has asked for more of it than it may. The later of two deadlines holds; what is told is stretched by up to a
    /// tenth, and never shortened. Returns until when.
    pub(super) fn cool(&self, terms: &Terms, (verdict, dimension): (Verdict, Dimension), (mark, random): (Mark, u64), now: u64) -> u64 {
        let part = f64::from(random as u32) / f64::from(u32::MAX);
        let mut inner = self.lock();
        let wait = match verdict.wait {
            Some(told) => stretched(told, part),
            // It was sent before the last refusal was known: that one has said it.
            None if inner.refused > 0 && mark.sent_at() <= inner.cooled => 0,
            None => {
                let most = FIRST.saturating_mul(1 << inner.refused.min(DRAWN - 1)).min(UNTOLD);
                inner.refused += 1;
                ((most as f64 * part) as u64).max(SHORTEST)
            }
        };
        inner.cooled = now;
        inner.shadow.refused(terms, dimension, mark, now);
        self.is_marked.store(true, Ordering::Relaxed);
        let until = now.saturating_add(wait);
        self.cooling[place(dimension)].fetch_max(until, Ordering::Relaxed).max(until)
    }

    /// The account does not have it, or may not have it. Returns until when it is not asked for it.
    pub(super) fn turn_off(&self, cause: Cause, now: u64) -> u64 {
        let mut inner = self.lock();
        let wait = if cause == Cause::Forbidden { period(cause, inner.turned_off) } else { OFF };
        if self.is_off(now).is_none() {
            inner.turned_off += 1;
        }
        self.is_marked.store(true, Ordering::Relaxed);
        self.is_forbidden.store(cause == Cause::Forbidden, Ordering::Relaxed);
        let until = now.saturating_add(wait);
        self.off.fetch_max(until, Ordering::Relaxed).max(until)
    }

    /// What is left of its quota.
    pub(super) fn headroom(&self, terms: &Terms, now: u64) -> Headroom {
        self.lock().shadow.standing(terms, now)
    }

    /// An operator says that all is well with it.
    pub(super) fn reset(&self) {
        self.cooling.iter().for_each(|until| until.store(0, Ordering::Relaxed));
        self.off.store(0, Ordering::Relaxed);
        *self.lock() = Inner::default();
        self.is_told.store(false, Ordering::Relaxed);
    }
}

/// What is told, within bounds: a quarter of a second, so that no refusal is asked for again at once, and [`LONGEST`], since a
/// quota by the day says hours and means it.
fn stretched(told: Duration, part: f64) -> u64 {
    let told = nanos(told).clamp(SHORTEST, LONGEST);
    told + (told as f64 * 0.1 * part) as u64
}
