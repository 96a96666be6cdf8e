//! What has been tried for one request, and what comes next.

use std::time::Duration;

use super::{
    Budget, Occasion, Spec, When,
    rule::{self, Again, Rule, Work},
};
use crate::{
    config::Ambiguous,
    types::{Cause, Moment, Repeat, Verdict, moment::nanos},
};

/// The first back-off is up to this long, and each next one twice as long.
const BACK_OFF: Duration = Duration::from_millis(250);

/// No back-off is longer.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(8);

/// Beyond it, SDKs take what they are told to wait for a mistake, and come back within seconds.
const CLIENTS_WAIT: Duration = Duration::from_secs(60);

/// What is known of a request before its first attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What a second send would do.
    pub repeat: Repeat,
    /// Whether the provider takes a second send for the first: an idempotent method (RFC 9110 §9.2.2), or an `idempotency-key`.
    pub is_idempotent: bool,
    /// Whether the key is the caller's own: then what is wrong with it is the caller's, and no other key is ours to try.
    pub key_is_callers: bool,
    /// How often the client has retried by itself, as `x-stainless-retry-count` says.
    pub client_retries: u32,
}

/// How one attempt ended, and what could be tried instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// What became of it.
    pub verdict: Verdict,
    /// Whether anything of its reply has gone down.
    pub has_begun: bool,
    /// Whether the request can be sent again as a whole: its body is kept, or nothing of it was taken.
    pub can_replay: bool,
    /// Whether the target has another key that serves this request and has not refused it.
    pub other_key: bool,
    /// When the next target takes over, if there is one.
    pub next_target: Option<When>,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Give the caller what there is.
    Pass,
    /// Send it to the same target with another key, at once.
    Swap,
    /// Send it to the same target again.
    Retry {
        /// Not sooner than after this.
        after: Duration,
    },
    /// Send it to the next target, at once.
    FallBack,
}

/// Why nothing more was tried, although the cause would have let it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The attempts are used up.
    Attempts,
    /// The provider's retry budget is used up.
    Budget,
    /// There is no time left, or not enough for the wait.
    Time,
    /// The wait that the provider has told does not fit into the time that is left, and is one that the client's SDK keeps to.
    Wait,
    /// The provider may have worked on it, or it must not be repeated.
    Repeat,
    /// Its body is gone.
    Body,
    /// A part of the reply has gone down.
    Begun,
}

impl Stop {
    /// The word for it in metrics and decisions.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Budget => "budget",
            Self::Time => "time",
            Self::Wait => "wait",
            Self::Repeat => "repeat",
            Self::Body => "body",
            Self::Begun => "begun",
        }
    }
}

/// The attempts of one request.
#[derive(Debug)]
pub struct Course {
    request: Request,
    /// The most attempts that count.
    most: u32,
    /// Those that did.
    made: u32,
    /// Retries on this target, by which back-offs grow.
    on_target: u32,
    /// Attempts that are kept for other targets.
    kept: u32,
    /// No attempt begins later, in nanoseconds.
    deadline: u64,
    stopped: Option<Stop>,
}

impl Course {
    /// Of a request that came at `began`.
    #[must_use]
    pub fn new(spec: &Spec, request: Request, began: Moment) -> Self {
        let most = spec.attempts.saturating_add(1).saturating_sub(request.client_retries).clamp(1, spec.attempts.max(1));
        Self { request, most, made: 0, on_target: 0, kept: 1, deadline: began.nanos.saturating_add(nanos(spec.within)), stopped: None }
    }

    /// No attempt begins later than this, on the clock of [`Moment::nanos`]. A caller that has less time says so with
    /// [`Self::hurry`].
    #[must_use]
    pub fn deadline(&self) -> u64 {
        self.deadline
    }

    /// The caller waits no longer than this, on the clock of [`Moment::nanos`].
    pub fn hurry(&mut self, deadline: u64) {
        self.deadline = self.deadline.min(deadline);
    }

    /// So long it waited for its turn, which is not held against it.
    pub fn extend(&mut self, waited: Duration) {
        self.deadline = self.deadline.saturating_add(nanos(waited));
    }

    /// So many targets could take over: each gets its attempt, as far as there are enough.
    pub fn keep(&mut self, attempts: u32) {
        self.kept = attempts;
    }

    /// Why the last [`Next::Pass`] was no other, where more would have been tried.
    #[must_use]
    pub fn stopped(&self) -> Option<Stop> {
        self.stopped
    }

    /// Whether it would be tried again, but all that may be spent on it was. A client that is told so need not find out by itself.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        match self.stopped {
            Some(Stop::Budget | Stop::Time) => true,
            Some(Stop::Attempts) => self.request.client_retries > 0,
            Some(Stop::Wait | Stop::Repeat | Stop::Body | Stop::Begun) | None => false,
        }
    }

    /// What to do after an attempt. `random` spreads the back-off; it is any number.
    pub fn next(&mut self, spec: &Spec, budget: &Budget, tried: &Tried, now: Moment, random: u64) -> Next {
        self.stopped = None;
        let cause = tried.verdict.cause;
        let rule = rule::of(cause);
        self.made += u32::from(rule.counts);
        let ours = !self.request.key_is_callers;
        let other_key = tried.other_key && ours;
        let takes_over = (ours || !is_about_the_key(rule)) && tried.next_target.is_some_and(|when| when.covers(Occasion::Ended(cause)));
        let could = takes_over
            || match rule.again {
                Again::No => false,
                Again::OtherKey => other_key,
                Again::RoomElsewhere => ours,
                Again::BackOff => true,
            };
        if !could {
            return Next::Pass;
        }
        if let Some(stop) = self.forbids(spec, rule, tried, now) {
            return self.stop(stop);
        }
        match rule.again {
            Again::OtherKey if other_key => Next::Swap,
            Again::No | Again::OtherKey => self.fall_back(),
            Again::RoomElsewhere | Again::BackOff => self.again(spec, budget, (tried, other_key, takes_over), now, random),
        }
    }

    /// What to do where a target could not even be asked. `next_target` is as in [`Tried`].
    pub fn skip(&mut self, why: Occasion, next_target: Option<When>, now: Moment) -> Next {
        self.stopped = None;
        match next_target.is_some_and(|when| when.covers(why)) {
            true if now.nanos >= self.deadline => self.stop(Stop::Time),
            true => self.fall_back(),
            false => Next::Pass,
        }
    }

    /// What stands against any further send.
    fn forbids(&self, spec: &Spec, rule: Rule, tried: &Tried, now: Moment) -> Option<Stop> {
        let ambiguous = match spec.ambiguous {
            Ambiguous::Never => false,
            Ambiguous::Idempotent => self.request.is_idempotent,
            Ambiguous::Always => true,
        };
        if tried.has_begun {
            Some(Stop::Begun)
        } else if !rule.work.may_repeat(self.request.repeat, ambiguous) {
            Some(Stop::Repeat)
        } else if !tried.can_replay {
            Some(Stop::Body)
        } else if rule.counts && self.made >= self.most {
            Some(Stop::Attempts)
        } else {
            (now.nanos >= self.deadline).then_some(Stop::Time)
        }
    }

    /// The same target once more, or else the next.
    fn again(
        &mut self,
        spec: &Spec,
        budget: &Budget,
        (tried, other_key, takes_over): (&Tried, bool, bool),
        now: Moment,
        random: u64,
    ) -> Next {
        let has_room_elsewhere = rule::of(tried.verdict.cause).again == Again::RoomElsewhere && other_key;
        let told = tried.verdict.wait.filter(|_| !has_room_elsewhere);
        let after = if has_room_elsewhere { Duration::ZERO } else { told.unwrap_or_default().max(self.back_off(random)) };
        let is_last = self.made.saturating_add(self.kept.max(1)) >= self.most;
        let is_gone = tried.verdict.cause == Cause::Unreachable;
        let waits_for_room = rule::of(tried.verdict.cause).again == Again::RoomElsewhere && !other_key;
        if takes_over && (is_last || is_gone || told.is_some() || waits_for_room) {
            return self.fall_back();
        }
        let stop = if !self.has_time(after, now) {
            if told.is_some_and(|told| told <= CLIENTS_WAIT) { Stop::Wait } else { Stop::Time }
        } else if !budget.withdraw(spec, now) {
            Stop::Budget
        } else {
            self.on_target += 1;
            return Next::Retry { after };
        };
        if takes_over { self.fall_back() } else { self.stop(stop) }
    }

    fn has_time(&self, after: Duration, now: Moment) -> bool {
        now.nanos.saturating_add(nanos(after)) < self.deadline
    }

    /// Full jitter: anything up to the bound, so that those that failed together do not come back together.
    fn back_off(&self, random: u64) -> Duration {
        let bound = BACK_OFF.saturating_mul(1 << self.on_target.min(16)).min(LONGEST_BACK_OFF);
        bound.mul_f64((random >> 11) as f64 / (1_u64 << 53) as f64)
    }

    fn fall_back(&mut self) -> Next {
        self.on_target = 0;
        Next::FallBack
    }

    fn stop(&mut self, why: Stop) -> Next {
        self.stopped = Some(why);
        Next::Pass
    }
}

/// Whether it says something of the key or its account alone.
fn is_about_the_key(rule: Rule) -> bool {
    matches!(rule.again, Again::OtherKey | Again::RoomElsewhere) && rule.work == Work::Not
}
