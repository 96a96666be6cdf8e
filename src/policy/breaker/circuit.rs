//! One breaker: its phase, what it has counted, and how one leads to the other.
//!
//! It counts nothing as long as nothing goes wrong, so that a healthy host costs nothing: from the first failure or slow first
//! token on it counts all calls, until a success finds none of them left in the window. So the share of failures is never too
//! low, and too high at most by what went well before the first of them.

use super::{
    Spec,
    window::{Counts, Window},
    words::{Forced, Phase, Why},
};
use crate::types::moment::nanos;

/// Probes at the same time.
pub(super) const PROBES: u32 = 3;

/// So many successes in a row close it; fewer do where no further probe is under way.
const SUCCESSES: u32 = 3;

/// It is open up to so many times as long as the first time: 5 minutes at 30 seconds.
const LONGEST: u32 = 10;

/// Half the spread of the time for which it is open, so that replicas do not probe at the same moment.
const JITTER: f64 = 0.2;

/// The share of slow first tokens that opens it.
const SLOW: f64 = 0.8;

/// Where all probes are under way, one may be free again after this long, in nanoseconds.
const PROBE: u64 = 1_000_000_000;

/// The breaker of a host, of a model, or of those without one.
#[derive(Debug)]
pub(super) struct Circuit {
    state: State,
    /// The epoch in which it came to this phase. What a permit from before says, decides nothing any more.
    epoch: u64,
    window: Window,
    /// Failures in a row.
    run: u32,
    /// Runs that a success has ended.
    runs: u32,
    /// How often in a row it has opened again after its probes.
    reopened: u32,
    why: Why,
    forced: Option<Forced>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open {
        until: u64,
    },
    HalfOpen {
        round: Round,
        /// Probes of this round that are under way.
        out: u32,
        successes: u32,
        /// From then on, a new round of probes may begin, although those of this one say nothing yet: each is one more chance
        /// while the old ones may hang until their timeouts.
        until: u64,
    },
}

/// Tells the rounds of probes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Round(u64);

/// What a permit holds of one circuit.
#[derive(Debug, Default)]
pub(super) struct Hold {
    /// The round of probes that it belongs to, as long as it is one of those under way.
    probe: Option<Round>,
    /// It was counted as a success at its first token.
    counted: Option<Counted>,
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    bucket: u64,
    /// Failures in a row before it.
    run: u32,
    /// [`Circuit::runs`] with that one.
    runs: u32,
}

/// What an end says of one circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure(Why),
    /// It shows that it can be reached and no more: enough for a probe.
    Answer,
    Nothing,
}

/// A change of phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) from: Phase,
    pub(super) to: Phase,
    pub(super) why: Why,
    pub(super) until: Option<u64>,
}

/// What each call brings along.
#[derive(Debug)]
pub(super) struct Call<'c> {
    pub(super) spec: &'c Spec,
    pub(super) now: u64,
    pub(super) random: u64,
    /// The epoch in which the permit was taken.
    pub(super) taken: u64,
    /// The board's epoch, which counts up with each change.
    pub(super) epoch: &'c mut u64,
}

impl Hold {
    /// Whether it takes the place of a probe.
    pub(super) fn is_probe(&self) -> bool {
        self.probe.is_some()
    }
}

impl Circuit {
    pub(super) fn new(epoch: u64) -> Self {
        let (state, why) = (State::Closed, Why::Recovered);
        Self { state, epoch, window: Window::default(), run: 0, runs: 0, reopened: 0, why, forced: None }
    }

    pub(super) fn phase(&self) -> Phase {
        match (self.forced, self.state) {
            (Some(Forced::Open), _) | (None, State::Open { .. }) => Phase::Open,
            (Some(Forced::Closed), _) | (None, State::Closed) => Phase::Closed,
            (None, State::HalfOpen { .. }) => Phase::HalfOpen,
        }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn why(&self) -> Why {
        self.why
    }

    pub(super) fn forced(&self) -> Option<Forced> {
        self.forced
    }

    pub(super) fn consecutive(&self) -> u32 {
        self.run
    }

    pub(super) fn counts(&self, spec: &Spec, now: u64) -> Counts {
        self.window.sum(spec.window, now)
    }

    pub(super) fn probes(&self) -> u32 {
        if let State::HalfOpen { out, .. } = self.state { out } else { 0 }
    }

    pub(super) fn until(&self) -> Option<u64> {
        if let (None, State::Open { until }) = (self.forced, self.state) { Some(until) } else { None }
    }

    /// Whether it says no more than a new one would, but for failures in a row that may go on.
    pub(super) fn is_idle(&self, spec: &Spec, now: u64) -> bool {
        self.forced.is_none() && self.state == State::Closed && self.counts(spec, now) == Counts::default()
    }

    /// Whether it says no more than a new one would.
    pub(super) fn is_quiet(&self, spec: &Spec, now: u64) -> bool {
        let counts = self.counts(spec, now);
        self.forced.is_none() && self.state == State::Closed && self.run == 0 && counts.failures == 0 && counts.slow == 0
    }

    /// Whether it lets a request through; if not, when to ask again.
    pub(super) fn admits(&self, spec: &Spec, now: u64) -> Result<(), u64> {
        match (self.forced, self.state) {
            (Some(Forced::Closed), _) | (None, State::Closed) => Ok(()),
            (Some(Forced::Open), _) => Err(now.saturating_add(nanos(spec.open))),
            (None, State::Open { until }) if now < until => Err(until),
            (None, State::HalfOpen { out, until, .. }) if out >= PROBES && now < until => Err(until.min(now.saturating_add(PROBE))),
            (None, State::Open { .. } | State::HalfOpen { .. }) => Ok(()),
        }
    }

    /// Lets a request through for which [`Self::admits`] was asked.
    pub(super) fn admit(&mut self, call: &mut Call<'_>) -> (Hold, Option<Change>) {
        if self.forced.is_some() || self.state == State::Closed {
            return (Hold::default(), None);
        }
        let until = call.now.saturating_add(nanos(call.spec.open));
        let change = match &mut self.state {
            State::HalfOpen { out, .. } if *out < PROBES => {
                *out += 1;
                None
            }
            State::HalfOpen { round, out, until: ends, .. } => {
                *call.epoch += 1;
                (*round, *out, *ends) = (Round(*call.epoch), 1, until);
                None
            }
            State::Open { .. } | State::Closed => {
                let from = self.phase();
                *call.epoch += 1;
                let round = Round(*call.epoch);
                Some(self.turn(from, State::HalfOpen { round, out: 1, successes: 0, until }, Why::Waited, call))
            }
        };
        let probe = if let State::HalfOpen { round, .. } = self.state { Some(round) } else { None };
        (Hold { probe, counted: None }, change)
    }

    /// The first token has come after that long.
    pub(super) fn first_token(&mut self, hold: &mut Hold, is_slow: bool, call: &mut Call<'_>) -> Option<Change> {
        if self.is_past(call) {
            return None;
        }
        match self.state {
            State::HalfOpen { .. } if is_slow => self.fail(hold, Why::Slow, call),
            State::HalfOpen { .. } => self.succeed(hold, call),
            State::Closed if !is_slow && self.is_quiet(call.spec, call.now) => None,
            State::Closed => {
                let run = std::mem::take(&mut self.run);
                self.runs = self.runs.wrapping_add(1);
                let bucket = self.window.count(call.spec.window, Counts::first_token(is_slow), call.now);
                hold.counted = Some(Counted { bucket, run, runs: self.runs });
                let counts = self.counts(call.spec, call.now);
                let is_sluggish = counts.begun >= call.spec.minimum && f64::from(counts.slow) >= SLOW * f64::from(counts.begun);
                (is_slow && is_sluggish).then(|| self.open(Why::Slow, call))
            }
            State::Open { .. } => None,
        }
    }

    /// The attempt is over, and the permit with it.
    pub(super) fn end(&mut self, hold: &mut Hold, outcome: Outcome, call: &mut Call<'_>) -> Option<Change> {
        if self.is_past(call) {
            return None;
        }
        match (self.state, outcome) {
            (State::Open { .. }, _) => None,
            (State::HalfOpen { .. }, Outcome::Success | Outcome::Answer) => self.succeed(hold, call),
            (State::HalfOpen { .. } | State::Closed, Outcome::Failure(why)) => self.fail(hold, why, call),
            (State::HalfOpen { .. }, Outcome::Nothing) => {
                self.give_back(hold);
                self.close_if_all_succeeded(call)
            }
            (State::Closed, Outcome::Success) if hold.counted.is_none() => {
                if !self.is_quiet(call.spec, call.now) {
                    self.run = 0;
                    self.runs = self.runs.wrapping_add(1);
                    self.window.count(call.spec.window, Counts::SUCCESS, call.now);
                }
                None
            }
            (State::Closed, Outcome::Success | Outcome::Answer | Outcome::Nothing) => None,
        }
    }

    /// The permit from that epoch is dropped.
    pub(super) fn abandon(&mut self, hold: &mut Hold, taken: u64) {
        if taken >= self.epoch {
            self.give_back(hold);
        }
    }

    /// Opens it, since most of what it stands for is open.
    pub(super) fn open_for_models(&mut self, call: &mut Call<'_>) -> Option<Change> {
        (self.forced.is_none() && self.phase() != Phase::Open).then(|| self.open(Why::Models, call))
    }

    /// Puts it where an operator wants it, with nothing counted; `None` leaves it to itself again.
    pub(super) fn force(&mut self, forced: Option<Forced>, epoch: &mut u64) -> Change {
        let from = self.phase();
        *epoch += 1;
        *self = Self { forced, why: Why::Operator, ..Self::new(*epoch) };
        Change { from, to: self.phase(), why: Why::Operator, until: None }
    }

    /// Whether the permit is from another time, or nothing counts.
    fn is_past(&self, call: &Call<'_>) -> bool {
        self.forced.is_some() || call.taken < self.epoch
    }

    fn fail(&mut self, hold: &mut Hold, why: Why, call: &mut Call<'_>) -> Option<Change> {
        if self.state != State::Closed {
            return Some(self.open(why, call));
        }
        let still_counts = |counted: &Counted| Window::covers(call.spec.window, counted.bucket, call.now);
        let counts = if hold.counted.as_ref().is_some_and(still_counts) { Counts::TURNED } else { Counts::FAILURE };
        self.window.count(call.spec.window, counts, call.now);
        // It began well and ended badly: the run that it seemed to end goes on, unless another has ended it too.
        let before = hold.counted.filter(|counted| counted.runs == self.runs).map_or(0, |counted| counted.run);
        self.run = self.run.saturating_add(before).saturating_add(1);
        let counts = self.counts(call.spec, call.now);
        let is_failing = counts.total >= call.spec.minimum && f64::from(counts.failures) >= call.spec.error_rate * f64::from(counts.total);
        (is_failing || self.run >= call.spec.consecutive).then(|| self.open(why, call))
    }

    /// A probe succeeds: once, be it at its first token or at its end.
    fn succeed(&mut self, hold: &mut Hold, call: &mut Call<'_>) -> Option<Change> {
        hold.probe?;
        self.give_back(hold);
        if let State::HalfOpen { successes, .. } = &mut self.state {
            *successes += 1;
        }
        self.close_if_all_succeeded(call)
    }

    /// The probe is no longer under way.
    fn give_back(&mut self, hold: &mut Hold) {
        let probe = hold.probe.take();
        if let State::HalfOpen { round, out, .. } = &mut self.state
            && probe == Some(*round)
        {
            *out -= 1;
        }
    }

    fn close_if_all_succeeded(&mut self, call: &mut Call<'_>) -> Option<Change> {
        let State::HalfOpen { out, successes, .. } = self.state else { return None };
        let is_enough = successes >= SUCCESSES || (successes > 0 && out == 0);
        is_enough.then(|| {
            self.reopened = 0;
            self.turn(Phase::HalfOpen, State::Closed, Why::Recovered, call)
        })
    }

    fn open(&mut self, why: Why, call: &mut Call<'_>) -> Change {
        let from = self.phase();
        self.reopened = if from == Phase::HalfOpen { self.reopened.saturating_add(1) } else { 0 };
        let times = 1_u32.checked_shl(self.reopened).unwrap_or(LONGEST).min(LONGEST);
        let spread = (call.random >> 11) as f64 / (1_u64 << 53) as f64;
        let length = nanos(call.spec.open.saturating_mul(times)) as f64 * (1.0 - JITTER + 2.0 * JITTER * spread);
        self.turn(from, State::Open { until: call.now.saturating_add(length as u64) }, why, call)
    }

    /// Every phase begins a new epoch, with nothing counted.
    fn turn(&mut self, from: Phase, state: State, why: Why, call: &mut Call<'_>) -> Change {
        *call.epoch += 1;
        (self.state, self.why, self.epoch) = (state, why, *call.epoch);
        (self.window, self.run) = (Window::default(), 0);
        Change { from, to: self.phase(), why, until: self.until() }
    }
}
