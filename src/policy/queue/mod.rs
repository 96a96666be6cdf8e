//! Slots at a provider: at most so many requests in flight, and a bounded line of those that wait for one.
//!
//! First come, first served, over all workers. A slot that comes free is handed to the first in line and to nobody else, so
//! that no newcomer slips in between; who waits is woken once, with the slot already its own. One short lock guards it all, and
//! nobody is woken under it.
//!
//! | | in line | in flight |
//! | --- | --- | --- |
//! | [`enter`] | +1, if it must wait | +1, if it need not |
//! | a slot comes free, nobody waits | | −1 |
//! | a slot comes free, somebody waits | −1 | |
//! | a [`Ticket`] is dropped in line | −1 | |
//! | a [`Ticket`] is dropped that was handed its slot | | as if the slot came free |

mod drain;
mod line;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

pub use line::Line;

use crate::types::Moment;

/// The numbers of one provider's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The most requests in flight.
    pub concurrent: u32,
    /// The most that wait.
    pub waiting: u32,
    /// The longest that one of them waits. The clock is the caller's: it drops the ticket when this is over.
    pub timeout: Duration,
}

/// What becomes of a request that asks for a slot.
#[derive(Debug)]
pub enum Entry {
    /// It may go at once.
    Admitted(Slot),
    /// It is in line.
    Waiting(Ticket),
    /// The line is full.
    Full {
        /// After how long there is likely to be room: a second to a minute.
        retry_after: Duration,
    },
}

/// Asks for a slot. What `spec` says holds from now on for all that wait too.
pub fn enter(spec: &Spec, line: &Arc<Line>, now: Moment) -> Entry {
    line.enter(spec, now)
}

/// The right to be in flight. `Drop` gives it to the first in line.
#[must_use = "a slot that is dropped is given on at once"]
#[derive(Debug)]
pub struct Slot {
    line: Arc<Line>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.line.free();
    }
}

/// A place in the line, which becomes a slot. `Drop` leaves the line; a slot that had just been handed over goes to the next.
#[must_use = "a ticket that is dropped leaves the line"]
#[derive(Debug)]
pub struct Ticket {
    line: Arc<Line>,
    /// Those in line have ascending numbers.
    number: u64,
    /// Its slot was taken out of it.
    is_used: bool,
}

impl Ticket {
    /// After how long somebody who is told to come again is likely to be served: by what is before this one in line and by how
    /// fast slots came free, from a second to a minute.
    #[must_use]
    pub fn retry_after(&self, now: Moment) -> Duration {
        self.line.retry_after(self.number, now)
    }
}

impl Future for Ticket {
    type Output = Slot;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Slot> {
        if self.is_used || !self.line.claim(self.number, cx.waker()) {
            return Poll::Pending;
        }
        self.is_used = true;
        Poll::Ready(Slot { line: Arc::clone(&self.line) })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.is_used {
            self.line.leave(self.number);
        }
    }
}

#[cfg(test)]
mod tests;
