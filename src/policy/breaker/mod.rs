//! Circuit breakers: what fails is left alone for a while.
//!
//! Each provider has one [`Board`] with a breaker for its host and one for each model that fails. A request asks both. Only what
//! blames a host counts, so that no caller and no key can open one:
//!
//! | end of an attempt | its model's breaker | the host's breaker |
//! | --- | --- | --- |
//! | served | success | success |
//! | a refusal: of the request, the model, the key, the account or the place | success: it answered | success |
//! | overloaded, server error, gateway timeout, malformed, broken off | failure | a probe's success: it answered; else nothing |
//! | no reply | failure | nothing |
//! | unreachable | nothing | failure |
//! | unprocessed, left, the permit was dropped | nothing | nothing |
//!
//! A breaker opens when in [`Spec::window`] at least [`Spec::minimum`] calls count and [`Spec::error_rate`] of them have failed; after
//! [`Spec::consecutive`] failures in a row, however long that took; or when four of five first tokens, and `minimum` of them at
//! least, took longer than [`Spec::slow`]. The host's also opens when most of its models' are open: three at least, and two thirds of
//! those that are open or were served within the window.
//!
//! | from | to | when |
//! | --- | --- | --- |
//! | closed | open | it trips, as above; for [`Spec::open`], spread by a fifth to either side |
//! | open | half-open | a request comes after that time: it is the first probe |
//! | half-open | closed | three probes have succeeded, or fewer and no other is under way |
//! | half-open | open | a probe has failed: for twice as long as the last time, ten times as long as the first at most |
//! | any | closed, open | an operator says so |
//!
//! - A call counts once, when its outcome is known: at its first token, or at its end if none came. A stream that breaks off after
//!   that is turned into a failure. So what counts and what fails is counted in the same window, however long streams are, and a
//!   long one does not hold up a recovery.
//! - Three probes are under way at most. If none of them has said anything for as long as the breaker is open at first, three more
//!   may begin: those that hang do not hold up a recovery either.
//! - A [`Permit`] carries the epoch in which it was taken. Each change begins a new one, so that a late result decides nothing.

mod board;
mod circuit;
mod models;
mod served;
mod window;
mod words;

use std::{sync::Arc, time::Duration};

pub use board::Board;
pub use words::{Forced, Phase, Refused, Scope, Standing, Transition, Why};

use board::transition;
use circuit::{Call, Hold, Outcome};
use models::{Name, Place};

use crate::types::{Action, Cause, Moment};

/// The numbers of one provider's breakers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spec {
    /// The share of calls that must have failed: 0 to 1.
    pub error_rate: f64,
    /// How far back calls count, in ten steps.
    pub window: Duration,
    /// The fewest calls from which a share is taken.
    pub minimum: u32,
    /// So many failures in a row are enough too.
    pub consecutive: u32,
    /// How long a breaker is open the first time.
    pub open: Duration,
    /// A first token that takes longer is slow.
    pub slow: Option<Duration>,
}

/// The right to make one attempt. It is settled once; `Drop` without that is as if it had never been.
#[must_use = "a permit that is dropped counts nowhere"]
#[derive(Debug)]
pub struct Permit {
    board: Arc<Board>,
    spec: Spec,
    place: Place,
    epoch: u64,
    host: Hold,
    model: Hold,
    has_begun: bool,
    is_over: bool,
    transitions: Vec<Transition>,
}

/// Asks host and model for a permit.
///
/// # Errors
///
/// [`Refused`] by the breaker that does not let it through.
pub fn acquire(spec: &Spec, board: &Arc<Board>, model: Option<&str>, now: Moment) -> Result<Permit, Refused> {
    let permit = |place, epoch| Permit {
        board: Arc::clone(board),
        spec: *spec,
        place,
        epoch,
        host: Hold::default(),
        model: Hold::default(),
        has_begun: false,
        is_over: false,
        transitions: Vec::new(),
    };
    if let Some(epoch) = board.calm() {
        let place = model.map_or(Place::Unnamed, |model| Name::new(model).map_or(Place::Others, Place::Own));
        return Ok(permit(place, epoch));
    }
    let mut locked = board.lock(spec, now.nanos);
    let place = locked.models().place(model, &board.served);
    locked.admits(&place)?;
    let mut permit = permit(place, 0);
    let (epoch, host, models) = locked.parts();
    let mut call = Call { spec, now: now.nanos, random: 0, taken: 0, epoch };
    let (hold, change) = host.admit(&mut call);
    permit.host = hold;
    permit.note(Scope::Host, change);
    if let Some((scope, circuit)) = models.get_mut(&permit.place, now.nanos) {
        let (hold, change) = circuit.admit(&mut call);
        permit.model = hold;
        permit.note(scope, change);
    }
    permit.epoch = locked.epoch();
    Ok(permit)
}

/// Whether [`acquire`] would give a permit. Takes nothing.
///
/// # Errors
///
/// [`Refused`] as it would.
pub fn peek(spec: &Spec, board: &Board, model: Option<&str>, now: Moment) -> Result<(), Refused> {
    if board.calm().is_some() {
        return Ok(());
    }
    let locked = board.lock(spec, now.nanos);
    locked.admits(&locked.models().place(model, &board.served))
}

impl Permit {
    /// What taking it has changed: a breaker that was open probes with it. What is not asked for here is told with what comes next.
    pub fn transitions(&mut self) -> Vec<Transition> {
        std::mem::take(&mut self.transitions)
    }

    /// The reply's first token has come, `after` the request was sent: the call counts as a success, unless it is too slow or fails
    /// later. Only the first call says anything. `random` spreads for how long a breaker opens.
    pub fn first_token(&mut self, after: Duration, now: Moment, random: u64) -> Vec<Transition> {
        if std::mem::replace(&mut self.has_begun, true) {
            return Vec::new();
        }
        let is_slow = self.spec.slow.is_some_and(|slow| after > slow);
        self.served(now);
        if is_slow || self.board.calm().is_none() {
            self.count(now, random, |circuit, hold, scope, call| circuit.first_token(hold, is_slow && scope != Scope::Host, call), is_slow);
        }
        self.transitions()
    }

    /// The attempt is over.
    pub fn settle(mut self, cause: Cause, now: Moment, random: u64) -> Vec<Transition> {
        self.is_over = true;
        if cause == Cause::Served && !self.has_begun {
            self.served(now);
        }
        let fails = matches!(cause.action(), Action::Count | Action::CountForAll);
        if fails || self.board.calm().is_none() {
            let has_failed = of_model(cause) != Outcome::Nothing && fails;
            self.count(
                now,
                random,
                |circuit, hold, scope, call| {
                    let outcome = if scope == Scope::Host { of_host(cause) } else { of_model(cause) };
                    circuit.end(hold, outcome, call)
                },
                has_failed,
            );
        }
        self.transitions()
    }

    fn served(&self, now: Moment) {
        if let Place::Own(name) = &self.place {
            self.board.served.saw(name.hash, now.nanos);
        }
    }

    /// Counts at the model, which may open the host's breaker too, and then at the host.
    fn count(
        &mut self,
        now: Moment,
        random: u64,
        mut count: impl FnMut(&mut circuit::Circuit, &mut Hold, Scope, &mut Call<'_>) -> Option<circuit::Change>,
        makes: bool,
    ) {
        let board = Arc::clone(&self.board);
        let mut locked = board.lock(&self.spec, now.nanos);
        let (epoch, _, models) = locked.parts();
        let spec = self.spec;
        if makes {
            models.make(&mut self.place, &spec, &board.served, now.nanos);
        }
        let mut call = Call { spec: &spec, now: now.nanos, random, taken: self.epoch, epoch };
        let mut has_opened = false;
        if let Some((scope, circuit)) = models.get_mut(&self.place, now.nanos) {
            let change = count(circuit, &mut self.model, scope, &mut call);
            has_opened = change.is_some_and(|change| change.to == Phase::Open);
            self.note(scope, change);
        }
        if has_opened {
            let change = locked.weigh_models(&board.served, (self.epoch, random));
            self.note(Scope::Host, change);
        }
        let (epoch, host, _) = locked.parts();
        let mut call = Call { spec: &spec, now: now.nanos, random, taken: self.epoch, epoch };
        let change = count(host, &mut self.host, Scope::Host, &mut call);
        self.note(Scope::Host, change);
    }

    fn note(&mut self, scope: Scope, change: Option<circuit::Change>) {
        let model = |place: &Place| if let (Scope::Model, Place::Own(name)) = (scope, place) { Some(name.text()) } else { None };
        self.transitions.extend(change.map(|change| transition(scope, model(&self.place), change)));
    }
}

impl Drop for Permit {
    /// A probe that says nothing makes room for another.
    fn drop(&mut self) {
        if self.is_over || !(self.host.is_probe() || self.model.is_probe()) {
            return;
        }
        let board = Arc::clone(&self.board);
        // Nobody knows the time here, and nothing needs it: at its beginning nothing that is counted is past.
        let mut locked = board.lock(&self.spec, 0);
        let (_, host, models) = locked.parts();
        host.abandon(&mut self.host, self.epoch);
        if let Some((_, circuit)) = models.get_mut(&self.place, 0) {
            circuit.abandon(&mut self.model, self.epoch);
        }
    }
}

/// What the end of an attempt says of its model at this host.
fn of_model(cause: Cause) -> Outcome {
    match cause.action() {
        _ if cause == Cause::Left => Outcome::Nothing,
        Action::Count => Outcome::Failure(Why::Failures(cause)),
        Action::CountForAll => Outcome::Nothing,
        Action::Avoid if cause == Cause::Unprocessed => Outcome::Nothing,
        Action::Pass | Action::Cool | Action::Quarantine | Action::TurnOff | Action::Avoid => Outcome::Success,
    }
}

/// What it says of the host as a whole.
fn of_host(cause: Cause) -> Outcome {
    match cause.action() {
        Action::CountForAll => Outcome::Failure(Why::Failures(cause)),
        Action::Count if cause == Cause::NoReply => Outcome::Nothing,
        Action::Count => Outcome::Answer,
        Action::Pass | Action::Cool | Action::Quarantine | Action::TurnOff | Action::Avoid => of_model(cause),
    }
}

#[cfg(test)]
mod tests;
