//! One send, and what its end says.

use std::{rc::Rc, sync::Arc, time::Instant};

use http::{Response, StatusCode};

use super::{
    super::{
        attempt::Way,
        downward::{self, Ambiguous},
        fields::{self, Nominated},
        holds::Holds,
        judge,
        outgoing::{self, Credentials},
        reject::Reject,
        trail::Trail,
        upgrade,
    },
    Delivery,
    errand::{self, Errand},
    stopped::Stopped,
    taken::Taken,
};
use crate::{
    config::Order,
    provider::rate_headers,
    runtime::{Route, Target},
    telemetry::metrics::Raised,
    types::{Cause, Verdict, fields::retain},
    upstream::{Failure, Outgoing, Phase, Reason, ReplyBody, Switched},
};

/// How a send ended.
pub(super) enum Ended<'s> {
    /// With a reply, which can be passed on.
    ///
    /// With it, whether that is held against the key, its account or the model there.
    Answered(Box<Delivery<'s>>, Verdict, bool),
    /// Without one.
    Failed(Failure, Cause),
    /// Nothing was sent.
    Stopped(Stopped, Way),
    /// It did not go out: its key was taken back while it waited for its connection, and there is no other.
    Withdrawn,
}

impl Ended<'_> {
    /// Whether its reply holds no error.
    pub(super) fn is_served(&self) -> bool {
        matches!(self, Self::Answered(_, verdict, _) if verdict.cause == Cause::Served)
    }
}

/// Sends the request with what was taken. It is kept for another attempt if there `could_be_another`.
pub(super) async fn send<'s>(
    errand: &mut Errand<'_, 's>,
    (route, target): (&'s Route, &'s Target),
    taken: &mut Taken<'s>,
    (way, could_be_another): (Way, bool),
    trail: &mut Trail,
) -> Result<Ended<'s>, Reject> {
    let provider = &target.provider;
    let credentials = match &taken.leased {
        Some((key, _)) => Credentials::Pool(&key.credential),
        None => Credentials::Client { ours: errand.client.key_is_ours },
    };
    // invariant: the loop comes here only with something left to send.
    let Some(mut upload) = errand.take(could_be_another) else { return Ok(Ended::Withdrawn) };
    errand::rename(&mut upload, target, trail);
    let progress = upload.progress();
    let renamed = target.model.as_deref().filter(|_| trail.ask().model.is_some());
    let may_go_again = errand.can_be_sent();
    let outgoing = outgoing::compose((&mut errand.request, may_go_again), (route, renamed), provider, credentials, upload);
    let mut outgoing = outgoing.ok_or(Reject::Malformed("the target is no path"))?;
    trail.trace().apply(&mut outgoing.headers);
    let in_flight = Raised::new(&target.metrics.in_flight);
    trail.sent(provider, taken.leased.as_ref().map(|(key, _)| Arc::clone(key)), Rc::clone(&progress), way);
    let (sent, tunnel) = if errand.upgrades {
        // Apart, so that no other request carries room for it.
        match Box::pin(upgrade(errand, taken, (target, *outgoing), trail)).await {
            Ok((reply, switched)) => (Ok(reply), switched.map(|switched| Box::new((switched, progress)))),
            Err(failure) => (Err(failure), None),
        }
    } else {
        (errand.upstream.send(&provider.endpoint, outgoing, &mut |headers| taken.renew(headers, target, trail)).await, None)
    };
    let mut reply = match sent {
        Ok(reply) => reply,
        Err(failure) if is_withdrawn(&failure) => return Ok(Ended::Withdrawn),
        Err(failure) => {
            let cause = judge::of_failure(&failure);
            return Ok(failed(failure, cause, taken, trail));
        }
    };
    let head = Instant::now();
    trail.answered(head);
    let now = trail.moment(head);
    let verdict = match tunnel {
        Some(_) => Cause::Served.into(),
        None => {
            let headroom = rate_headers::headroom(provider.dialect, reply.headers(), now.unix);
            taken.told(&headroom, now);
            let could_be_better = could_be_another && errand.can_be_repeated();
            judge::of_reply(&mut reply, (provider.dialect, could_be_better), errand.memory(), now.unix).await
        }
    };
    let id = match tunnel {
        Some(_) => None,
        None => match downward::adapt(&mut reply, taken.tells_rate_limits()) {
            Ok(id) => id,
            Err(problem) => return Ok(failed(unfit(problem), Cause::Malformed, taken, trail)),
        },
    };
    // What was read ahead of a good reply takes no time that matters to anybody.
    let is_held = taken.judged(verdict, trail, if verdict.cause == Cause::Served { now } else { errand.now() });
    trail.judged(verdict.cause, Some(reply.status()));
    let (key, lease) = taken.leased.take().unzip();
    let (permit, slot) = (taken.permit.take(), taken.slot.take());
    let pace = (route.order == Order::Fastest).then(|| Arc::clone(&target.pace));
    let holds = Holds { lease, permit, slot, pace, in_flight: Some(in_flight) };
    Ok(Ended::Answered(Box::new(Delivery { target, reply, id, key, holds, tunnel }), verdict, is_held))
}

/// Whether it did not go out for want of a key.
fn is_withdrawn(failure: &Failure) -> bool {
    failure.phase == Phase::Connect && failure.reason == Reason::Unprocessed
}

/// There is no reply. Tells the operator what the client is not told: which provider it was, and the whole chain of causes.
fn failed<'s>(failure: Failure, cause: Cause, taken: &mut Taken<'_>, trail: &mut Trail) -> Ended<'s> {
    if trail.runtime().failures.may_speak() {
        let (request, trace) = trail.names();
        tracing::warn!(request_id = request, trace_id = trace, provider = %taken.provider.name, error = %failure, "an attempt failed");
    }
    taken.judged(cause.into(), trail, trail.runtime().moment());
    trail.judged(cause, None);
    Ended::Failed(failure, cause)
}

/// Asks for a WebSocket. Any answer but a 101 is a reply like others.
async fn upgrade(
    errand: &Errand<'_, '_>,
    taken: &mut Taken<'_>,
    (target, mut outgoing): (&Target, Outgoing),
    trail: &mut Trail,
) -> Result<(Response<ReplyBody>, Option<Switched>), Failure> {
    let asked = upgrade::Asked::with(&mut outgoing.headers);
    let endpoint = &taken.provider.endpoint;
    let (mut reply, switched) = errand.upstream.upgrade(endpoint, outgoing, &mut |headers| taken.renew(headers, target, trail)).await?;
    if reply.status() == StatusCode::SWITCHING_PROTOCOLS {
        asked.answered_by(reply.headers()).map_err(|problem| unfit(Ambiguous(problem)))?;
        let headers = std::mem::take(reply.headers_mut());
        let nominated = Nominated::read(&headers);
        let with_rate_limits = taken.tells_rate_limits();
        let mut kept = retain(headers, |name| {
            upgrade::goes_down(name) && !nominated.contains(name) && (with_rate_limits || !fields::is_rate_limit(name))
        });
        upgrade::switch(&mut kept);
        *reply.headers_mut() = kept;
    }
    Ok((reply, switched))
}

/// The provider answered, and it can't be passed on.
fn unfit(problem: Ambiguous) -> Failure {
    Failure::because(Phase::Head, Reason::Protocol, problem)
}
