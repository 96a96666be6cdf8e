//! The call of a flight: steps 7 to 10, as a task of its own. It lives as long as somebody reads what comes of it, and longer if it is
//! to be finished for the cache; that its first client has left is nothing to the others.
//!
//! The limits, the line of the access log and the decision are those of the client that was first: it is its call.
//!
//! Cancel: the task ends when the last reader has gone. Then the call ends with it, and what was taken gives itself back.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use http::{HeaderValue, Response, StatusCode, header::CONTENT_LENGTH, response::Parts};
use http_body::{Body as _, Frame};
use tokio::{sync::oneshot, time::timeout};

use super::{
    super::{
        Generations, Pipeline,
        body::Body,
        reject::{self, Reject},
        reservation::Outcome,
        respond,
        trail::{Paying, Trail},
        wanted::Wanted,
    },
    keeper::Keeper,
    played::{Played, Source},
    told,
};
use crate::{
    policy::cache::{Spec, Unfit},
    runtime::{
        Route, Runtime, Snapshot, Target,
        cache::{
            flight::{Cursor, Failed, Head},
            flights::Pilot,
        },
    },
    types::{Cached, Question},
    upstream::{Failure, Phase, Reason},
};

/// How long others wait for a reader that takes nothing, once a reply is too long to be kept.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the first of those who ask the same sets out with.
#[derive(Debug)]
pub struct Lead {
    /// What it wants.
    pub wanted: Wanted,
    /// The number of its route in its generation.
    pub at: usize,
    /// How its reply is kept.
    pub spec: Arc<Spec>,
    /// What it asks.
    pub question: Question,
    /// The call.
    pub pilot: Pilot,
    /// Its own place among the readers.
    pub cursor: Cursor,
    /// What answers if nobody else can.
    pub stale: Option<Source>,
}

/// What its client hears.
enum Heard {
    /// The head of the reply.
    Opened(Box<Parts>),
    /// Nobody could answer, and this is what is stored.
    Stale(Source, Trail),
    /// The request was refused, or nobody could answer.
    Rejected(Reject, Trail),
}

/// Makes the call, and answers its first client.
pub async fn lead(pipeline: Pipeline, snapshot: &Arc<Snapshot>, lead: Lead, mut trail: Trail) -> Response<Body> {
    trail.cached(Cached::Miss);
    let Lead { wanted, at, spec, question, pilot, cursor, stale } = lead;
    let (tell, heard) = oneshot::channel();
    let call = Call { pipeline, snapshot: Arc::clone(snapshot), at, spec, question, pilot, stale };
    tokio::task::spawn_local(call.make(wanted, trail, tell));
    match heard.await {
        Ok(Heard::Opened(parts)) => Response::from_parts(*parts, Body::played(Played::of_first(cursor))),
        Ok(Heard::Stale(source, trail)) => told::answer(source, snapshot, trail),
        Ok(Heard::Rejected(reject, trail)) => reject::answer(&reject, None, trail, snapshot.annotate),
        // It was dropped with its worker: there is nobody left to hear of it.
        Err(_) => Reject::Upstream(Failure::new(Phase::Head, Reason::Closed)).respond(&HeaderValue::from_static("req_")),
    }
}

/// One call, under way.
struct Call {
    pipeline: Pipeline,
    snapshot: Arc<Snapshot>,
    at: usize,
    spec: Arc<Spec>,
    question: Question,
    pilot: Pilot,
    stale: Option<Source>,
}

impl Call {
    async fn make(self, wanted: Wanted, mut trail: Trail, tell: oneshot::Sender<Heard>) {
        let Self { pipeline, snapshot, at, spec, question, pilot, stale } = self;
        let runtime = Arc::clone(trail.runtime());
        let generations = Generations::new(&snapshot, &runtime);
        // invariant: it was found in this generation.
        let Some(route) = snapshot.routes.get(at) else { return };
        let client = wanted.client.name.as_ref().map(|name| Box::<str>::from(name.as_str()));
        let model = trail.model().map(Box::<str>::from);
        let paying = Rc::new(Paying::default());
        trail.pays(&paying);
        let Some(delivered) = unless_abandoned(&pilot, pipeline.buy(&generations, route, wanted, &mut trail)).await else { return };
        let delivery = match delivered {
            Err(reject) => {
                let is_unserved = reject.is_upstreams_fault();
                pilot.fail(match &reject {
                    Reject::Upstream(failure) => Failed::Upstream(failure.clone()),
                    _ if is_unserved => Failed::Unserved,
                    _ => Failed::Refused,
                });
                let heard = match stale.filter(|_| is_unserved) {
                    Some(stale) => Heard::Stale(stale, trail),
                    None => Heard::Rejected(reject, trail),
                };
                return drop(tell.send(heard));
            }
            Ok(delivery) => delivery,
        };
        if let Some(stale) = stale.filter(|_| Outcome::of_reply(delivery.reply.status()) == Outcome::Unserved) {
            pilot.fail(Failed::Unserved);
            return drop(tell.send(Heard::Stale(stale, trail)));
        }
        let of = (question, delivery.target.provider.dialect, stands_in(route, delivery.target));
        let (parts, body) = respond::respond(delivery, &snapshot, trail).into_parts();
        let head = shared(&parts);
        let keeper = head.is_answer.then(|| Keeper::new(&spec, of, (head.status, &head.headers)));
        pilot.open(head);
        // Its client may have left, and others read on.
        let _ = tell.send(Heard::Opened(Box::new(parts)));
        let named = (client.as_deref(), model.as_deref());
        Relaying { runtime: &runtime, snapshot: &snapshot, paying, named }.relay(pilot, body, keeper).await;
    }
}

/// The head as all may have it.
fn shared(parts: &Parts) -> Head {
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let is_answer =
        matches!(parts.status, StatusCode::OK | StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY);
    Head { status: parts.status, headers: told::kept(&parts.headers), length, is_answer }
}

/// Whether its answer would not be what the route's first target answers: another model's.
fn stands_in(route: &Route, target: &Target) -> bool {
    let first = &route.targets[0];
    let is_like_first = first.model == target.model && first.provider.dialect.request_format() == target.provider.dialect.request_format();
    !is_like_first
}

/// What goes down to all who read.
struct Relaying<'r> {
    runtime: &'r Runtime,
    snapshot: &'r Snapshot,
    paying: Rc<Paying>,
    named: (Option<&'r str>, Option<&'r str>),
}

impl Relaying<'_> {
    async fn relay(self, pilot: Pilot, body: Body, mut keeper: Option<Keeper>) {
        let mut body = pin!(body);
        loop {
            let Some(item) = unless_abandoned(&pilot, poll_fn(|cx| body.as_mut().poll_frame(cx))).await else { return };
            let data = match item.map(|item| item.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => data,
                Some(Ok(Err(frame))) => {
                    // What stands behind a body is no part of what is kept.
                    return self.complete(pilot, None, frame.into_trailers().ok());
                }
                Some(Err(failure)) => {
                    self.runtime.cache.record.not_stored(Unfit::Unfinished.name());
                    return pilot.break_off(failure);
                }
                None => return self.complete(pilot, keeper, None),
            };
            if let Some(keeper) = &mut keeper {
                keeper.frame(&data);
            }
            if body.is_end_stream() {
                // Stored before its last byte goes down: who has read all of it and asks again gets it from there.
                self.keep(&pilot, keeper);
                pilot.push(data);
                return pilot.complete(None, self.paying.get());
            }
            if !pilot.push(data) {
                self.room(&pilot).await;
            }
        }
    }

    /// A reply that is too long to be kept goes at the pace of its readers.
    async fn room(&self, pilot: &Pilot) {
        loop {
            let room = poll_fn(|cx| if pilot.poll_abandoned(cx).is_ready() { Poll::Ready(()) } else { pilot.poll_room(cx) });
            match timeout(PATIENCE, room).await {
                Ok(()) => return,
                Err(_) => pilot.cut_slowest(),
            }
        }
    }

    fn complete(&self, pilot: Pilot, keeper: Option<Keeper>, trailers: Option<http::HeaderMap>) {
        self.keep(&pilot, keeper);
        pilot.complete(trailers, self.paying.get());
    }

    /// Stores what is worth it.
    fn keep(&self, pilot: &Pilot, keeper: Option<Keeper>) {
        let Some(keeper) = keeper else { return };
        let Runtime { cache, held, .. } = self.runtime;
        let memory = (held, self.snapshot.body.buffer_total.0);
        match keeper.finish(&self.paying, self.named, memory, self.runtime.moment()) {
            Ok(entry) => {
                cache.store.put(*pilot.key(), Arc::new(entry));
                cache.record.stored();
            }
            Err(unfit) => cache.record.not_stored(unfit.name()),
        }
    }
}

/// What comes of it, or nothing if nobody reads it any more.
async fn unless_abandoned<F: Future>(pilot: &Pilot, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match pilot.poll_abandoned(cx) {
        Poll::Ready(()) => Poll::Ready(None),
        Poll::Pending => future.as_mut().poll(cx).map(Some),
    })
    .await
}
