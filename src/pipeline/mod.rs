//! Layer 4: the path of one request. [`Pipeline::serve`] is that path, top to bottom; each step is a file.
//!
//! | step | what it does | file |
//! | --- | --- | --- |
//! | 0 | take the snapshot, start the trail | here, `trail.rs` |
//! | 1 | **admit**: nothing malformed goes further | `admit.rs`, `fields.rs` |
//! | 2 | **identify**: client, address, tier | `identify.rs` |
//! | 3 | **endpoint**: path and method → candidate routes | `route.rs` |
//! | 5 | **read the ask**: model and stream, by peeking at the bytes | `ask.rs` |
//! | 8 | **deliver**: key, send, the reply's head | `deliver.rs`, `outgoing.rs` |
//! | 9 | **relay** the body, frame by frame | `relay.rs` |
//! | 10 | **settle**, exactly once, also on `Drop` | `settle.rs` |
//! | ! | **reject**: any `Err` becomes a response, there and nowhere else | `reject.rs` |
//!
//! Cancel: the server drops the future, or later the body, when the client leaves. Everything that was taken is held by
//! a guard and gives itself back; the exchange with the provider ends at once.

pub mod admit;
pub mod ask;
pub mod body;
pub mod client;
pub mod deliver;
pub mod fields;
pub mod identify;
pub mod outgoing;
pub mod reject;
pub mod relay;
pub mod route;
pub mod settle;
pub mod trail;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, request::Parts};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use self::{
    body::Body,
    deliver::Delivery,
    fields::{SERVER_TIMING, X_REQUEST_ID, X_SIDEGATE_ATTEMPTS, X_SIDEGATE_KEY},
    reject::Reject,
    relay::Relay,
    settle::Settlement,
    trail::{End, Trail},
};
use crate::{
    config::Annotate,
    runtime::{Runtime, Snapshot},
    upstream::Upstream,
};

/// A request as the server hands it over.
#[derive(Debug)]
pub struct Inbound {
    /// Head and body.
    pub request: Request<Incoming>,
    /// The peer's address; `None` on a Unix socket.
    pub peer: Option<IpAddr>,
    /// When its head was read.
    pub received: Instant,
}

/// The path of requests on one worker.
#[derive(Clone, Debug)]
pub struct Pipeline {
    runtime: Arc<Runtime>,
    upstream: Upstream,
}

impl Pipeline {
    /// A path over one worker's connections.
    #[must_use]
    pub fn new(runtime: Arc<Runtime>, upstream: Upstream) -> Self {
        Self { runtime, upstream }
    }

    /// Answers one request.
    pub async fn handle(self, inbound: Inbound) -> Response<Body> {
        let snapshot = self.runtime.snapshot.load_full(); //                          0  one generation for the whole request
        let Inbound { request, peer, received } = inbound;
        let (head, body) = request.into_parts();
        let mut unread = Some(body);
        let mut trail = Trail::start(Arc::clone(&self.runtime), received, peer, (&head.method, &head.uri, &head.headers));
        match self.serve(&snapshot, (head, peer), &mut unread, &mut trail).await {
            Ok(delivery) => relay(delivery, Arc::clone(&snapshot), trail), //         9  and 10 at the end of the body
            Err(reject) => answer(&reject, unread, trail),                 //                         !  the only place that answers for us
        }
    }

    async fn serve<'s>(
        &self,
        snapshot: &'s Snapshot,
        (head, peer): (Parts, Option<IpAddr>),
        body: &mut Option<Incoming>,
        trail: &mut Trail,
    ) -> Result<Delivery<'s>, Reject> {
        let request = admit::admit(head, peer, &snapshot.listen, &snapshot.trust)?; //                        1
        let client = identify::identify(&request, &snapshot.clients, &snapshot.trust)?; //                    2
        trail.identified(&client);
        let candidates = route::candidates(snapshot, &request.head.method, request.head.uri.path())?; //      3
        let bounds = (&snapshot.body, &self.runtime.held);
        let asked = ask::read(&request.head.headers, body, &candidates, bounds).await?; //                    5
        trail.asked(&asked.ask, asked.waited);
        let route = candidates.select(&asked.ask)?;
        trail.routed(&route.path);
        let _held = asked.reserved; // the memory of a body that may go up again, until a reply has begun
        deliver::deliver(&self.upstream, route, &client, (request, asked.upload), trail).await //             8
    }
}

/// Step 9: the reply's head is complete, its body follows as it comes.
fn relay(delivery: Delivery<'_>, snapshot: Arc<Snapshot>, mut trail: Trail) -> Response<Body> {
    let Delivery { target, mut reply, key, holds } = delivery;
    annotate(reply.headers_mut(), snapshot.annotate, key, &mut trail);
    let without_body = *trail.method() == Method::HEAD || matches!(reply.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let metrics = target.metrics.clone();
    let settlement = Settlement::new(snapshot, metrics, holds, reply.status(), trail);
    // The version is the connection's to say.
    *reply.version_mut() = Version::HTTP_11;
    reply.map(|body| Body::relay(Relay::new(body, without_body, settlement)))
}

/// What Sidegate adds to a reply, as far as the config lets it.
fn annotate(headers: &mut HeaderMap, add: Annotate, key: Option<&HeaderValue>, trail: &mut Trail) {
    match headers.get(X_REQUEST_ID) {
        Some(id) => trail.named(id),
        None if add.request_id => drop(headers.insert(X_REQUEST_ID, trail.request_id())),
        None => {}
    }
    if let Some(key) = key.filter(|_| add.key) {
        headers.insert(X_SIDEGATE_KEY, key.clone());
    }
    if add.attempts {
        headers.insert(X_SIDEGATE_ATTEMPTS, HeaderValue::from(trail.attempts()));
    }
    if add.timing {
        let micros = trail.overhead().as_micros();
        let text = format!("sidegate;dur={}.{:03}", micros / 1_000, micros % 1_000);
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.append(SERVER_TIMING, value);
        }
    }
}

/// The end of every request that gets no reply from a provider.
fn answer(reject: &Reject, unread: Option<Incoming>, mut trail: Trail) -> Response<Body> {
    if let Some(body) = unread.filter(|_| !trail.expects_continue()) {
        tokio::task::spawn_local(drain(body));
    }
    let shape = reject.shape();
    trail.runtime().metrics.rejected(shape.code);
    let response = reject.respond(&trail.request_id());
    let overhead = trail.overhead();
    trail.end(shape.status, End::Rejected(shape.code), 0, overhead);
    response
}

/// Reads a little of what the client is still sending, so that it gets to read the answer and may use its connection
/// again. What is longer ends with the connection.
async fn drain(mut body: Incoming) {
    let small = async {
        let mut left: usize = LINGER.0;
        while let Some(Ok(frame)) = body.frame().await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(still) => left = still,
                None => return,
            }
        }
    };
    drop(tokio::time::timeout(LINGER.1, small).await);
}

/// How much of a refused body is read, and for how long (RFC 9112 §9.6).
const LINGER: (usize, Duration) = (1 << 20, Duration::from_secs(2));
