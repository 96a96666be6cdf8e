//! What keeps a request alive where a key, a model or a host fails: numbers of the config beside the states they are used with.

use std::{sync::Arc, time::Duration};

use crate::{
    config,
    policy::{
        breaker::{self, Board, Permit, Refused},
        key_pool::Quota,
        queue::{self, Entry, Line},
        retry,
    },
    types::{Moment, Rate, Window},
};

/// A provider's breakers, with the numbers of this generation.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The numbers.
    pub spec: breaker::Spec,
    /// The breakers.
    pub board: Arc<Board>,
}

impl Guard {
    pub(super) fn new(numbers: &config::Breaker, board: Arc<Board>) -> Self {
        let config::Breaker { error_rate, window, minimum, consecutive, open, slow } = numbers;
        let spec = breaker::Spec {
            error_rate: error_rate.fraction(),
            window: window.0,
            minimum: minimum.get(),
            consecutive: consecutive.get(),
            open: open.0,
            slow: slow.map(|slow| slow.0),
        };
        Self { spec, board }
    }

    /// The leave to make one attempt.
    ///
    /// # Errors
    ///
    /// [`Refused`] where host or model is left alone.
    pub fn acquire(&self, model: Option<&str>, now: Moment) -> Result<Permit, Refused> {
        breaker::acquire(&self.spec, &self.board, model, now)
    }

    /// Whether [`Self::acquire`] would give it. Takes nothing.
    ///
    /// # Errors
    ///
    /// [`Refused`] as it would.
    pub fn peek(&self, model: Option<&str>, now: Moment) -> Result<(), Refused> {
        breaker::peek(&self.spec, &self.board, model, now)
    }
}

/// A provider's places for requests at the same time, with the numbers of this generation.
#[derive(Clone, Debug)]
pub struct Queue {
    /// The numbers.
    pub spec: queue::Spec,
    /// The places, and who waits for one.
    pub line: Arc<Line>,
}

impl Queue {
    pub(super) fn new(numbers: &config::Queue, line: Arc<Line>) -> Self {
        let config::Queue { concurrent, waiting, timeout } = *numbers;
        Self { spec: queue::Spec { concurrent: concurrent.get(), waiting, timeout: timeout.0 }, line }
    }
}

/// Where requests wait for a key that can afford them: who came first looks for one.
#[derive(Debug, Default)]
pub struct Waiting {
    /// Of models that fall to the same line, one may wait for another's key.
    lines: [Arc<Line>; LINES],
}

/// So many lines; a provider has seldom more models that are short of keys.
const LINES: usize = 8;

impl Waiting {
    /// Waits for the turn of a request for this model, however long. Dropped, it leaves the line; its end is given back by `Drop`.
    pub async fn turn(&self, model: Option<&str>, now: Moment) -> Option<queue::Slot> {
        const ONE: queue::Spec = queue::Spec { concurrent: 1, waiting: u32::MAX, timeout: Duration::MAX };
        let at = model.unwrap_or_default().bytes().fold(0, |sum: usize, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        match queue::enter(&ONE, &self.lines[at % LINES], now) {
            Entry::Admitted(slot) => Some(slot),
            Entry::Waiting(ticket) => Some(ticket.await),
            Entry::Full { .. } => None,
        }
    }
}

/// The numbers of retries.
pub(super) fn retry(numbers: &config::Retry) -> retry::Spec {
    let config::Retry { attempts, budget, floor, ambiguous, within } = *numbers;
    retry::Spec { attempts: attempts.get(), budget: budget.fraction(), floor: floor.into(), ambiguous, within: within.0 }
}

/// What an account may use of each model. What follows the calendar is counted as what comes back within it.
pub(super) fn quota(rate: Rate) -> Quota {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let window = match rate.window {
        Window::Sliding(length) => length,
        Window::Day => DAY,
        Window::Month => 30 * DAY,
    };
    Quota { amount: rate.amount.get(), window }
}
