//! What an attempt takes before it goes out: a place in line, a key that can afford it, and the breaker's leave.
//!
//! The place and the key are the only wait. Between the breaker's leave and the send there is none.
//!
//! Cancel: whatever was taken gives itself back, a place in line too; a key that was not sent with gives back what it had reserved.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use http::HeaderMap;
use tokio::time::{sleep, timeout};

use super::{
    super::{Generations, attempt::Way, standing, tell, trail::Trail},
    Round,
    errand::Errand,
    stopped::Stopped,
};
use crate::{
    config,
    policy::{
        breaker,
        key_pool::{Asked, Lease, Tried, Unavailable, homes::Whose},
        queue::{self, Entry},
        retry::Occasion,
    },
    provider::auth,
    runtime::{Provider, Queue, Route, Target, snapshot::PoolKey},
    types::{Action, Cause, Headroom, Moment, Verdict, fields::retain, moment::nanos},
};

/// No wait for a key is shorter: timers are no finer.
const SHORTEST: Duration = Duration::from_millis(1);

/// While a key is waited for, it is looked for as often as this at least: one may come back sooner than was thought.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A key and the right to use it.
pub(super) type Leased<'s> = (&'s Arc<PoolKey>, Lease);

/// What an attempt holds.
pub(super) struct Taken<'s> {
    pub(super) leased: Option<Leased<'s>>,
    pub(super) permit: Option<breaker::Permit>,
    pub(super) slot: Option<queue::Slot>,
    pub(super) provider: &'s Arc<Provider>,
    pub(super) generations: &'s Generations<'s>,
    whose: Whose,
    tokens: u64,
}

/// The model that a target is asked for.
pub(super) fn model<'m>(target: &'m Target, trail: &'m Trail) -> Option<&'m str> {
    target.model.as_deref().filter(|_| trail.ask().model.is_some()).or(trail.ask().certain_model())
}

/// Takes what a target has to give. It waits for a place in its line; and for a key, unless another target takes over instead.
pub(super) async fn take<'s>(
    errand: &Errand<'_, 's>,
    (route, target): (&'s Route, &'s Target),
    round: &mut Round<'s>,
    trail: &Trail,
    way: &mut Way,
) -> Result<Taken<'s>, Stopped> {
    errand.can_be_renamed(target, trail)?;
    let (provider, model) = (&target.provider, model(target, trail));
    // One look at the clock serves all of it where nothing is waited for.
    let (guard, mut now) = (provider.breaker.as_ref(), trail.moment(way.began));
    guard.map_or(Ok(()), |guard| guard.peek(model, now)).map_err(|refused| open(provider, refused, now))?;
    let slot = match &provider.queue {
        None => None,
        Some(queue) => Some(in_line(errand, (provider, queue), way).await?),
    };
    if way.in_line > Duration::ZERO {
        // What goes by in line is the line's own to bound.
        round.course.extend(way.in_line);
        now = errand.now();
    }
    let leased = match route.credentials {
        config::Credentials::Client => None,
        config::Credentials::Pool => {
            let deadline = if round.plan.next(Occasion::NoRoom).is_some() { 0 } else { round.course.deadline() };
            Some(key(errand, (provider, model, &round.tried), (now, deadline), way).await?)
        }
    };
    if way.for_key > Duration::ZERO {
        now = errand.now();
    }
    let permit = match guard.map(|guard| guard.acquire(model, now)).transpose() {
        Ok(mut permit) => {
            if let Some(permit) = &mut permit {
                tell::breakers(provider, &permit.transitions(), now);
            }
            permit
        }
        Err(refused) => {
            leased.into_iter().for_each(|(_, lease)| lease.unsent(now));
            return Err(open(provider, refused, now));
        }
    };
    round.counted(target, now);
    Ok(Taken { leased, permit, slot, provider, generations: errand.generations, whose: errand.asks.whose, tokens: errand.asks.tokens })
}

fn open(provider: &Provider, refused: breaker::Refused, now: Moment) -> Stopped {
    provider.record.breakers.refused(refused.scope.name());
    Stopped::Open(Duration::from_nanos(refused.until.saturating_sub(now.nanos)))
}

/// Waits for a place among those in flight.
async fn in_line(errand: &Errand<'_, '_>, (provider, queue): (&Provider, &Queue), way: &mut Way) -> Result<queue::Slot, Stopped> {
    let ticket = match queue::enter(&queue.spec, &queue.line, errand.now()) {
        Entry::Admitted(slot) => {
            provider.record.queue.waited(Duration::ZERO);
            return Ok(slot);
        }
        Entry::Full { retry_after } => return Err(Stopped::Full(retry_after)),
        Entry::Waiting(ticket) => ticket,
    };
    let began = Instant::now();
    let mut ticket = pin!(ticket);
    let slot = timeout(queue.spec.timeout, ticket.as_mut()).await;
    way.in_line = began.elapsed();
    provider.record.queue.waited(way.in_line);
    slot.map_err(|_| Stopped::TooLong(ticket.retry_after(errand.now())))
}

/// Waits for a key that can afford the request, or says that none can before the `deadline`, in nanoseconds of [`Moment::nanos`].
async fn key<'s>(
    errand: &Errand<'_, 's>,
    wanted: Wanted<'_, 's>,
    (now, deadline): (Moment, u64),
    way: &mut Way,
) -> Result<Leased<'s>, Stopped> {
    match look(errand, wanted, (now, deadline), way) {
        Ok(leased) => Ok(leased),
        // Seldom needed, and no part of every request's future.
        Err(NotNow::Until(wait)) => Box::pin(wait_for_key(errand, wanted, (wait, deadline), way)).await,
        Err(NotNow::Never(stopped)) => Err(stopped),
    }
}

/// The key that is wanted: of this provider, for this model, and none of those.
type Wanted<'k, 's> = (&'s Provider, Option<&'k str>, &'k Tried);

/// A look for a key has found none.
enum NotNow {
    /// One can afford the request after so long.
    Until(Duration),
    /// None can, or not in time.
    Never(Stopped),
}

/// Who has to wait stands in line, and the first there looks for a key as soon as there may be one: thousands that all look then
/// would find the same one. The others look now and then all the same, since who is first may need what they do not: an account of
/// its own, all of a quota, another model.
async fn wait_for_key<'s>(
    errand: &Errand<'_, 's>,
    wanted: Wanted<'_, 's>,
    (mut wait, deadline): (Duration, u64),
    way: &mut Way,
) -> Result<Leased<'s>, Stopped> {
    let (provider, model, _) = wanted;
    let began = Instant::now();
    let mut turn = pin!(provider.waiting.turn(model, errand.now()));
    let (mut is_first, mut place) = (false, None);
    loop {
        if is_first {
            sleep(wait.min(LOOK_AGAIN)).await;
        } else {
            let left = Duration::from_nanos(deadline.saturating_sub(errand.now().nanos));
            // Spread, so that those who came together do not look together.
            let patience = LOOK_AGAIN.mul_f64(0.5 + fastrand::f64()).min(left);
            if let Ok(first) = timeout(patience, turn.as_mut()).await {
                (is_first, place) = (true, first);
            }
        }
        way.for_key = began.elapsed();
        match look(errand, wanted, (errand.now(), deadline), way) {
            Ok(leased) => {
                drop(place);
                return Ok(leased);
            }
            Err(NotNow::Until(later)) => wait = later,
            Err(NotNow::Never(stopped)) => return Err(stopped),
        }
    }
}

/// Leases a key, or says when there may be one, if that is before the `deadline`.
fn look<'s>(
    errand: &Errand<'_, 's>,
    (provider, model, tried): Wanted<'_, 's>,
    (now, deadline): (Moment, u64),
    way: &mut Way,
) -> Result<Leased<'s>, NotNow> {
    let until = match provider.lease(&errand.asked(provider, model, tried), now) {
        Ok((key, lease)) => {
            way.why = Some(lease.why.name());
            if let Some(began) = &lease.began {
                tell::key(errand.runtime(), (provider, key), began, now);
            }
            return Ok((key, lease));
        }
        Err(Unavailable::Exhausted(_)) => return Err(NotNow::Never(Stopped::NoKey)),
        Err(Unavailable::Until { nanos, .. }) => nanos,
    };
    let wait = Duration::from_nanos(until.saturating_sub(now.nanos)).max(SHORTEST);
    if now.nanos.saturating_add(nanos(wait)) >= deadline { Err(NotNow::Never(Stopped::Resting(wait))) } else { Err(NotNow::Until(wait)) }
}

/// Whether the target has a key for the request that has not refused it.
pub(super) fn has_key(errand: &Errand<'_, '_>, target: &Target, tried: &Tried, trail: &Trail) -> bool {
    target.provider.could_lease(&errand.asked(&target.provider, model(target, trail), tried), errand.now())
}

impl<'s> Taken<'s> {
    /// Puts another key of the same place upon the request where its own was taken back. False if there is none.
    pub(super) fn renew(&mut self, headers: &mut HeaderMap, target: &Target, trail: &mut Trail) -> bool {
        if !self.is_revoked() {
            return true;
        }
        // A key travels to no other place than its own config names.
        let is_same = |newer: &&Arc<Provider>| newer.endpoint.leads_where(&self.provider.endpoint);
        let (now, tried) = (trail.runtime().moment(), Tried::default());
        let (model, random) = (model(target, trail), fastrand::u64(..));
        let (whose, tokens) = (self.whose, self.tokens);
        let lease = |provider: &'s Provider| {
            let choice = provider.choice(&whose);
            provider.lease(&Asked { choice, model, tokens, prefix: None, tried: &tried, repeatable: true, random }, now).ok()
        };
        let newer = || lease(self.generations.latest()?.providers.get(&self.provider.name).filter(is_same)?);
        let Some((key, lease)) = lease(self.provider).or_else(newer) else { return false };
        *headers = retain(std::mem::take(headers), |name| !auth::is_credential(name));
        key.credential.apply(headers);
        trail.sent_with(key);
        // The old one was not sent with.
        let old = self.leased.replace((key, lease));
        old.into_iter().for_each(|(_, lease)| lease.unsent(now));
        true
    }

    fn is_revoked(&self) -> bool {
        self.leased.as_ref().is_some_and(|(_, lease)| lease.is_revoked())
    }

    /// Whether the provider's rate limits go down with its reply.
    pub(super) fn tells_rate_limits(&self) -> bool {
        standing::provider_is_told(self.generations.own, self.leased.is_some())
    }

    /// What the provider tells of the account's room.
    pub(super) fn told(&self, headroom: &Headroom, now: Moment) {
        if *headroom != Headroom::default()
            && let Some((_, lease)) = &self.leased
        {
            lease.answered(headroom, now);
        }
    }

    /// What the attempt has come to is known: whom it is about hears of it. One that serves is settled at its end. Returns whether
    /// it is held against the key, its account or the model there, so that another key may do better.
    pub(super) fn judged(&mut self, verdict: Verdict, trail: &Trail, now: Moment) -> bool {
        let slots = &self.provider.slots;
        let is_doubted = |(_, lease): &Leased<'_>| verdict.cause.action() == Action::TurnOff && lease.is_served_elsewhere(slots, now);
        let is_doubted = self.leased.as_ref().is_some_and(is_doubted);
        // What is doubted waits for what other accounts say.
        if let Some((key, lease)) = self.leased.as_mut().filter(|_| !is_doubted)
            && let Some(transition) = lease.judge(verdict, slots, now)
        {
            tell::key(trail.runtime(), (self.provider, key), &transition, now);
        }
        if verdict.cause != Cause::Served
            && let Some(permit) = self.permit.take()
        {
            tell::breakers(self.provider, &permit.settle(verdict.cause, now, fastrand::u64(..)), now);
        }
        is_doubted || matches!(verdict.cause.action(), Action::Quarantine | Action::Cool)
    }
}
