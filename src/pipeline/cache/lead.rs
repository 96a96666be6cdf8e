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

use http::{Response, StatusCode, header::CONTENT_LENGTH, response::Parts};
use http_body::{Body as _, Frame};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{
    super::{
        Generations, Pipeline,
        body::Body,
        reject::{self, Reject},
        reservation::Outcome,
        respond,
        trail::{Paying, Trail, new_request_id},
    },
    Asked,
    keeper::Keeper,
    played::{Played, Source},
    told,
};
use crate::{
    policy::cache::{Key, Spelling, Unfit},
    runtime::{
        Route, Runtime, Snapshot, Target,
        cache::{
            flight::{Cursor, Failed, Head, Says},
            flights::Pilot,
        },
    },
    types::Cached,
    upstream::{Failure, Phase, Reason},
};

/// How long others wait for a reader that takes nothing, once a reply is too long to be kept.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the first of those who ask the same sets out with.
#[derive(Debug)]
pub struct Lead {
    /// What it asks.
    pub(super) asked: Asked,
    /// The call.
    pub(super) pilot: Pilot,
    /// Its own place among the readers.
    pub(super) cursor: Cursor,
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
    let Lead { asked, pilot, cursor } = lead;
    let (tell, heard) = oneshot::channel();
    let call = Call { pipeline, snapshot: Arc::clone(snapshot), asked, pilot };
    tokio::task::spawn_local(call.make(trail, tell));
    match heard.await {
        Ok(Heard::Opened(parts)) => Response::from_parts(*parts, Body::played(Played::of_first(cursor))),
        Ok(Heard::Stale(source, trail)) => told::answer(source, snapshot, trail),
        Ok(Heard::Rejected(reject, trail)) => reject::answer(&reject, None, trail, snapshot.annotate),
        // It ended with its worker, or by a defect: its trail has told of it.
        Err(_) => Reject::Upstream(Failure::new(Phase::Head, Reason::Closed)).respond(&new_request_id()),
    }
}

/// One call, under way.
struct Call {
    pipeline: Pipeline,
    snapshot: Arc<Snapshot>,
    asked: Asked,
    pilot: Pilot,
}

impl Call {
    async fn make(self, mut trail: Trail, tell: oneshot::Sender<Heard>) {
        let Self { pipeline, snapshot, asked, pilot } = self;
        let Asked { wanted, at, spec, question, known, stale } = asked;
        let runtime = Arc::clone(trail.runtime());
        let generations = Generations::new(&snapshot, &runtime);
        // invariant: it was found in this generation.
        let Some(route) = snapshot.routes.get(at) else { return };
        let client = wanted.client.name.as_ref().map(|name| Box::<str>::from(name.as_str()));
        let model = trail.model().map(Box::<str>::from);
        let epoch = runtime.cache.epoch();
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
                    Some(stale) => {
                        if let Reject::Upstream(failure) = &reject {
                            trail.failed(failure.name());
                        }
                        Heard::Stale(Source::stale(stale), trail)
                    }
                    None => Heard::Rejected(reject, trail),
                };
                return drop(tell.send(heard));
            }
            Ok(delivery) => delivery,
        };
        if let Some(stale) = stale.filter(|_| Outcome::of_reply(delivery.reply.status()) == Outcome::Unserved) {
            let metrics = &delivery.target.metrics;
            metrics.of(metrics.model(trail.model()), &runtime.metrics).answered(delivery.reply.status());
            pilot.fail(Failed::Unserved);
            return drop(tell.send(Heard::Stale(Source::stale(stale), trail)));
        }
        let of = (question, delivery.target.provider.dialect, stands_in(route, delivery.target));
        let (parts, body) = respond::respond(delivery, &snapshot, trail).into_parts();
        let head = shared(&parts);
        let keeper = (head.says != Says::Nothing).then(|| Keeper::new(&spec, of, (head.status, &head.headers)));
        if keeper.is_none() {
            runtime.cache.record.not_stored(Unfit::Status.name());
        }
        pilot.open(head);
        // Its client may have left, and others read on.
        let _ = tell.send(Heard::Opened(Box::new(parts)));
        let named = (client.as_deref(), model.as_deref());
        Relaying { runtime: &runtime, snapshot: &snapshot, paying, named, spelling: known.spelling, epoch }
            .relay(pilot, body, keeper)
            .await;
    }
}

/// The head as all may have it.
fn shared(parts: &Parts) -> Head {
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let says = match parts.status {
        StatusCode::OK => Says::Answer,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Says::Nothing,
        status if status.is_server_error() => Says::Nothing,
        _ => Says::Refusal,
    };
    Head { status: parts.status, headers: told::kept(&parts.headers), length, says }
}

/// Whether its answer would not be what the route's first target answers: another model's.
fn stands_in(route: &Route, target: &Target) -> bool {
    let first = &route.targets[0];
    first.model != target.model || first.provider.dialect.request_format() != target.provider.dialect.request_format()
}

/// What goes down to all who read.
struct Relaying<'r> {
    runtime: &'r Runtime,
    snapshot: &'r Snapshot,
    paying: Rc<Paying>,
    named: (Option<&'r str>, Option<&'r str>),
    spelling: Spelling,
    /// When the call began, as purges count.
    epoch: u64,
}

impl Relaying<'_> {
    async fn relay(self, pilot: Pilot, body: Body, mut keeper: Option<Keeper>) {
        let (mut body, mut trailers, mut full) = (pin!(body), None, None);
        loop {
            let Some(item) = unless_abandoned(&pilot, poll_fn(|cx| body.as_mut().poll_frame(cx))).await else { return };
            let data = match item.map(|item| item.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => data,
                // What stands behind a body is the first reader's alone, and no part of what is kept.
                Some(Ok(Err(frame))) => {
                    trailers = frame.into_trailers().ok();
                    continue;
                }
                Some(Err(failure)) => {
                    self.runtime.cache.record.not_stored(Unfit::Unfinished.name());
                    return pilot.break_off(failure);
                }
                None => {
                    self.keep(&pilot, keeper);
                    return pilot.complete(None, trailers, self.paying.get());
                }
            };
            if let Some(keeper) = &mut keeper {
                keeper.frame(&data);
            }
            if body.is_end_stream() {
                // Stored before its last byte goes down: who has read all of it and asks again gets it from there.
                self.keep(&pilot, keeper);
                return pilot.complete(Some(data), None, self.paying.get());
            }
            if !data.is_empty() && !pilot.push(data) {
                if keeper.take().is_some() {
                    self.runtime.cache.record.not_stored(Unfit::Large.name());
                }
                self.room(&pilot, &mut full).await;
            }
        }
    }

    /// A reply that is too long to be kept goes at the pace of its readers. Those who take more than [`PATIENCE`] for what is there when
    /// it is `full` are cut off, if others do not.
    async fn room(&self, pilot: &Pilot, full: &mut Option<(Instant, usize)>) {
        loop {
            let (since, mark) = *full.get_or_insert_with(|| (Instant::now(), pilot.next()));
            let room = poll_fn(|cx| if pilot.poll_abandoned(cx).is_ready() { Poll::Ready(()) } else { pilot.poll_room(cx) });
            let has_room = timeout_at(since + PATIENCE, room).await.is_ok();
            if has_room && !pilot.all_have_read(mark) && since.elapsed() < PATIENCE {
                return;
            }
            *full = None;
            if has_room && pilot.all_have_read(mark) {
                return;
            }
            pilot.cut_behind(mark);
        }
    }

    /// Stores what is worth it, unless all was to be forgotten since the call began.
    fn keep(&self, pilot: &Pilot, keeper: Option<Keeper>) {
        let Some(keeper) = keeper else { return };
        let Runtime { cache, held, .. } = self.runtime;
        let memory = (held, self.snapshot.body.buffer_total.0);
        match keeper.finish(&self.paying, self.named, memory, self.runtime.moment()) {
            Ok(_) if cache.epoch() != self.epoch => {}
            Ok(entry) => {
                let key = if entry.dates.negative { Key::of_refusal(self.spelling) } else { *pilot.key() };
                if cache.store.put(key, Arc::new(entry)) {
                    cache.record.stored();
                } else {
                    cache.record.not_stored(Unfit::Large.name());
                }
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
