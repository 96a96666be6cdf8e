//! Who is in line, and who was handed a slot.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};

use super::{Entry, Slot, Spec, Ticket, drain::Drain};
use crate::types::Moment;

/// The line before one provider, shared by all workers and all generations of the config.
#[derive(Debug, Default)]
pub struct Line(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    /// The most in flight, as the last that asked or [`Line::follow`] said.
    concurrent: u32,
    /// Slots that are held, those included that were handed over and not yet looked for.
    in_flight: u32,
    /// By number; a waker once the ticket has been polled.
    waiting: BTreeMap<u64, Option<Waker>>,
    /// Tickets whose slot waits for them: each is counted in `in_flight`.
    handed: BTreeSet<u64>,
    next: u64,
    drain: Drain,
}

impl Line {
    /// Requests that hold a slot, those included that were just handed one.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.places().in_flight
    }

    /// Requests in line.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.places().waiting_count()
    }

    /// So many may be in flight from now on: if that is more, those who wait go at once.
    pub fn follow(&self, concurrent: u32) {
        let mut places = self.places();
        places.concurrent = concurrent;
        let woken = places.hand_over();
        drop(places);
        wake(woken);
    }

    pub(super) fn enter(self: &Arc<Self>, spec: &Spec, now: Moment) -> Entry {
        let mut places = self.places();
        places.look(now);
        places.concurrent = spec.concurrent;
        let woken = places.hand_over();
        // Nobody waits as long as there is room.
        let entry = if places.in_flight < spec.concurrent {
            places.in_flight += 1;
            Entry::Admitted(Slot { line: Arc::clone(self) })
        } else if places.waiting_count() < spec.waiting {
            places.drain.look(true, now);
            let number = places.next;
            places.next += 1;
            places.waiting.insert(number, None);
            Entry::Waiting(Ticket { line: Arc::clone(self), number, is_used: false })
        } else {
            Entry::Full { retry_after: places.drain.wait(places.waiting.len() + 1) }
        };
        drop(places);
        wake(woken);
        entry
    }

    /// A slot comes free.
    pub(super) fn free(&self) {
        let mut places = self.places();
        places.in_flight -= 1;
        places.drain.freed();
        let woken = places.hand_over();
        drop(places);
        wake(woken);
    }

    /// Whether the ticket has been handed its slot, which it then has; else it is woken when it is.
    pub(super) fn claim(&self, number: u64, waker: &Waker) -> bool {
        let mut places = self.places();
        if places.handed.remove(&number) {
            return true;
        }
        // The old waker is dropped after the lock: what it does then is not ours.
        let old = match places.waiting.get_mut(&number) {
            Some(Some(known)) if known.will_wake(waker) => None,
            Some(place) => place.replace(waker.clone()),
            None => None,
        };
        drop(places);
        drop(old);
        false
    }

    /// The ticket is given up.
    pub(super) fn leave(&self, number: u64) {
        let mut places = self.places();
        let left = places.waiting.remove(&number);
        let mut woken = Vec::new();
        if places.handed.remove(&number) {
            places.in_flight -= 1;
            woken = places.hand_over();
        }
        drop(places);
        drop(left);
        wake(woken);
    }

    pub(super) fn retry_after(&self, number: u64, now: Moment) -> Duration {
        let mut places = self.places();
        places.look(now);
        let place = places.waiting.range(..=number).count();
        places.drain.wait(place)
    }

    /// A panic elsewhere leaves the line as it was: nothing in here stops half way.
    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    fn look(&mut self, now: Moment) {
        self.drain.look(!self.waiting.is_empty(), now);
    }

    fn waiting_count(&self) -> u32 {
        u32::try_from(self.waiting.len()).unwrap_or(u32::MAX)
    }

    /// Gives what is free to the first in line. Whom to wake: not under the lock, since a waker may do anything.
    fn hand_over(&mut self) -> Vec<Waker> {
        let mut woken = Vec::new();
        while self.in_flight < self.concurrent {
            let Some((number, waker)) = self.waiting.pop_first() else { break };
            self.in_flight += 1;
            self.handed.insert(number);
            woken.extend(waker);
        }
        woken
    }
}

fn wake(woken: Vec<Waker>) {
    woken.into_iter().for_each(Waker::wake);
}
