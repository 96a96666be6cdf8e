//! Step 8: deliver the request, to the first target that serves it.
//!
//! A loop over targets and attempts: look at the breaker, take a place and a key (the only wait), the breaker's leave, send, see
//! what its end says and about whom, and then pass on what there is, or try a key, the same, or the next target. Nothing is tried
//! any more once a byte has gone down.
//!
//! A request may wait for a connection with the key that it has taken: if that is taken back meanwhile, it goes out
//! with another.
//!
//! Cancel: the future is dropped, the attempt ends at once, and what was taken gives itself back. It counts against nobody.

mod doubts;
mod errand;
mod plan;
mod send;
mod stopped;
mod taken;

use std::{rc::Rc, sync::Arc};

use http::{HeaderValue, Response};
use tokio::time::sleep;

use self::{doubts::Doubts, errand::Errand, plan::Plan, send::Ended, stopped::Stopped};
use super::{
    Generations,
    admit::Admitted,
    attempt::Way,
    client::Client,
    holds::Holds,
    reject::{Reject, Unserved},
    trail::Trail,
};
use crate::{
    policy::{
        key_pool::{Tried, homes::Whose},
        retry::{self, Course, Next, Occasion, Stop},
    },
    runtime::{Route, Snapshot, Target, snapshot::PoolKey},
    types::{Action, Blame, Cause, Moment, Repeat, moment::nanos},
    upstream::{ReplyBody, Switched, Upload, Upstream, body::Progress},
};

/// A reply whose head has come, and what is held until its end.
#[derive(Debug)]
pub struct Delivery<'s> {
    /// The target that answered.
    pub target: &'s Target,
    /// The reply, its head made ready to go down.
    pub reply: Response<ReplyBody>,
    /// The id that the provider gave the request, if it gave one.
    pub id: Option<HeaderValue>,
    /// The key that was used.
    pub key: Option<&'s Arc<PoolKey>>,
    /// What is given back at the end.
    pub holds: Holds,
    /// The WebSocket behind the head, if the provider has granted one, and what counts the bytes that go up.
    pub tunnel: Option<Box<(Switched, Rc<Progress>)>>,
}

/// What a request asks of the pool, and what a second send of it would do.
#[derive(Clone, Copy, Debug)]
pub struct Asks {
    /// Whose key it needs.
    pub whose: Whose,
    /// What a second send would do.
    pub repeat: Repeat,
    /// What it may take of an account's tokens.
    pub tokens: u64,
    /// How its prompt begins, where that matters.
    pub prefix: Option<u64>,
}

/// Sends the request and waits for the head of the reply that is to go down.
///
/// # Errors
///
/// [`Reject::NoKey`] and [`Reject::Unserved`] if no target could be asked, [`Reject::Upstream`] if none has answered.
pub async fn deliver<'s>(
    upstream: &Upstream,
    (generations, route, asks): (&'s Generations<'s>, &'s Route, Asks),
    client: &Client,
    (request, upload): (Admitted, Upload),
    trail: &mut Trail,
) -> Result<Box<Delivery<'s>>, Reject> {
    let mut errand = Errand::new((upstream, client), (generations, asks), (request, upload), route);
    let mut round = Round::new(&errand, route, trail);
    loop {
        let (route, target) = (round.plan.route, round.plan.target());
        let mut way = Way::new(target.model.as_ref());
        let mut ended = match taken::take(&errand, (route, target), &mut round, trail, &mut way).await {
            Err(stopped) => Ended::Stopped(stopped, way),
            Ok(mut taken) => {
                let could_go_on = round.could_go_on(target);
                send::send(&mut errand, (route, target), &mut taken, (way, could_go_on), trail).await?
            }
        };
        let (next, occasion) = round.next(&errand, target, &ended, trail);
        round.doubts.hear(&mut ended);
        if matches!(next, Next::Pass | Next::FallBack) {
            round.doubts.settle(ended.is_served(), errand.runtime());
        }
        if next == Next::Pass {
            return round.answer(ended, trail);
        }
        round.note(ended, next, trail);
        match next {
            Next::Retry { after } if !after.is_zero() => sleep(after).await,
            Next::FallBack => round.fall_back(occasion),
            Next::Retry { .. } | Next::Swap | Next::Pass => {}
        }
    }
}

/// What has been tried for one request, and what there is to answer with.
struct Round<'s> {
    plan: Plan<'s>,
    spec: &'s retry::Spec,
    course: Course,
    /// Keys that have refused it.
    tried: Tried,
    doubts: Doubts<'s>,
    /// A reply that is no good, and goes down all the same if nothing better comes.
    kept: Option<Box<Delivery<'s>>>,
    /// Whether the route was looked for in a newer generation of the config.
    is_renewed: bool,
    /// Whether the target's budget knows of the request.
    is_counted: bool,
}

impl<'s> Round<'s> {
    fn new(errand: &Errand<'_, 's>, route: &'s Route, trail: &Trail) -> Self {
        let spec = &errand.generations.own.retry;
        // The clock need not be asked: only the time since the process began is of use.
        let began = Moment { nanos: nanos(trail.received().saturating_duration_since(errand.runtime().began)), unix: 0 };
        let mut course = Course::new(spec, errand.facts, began);
        if let Some(patience) = errand.patience {
            course.hurry(began.nanos.saturating_add(nanos(patience)));
        }
        let plan = Plan::new(route, &errand.asks.whose, trail.ask(), errand.runtime());
        Self { plan, spec, course, tried: Tried::default(), doubts: Doubts::default(), kept: None, is_renewed: false, is_counted: false }
    }

    /// Whether anything else could be tried behind an attempt at this target. If not, nothing is kept for it.
    fn could_go_on(&self, target: &Target) -> bool {
        self.spec.attempts > 1 || target.provider.slots.len() > 1 || self.plan.route.targets.len() > 1
    }

    /// Counts the request at its target's provider, against which retries are measured.
    fn counted(&mut self, target: &Target, now: Moment) {
        if !std::mem::replace(&mut self.is_counted, true) {
            target.provider.budget.deposit(now);
        }
    }

    /// What comes after this, and on what occasion.
    fn next(&mut self, errand: &Errand<'_, 's>, target: &'s Target, ended: &Ended<'s>, trail: &Trail) -> (Next, Occasion) {
        let (verdict, other_key) = match ended {
            Ended::Stopped(stopped, _) => return self.skip(errand, stopped.occasion(), trail),
            Ended::Withdrawn => return self.skip(errand, Occasion::NoKey, trail),
            Ended::Answered(_, verdict, _) if verdict.cause == Cause::Served => return (Next::Pass, Occasion::Ended(Cause::Served)),
            Ended::Answered(delivery, verdict, is_held) => {
                let lease = delivery.holds.lease.as_ref().filter(|_| *is_held);
                let other_key = lease.is_some_and(|lease| {
                    let mut tried = self.tried.clone();
                    tried.add(lease);
                    let has_other = taken::has_key(errand, target, &tried, trail);
                    // A key that only rests may serve the same request later.
                    if verdict.cause.action() != Action::Cool {
                        self.tried = tried;
                    }
                    has_other
                });
                (*verdict, other_key)
            }
            Ended::Failed(_, cause) => ((*cause).into(), false),
        };
        let occasion = Occasion::Ended(verdict.cause);
        let tried =
            retry::Tried { verdict, has_begun: false, can_replay: errand.can_be_sent(), other_key, next_target: self.plan.next(occasion) };
        self.course.keep(self.plan.left(occasion));
        let next = self.course.next(self.spec, &target.provider.budget, &tried, errand.now(), fastrand::u64(..));
        (next, occasion)
    }

    /// Nothing was sent. Keys that were taken out of the config while the request waited have others in their place.
    fn skip(&mut self, errand: &Errand<'_, 's>, occasion: Occasion, trail: &Trail) -> (Next, Occasion) {
        if occasion == Occasion::NoKey
            && !std::mem::replace(&mut self.is_renewed, true)
            && let Some(newer) = errand.generations.newer().and_then(|newer| same_route(newer, self.plan.route))
        {
            self.plan = Plan::new(newer, &errand.asks.whose, trail.ask(), errand.runtime());
            return (Next::Swap, occasion);
        }
        (self.course.skip(occasion, self.plan.next(occasion), errand.now()), occasion)
    }

    /// Something else is tried in its place.
    fn note(&mut self, ended: Ended<'s>, next: Next, trail: &mut Trail) {
        let then = match next {
            Next::Pass => "pass",
            Next::Swap => "swap",
            Next::Retry { .. } => "retry",
            Next::FallBack => "fallback",
        };
        let attempts = &self.plan.target().provider.record.attempts;
        match next {
            Next::Pass => {}
            Next::Swap => attempts.swapped(),
            Next::Retry { .. } => attempts.retried(),
            Next::FallBack => attempts.left(),
        }
        match ended {
            Ended::Stopped(stopped, way) => trail.passed_over(&self.plan.target().provider, stopped.name(), &way, then),
            Ended::Withdrawn => trail.over(None, then),
            Ended::Failed(failure, _) => trail.over(Some(failure.name()), then),
            Ended::Answered(mut delivery, ..) => {
                trail.over(None, then);
                // What it held is free for the next attempt; what was read of the reply stays.
                delivery.holds = Holds::default();
                self.kept = Some(delivery).filter(|delivery| delivery.reply.body().is_at_hand());
            }
        }
    }

    fn fall_back(&mut self, occasion: Occasion) {
        self.plan.fall_back(occasion);
        self.tried = Tried::default();
        self.is_counted = false;
    }

    /// Nothing more is tried: what there is is the answer.
    fn answer(&mut self, ended: Ended<'s>, trail: &mut Trail) -> Result<Box<Delivery<'s>>, Reject> {
        let is_spent = self.course.stopped() != Some(Stop::Wait) && (trail.attempts() > 1 || self.course.is_spent());
        let blames_caller = |cause: Cause| matches!(cause.blame(), Blame::Nobody | Blame::Caller);
        let failed = if let Ended::Failed(failure, _) = &ended { Some(failure.name()) } else { None };
        let (reject, is_ours) = match ended {
            Ended::Answered(delivery, verdict, _) if blames_caller(verdict.cause) => return Ok(delivery),
            Ended::Answered(delivery, ..) => {
                self.kept = Some(delivery);
                (Reject::NoKey, true)
            }
            Ended::Failed(failure, cause) => {
                if cause.is_ambiguous() {
                    // An earlier refusal would say that nothing was done.
                    self.kept = None;
                }
                (Reject::Upstream(failure), !blames_caller(cause))
            }
            Ended::Withdrawn => (Reject::NoKey, true),
            Ended::Stopped(stopped, way) => {
                trail.passed_over(&self.plan.target().provider, stopped.name(), &way, "pass");
                (stopped.reject(), !matches!(stopped, Stopped::Unrenamable))
            }
        };
        if self.course.stopped() == Some(Stop::Budget) {
            self.plan.target().provider.record.attempts.out_of_budget();
        }
        if let Some(resort) = self.plan.route.last_resort.as_ref().filter(|_| is_ours) {
            trail.over(failed, "last_resort");
            return Err(Reject::Unserved(Unserved::LastResort(Arc::clone(resort))));
        }
        trail.spent(is_spent && is_ours);
        match self.kept.take().filter(|_| is_ours) {
            Some(delivery) => {
                // Another attempt's reply goes down in its place.
                if failed.is_some() {
                    trail.over(failed, "pass");
                }
                Ok(delivery)
            }
            None => Err(reject),
        }
    }
}

/// What the same route is in another generation.
fn same_route<'s>(newer: &'s Snapshot, old: &Route) -> Option<&'s Route> {
    let same = |route: &&Route| (&route.path, &route.models, route.credentials) == (&old.path, &old.models, old.credentials);
    newer.routes.iter().find(same)
}
