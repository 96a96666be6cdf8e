//! Step 8: send the request to the first target that has a key, and take the reply's head.
//!
//! One attempt. A request may wait for a connection with the key that it has taken: if that is taken back meanwhile, it goes out
//! with another.

use std::{rc::Rc, sync::Arc};

use http::{HeaderMap, Response, StatusCode};

use super::{
    Generations,
    admit::Admitted,
    client::Client,
    downward::{self, Ambiguous},
    fields::{self, Nominated},
    outgoing::{self, Credentials},
    reject::Reject,
    settle::Holds,
    standing,
    trail::Trail,
    upgrade,
};
use crate::{
    config,
    policy::key_pool::{Lease, homes::Whose},
    provider::auth,
    runtime::{Provider, Route, Snapshot, Target, snapshot::PoolKey},
    telemetry::metrics::Raised,
    types::fields::retain,
    upstream::{Failure, Outgoing, Phase, Reason, ReplyBody, Switched, Upload, Upstream, body::Progress},
};

/// A reply whose head has come, and what is held until its end.
#[derive(Debug)]
pub struct Delivery<'s> {
    /// The target that answered.
    pub target: &'s Target,
    /// The reply, its head made ready to go down.
    pub reply: Response<ReplyBody>,
    /// The key that was used.
    pub key: Option<&'s Arc<PoolKey>>,
    /// What is given back at the end.
    pub holds: Holds,
    /// The WebSocket behind the head, if the provider has granted one, and what counts the bytes that go up.
    pub tunnel: Option<Box<(Switched, Rc<Progress>)>>,
}

/// Sends the request and waits for the reply's head.
///
/// # Errors
///
/// [`Reject::NoKey`] if no target has a key in use, [`Reject::Upstream`] if the attempt failed.
pub async fn deliver<'s>(
    upstream: &Upstream,
    (generations, route, whose): (&'s Generations<'s>, &'s Route, &Whose),
    client: &Client,
    (mut request, upload): (Admitted, Upload),
    trail: &mut Trail,
) -> Result<Delivery<'s>, Reject> {
    let (route, (target, leased)) = match choose(route, whose) {
        Some(chosen) => (route, chosen),
        // Its keys were taken out of the config while it waited for its client: those that came in their place serve it.
        None => generations.newer().and_then(|newer| route_again(newer, route, whose)).ok_or(Reject::NoKey)?,
    };
    let provider = &target.provider;
    let credentials = match &leased {
        Some((key, _)) => Credentials::Pool(&key.credential),
        None => Credentials::Client { ours: client.key_is_ours },
    };
    let progress = upload.progress();
    let upgrades = upgrade::asked(&mut request.head, &upload);
    let mut outgoing =
        outgoing::compose(request, route, provider, credentials, upload).ok_or(Reject::Malformed("the target is no path"))?;
    trail.trace().apply(&mut outgoing.headers);
    let in_flight = Raised::new(&target.metrics.in_flight);
    trail.sent(provider, leased.as_ref().map(|(key, _)| Arc::clone(key)), Rc::clone(&progress));
    let mut taken = Taken { leased, whose: *whose, provider, generations };
    if upgrades {
        // Apart, so that no other request carries room for it.
        let (reply, switched) = Box::pin(upgrade(upstream, &mut taken, outgoing, trail)).await?;
        let (key, lease) = taken.leased.unzip();
        let holds = Holds { lease, in_flight };
        return Ok(Delivery { target, reply, key, holds, tunnel: switched.map(|switched| Box::new((switched, progress))) });
    }
    let sent = upstream.send(&provider.endpoint, outgoing, &mut |headers| taken.renew(headers, trail)).await;
    let mut reply = sent.map_err(|failure| taken.failed(failure, trail))?;
    trail.answered();
    passable(&mut reply, &taken, trail)?;
    let (key, lease) = taken.leased.unzip();
    Ok(Delivery { target, reply, key, holds: Holds { lease, in_flight }, tunnel: None })
}

/// The key of a request that has not gone out yet.
struct Taken<'s> {
    leased: Option<Leased<'s>>,
    whose: Whose,
    provider: &'s Provider,
    generations: &'s Generations<'s>,
}

impl Taken<'_> {
    /// Puts another key of the same place upon the request where its own was taken back. False if there is none.
    fn renew(&mut self, headers: &mut HeaderMap, trail: &mut Trail) -> bool {
        if !self.is_revoked() {
            return true;
        }
        // A key travels to no other place than its own config names.
        let is_same = |newer: &&Arc<Provider>| newer.endpoint.leads_where(&self.provider.endpoint);
        let newer = || self.generations.latest()?.providers.get(&self.provider.name).filter(is_same)?.lease(&self.whose).ok();
        let Some((key, lease)) = self.provider.lease(&self.whose).ok().or_else(newer) else { return false };
        *headers = retain(std::mem::take(headers), |name| !auth::is_credential(name));
        key.credential.apply(headers);
        trail.sent_with(key);
        self.leased = Some((key, lease));
        true
    }

    fn is_revoked(&self) -> bool {
        self.leased.as_ref().is_some_and(|(_, lease)| lease.is_revoked())
    }

    /// Whether the provider's rate limits go down with its reply.
    fn tells_rate_limits(&self) -> bool {
        standing::provider_is_told(self.generations.own, self.leased.is_some())
    }

    /// Why it did not go out.
    fn failed(&self, failure: Failure, trail: &mut Trail) -> Reject {
        let is_forbidden = failure.phase == Phase::Connect && failure.reason == Reason::Unprocessed;
        if is_forbidden { Reject::NoKey } else { failed(failure, self.provider, trail) }
    }
}

/// Asks for a WebSocket. Any answer but a 101 is a reply like others.
async fn upgrade(
    upstream: &Upstream,
    taken: &mut Taken<'_>,
    mut outgoing: Box<Outgoing>,
    trail: &mut Trail,
) -> Result<(Response<ReplyBody>, Option<Switched>), Reject> {
    let asked = upgrade::Asked::with(&mut outgoing.headers);
    let provider = taken.provider;
    let answer = upstream.upgrade(&provider.endpoint, *outgoing, &mut |headers| taken.renew(headers, trail)).await;
    let (mut reply, switched) = answer.map_err(|failure| taken.failed(failure, trail))?;
    trail.answered();
    if reply.status() == StatusCode::SWITCHING_PROTOCOLS {
        asked.answered_by(reply.headers()).map_err(|problem| unfit(Ambiguous(problem), provider, trail))?;
        let headers = std::mem::take(reply.headers_mut());
        let nominated = Nominated::read(&headers);
        let with_rate_limits = taken.tells_rate_limits();
        let mut kept = retain(headers, |name| {
            upgrade::goes_down(name) && !nominated.contains(name) && (with_rate_limits || !fields::is_rate_limit(name))
        });
        upgrade::switch(&mut kept);
        *reply.headers_mut() = kept;
    } else {
        passable(&mut reply, taken, trail)?;
    }
    Ok((reply, switched))
}

/// Makes the reply's head ready to go down, if it can be passed on.
fn passable(reply: &mut Response<ReplyBody>, taken: &Taken<'_>, trail: &mut Trail) -> Result<(), Reject> {
    match downward::adapt(reply, taken.tells_rate_limits()) {
        Ok(None) => Ok(()),
        Ok(Some(id)) => {
            trail.named(id);
            Ok(())
        }
        Err(problem) => Err(unfit(problem, taken.provider, trail)),
    }
}

/// The provider answered, and it can't be passed on.
fn unfit(problem: Ambiguous, provider: &Provider, trail: &mut Trail) -> Reject {
    failed(Failure::because(Phase::Head, Reason::Protocol, problem), provider, trail)
}

/// Tells the operator what the client is not told: which provider it was, and the whole chain of causes.
fn failed(failure: Failure, provider: &Provider, trail: &mut Trail) -> Reject {
    if trail.runtime().failures.may_speak() {
        let (request, trace) = trail.names();
        tracing::warn!(request_id = request, trace_id = trace, provider = %provider.name, error = %failure, "an attempt failed");
    }
    Reject::Upstream(failure)
}

/// A key and the right to use it.
type Leased<'s> = (&'s Arc<PoolKey>, Lease);

/// A target, and the key leased for it; none where the client's own credentials go up.
type Chosen<'s> = (&'s Target, Option<Leased<'s>>);

/// The first target that can serve.
fn choose<'r>(route: &'r Route, whose: &Whose) -> Option<Chosen<'r>> {
    match route.credentials {
        config::Credentials::Client => route.targets.first().map(|target| (target, None)),
        config::Credentials::Pool => route.targets.iter().find_map(|target| Some((target, Some(target.provider.lease(whose).ok()?)))),
    }
}

/// What the same route is in another generation.
fn route_again<'s>(newer: &'s Snapshot, old: &Route, whose: &Whose) -> Option<(&'s Route, Chosen<'s>)> {
    let same = |route: &&Route| (&route.path, &route.models, route.credentials) == (&old.path, &old.models, old.credentials);
    let route = newer.routes.iter().find(same)?;
    Some((route, choose(route, whose)?))
}
