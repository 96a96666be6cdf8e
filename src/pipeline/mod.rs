//! Layer 4: the path of one request. [`Pipeline::serve`] is that path, top to bottom; each step is a file.
//!
//! | step | what it does | file |
//! | --- | --- | --- |
//! | 0 | take the snapshot, start the trail | here, `trail.rs`, `trace.rs` |
//! | 1 | **admit**: nothing malformed goes further | `admit.rs`, `fields.rs` |
//! | 2 | **identify**: client, address, tier, session, region | `identify.rs`, `client.rs` |
//! | 3 | **endpoint**: path and method → candidate routes | `route.rs` |
//! | 4 | **limit**, what needs no body: requests, concurrency | `limit.rs` |
//! | 5 | **read the ask**: model and stream, by peeking at the bytes | `ask.rs`, `decoded.rs` |
//! | 6 | **cache**: a hit, somebody else's call, or a call of one's own | `cache.rs`, `cache/` |
//! | 7 | **limit**, per model, tokens, cost: reserve what it will take | `limit.rs`, `reservation.rs`, `include_usage.rs`, `readable.rs` |
//! | 8 | **deliver**: breaker, place and key, send, verdict, and what comes next | `deliver.rs`, `deliver/`, `outgoing.rs`, `judge.rs`, `downward.rs` |
//! | 9 | **relay** the body, frame by frame; or a WebSocket's bytes | `respond.rs`, `standing.rs`, `relay.rs`, `observe.rs`, `upgrade.rs`, `tunnel.rs` |
//! | 10 | **settle**, exactly once, also on `Drop` | `settle.rs`, `holds.rs`, `attempt.rs`, `tell.rs` |
//! | ! | **reject**: any `Err` becomes a response, there and nowhere else | `reject.rs` |
//!
//! What they work on: `wanted.rs`, `body.rs`, `joined.rs`. `trial.rs` takes the steps that need no body for a request that nobody has sent.
//!
//! Cancel: the server drops the future, or later the body, when the client leaves. Everything that was taken is held by
//! a guard and gives itself back; the exchange with the provider ends at once.

pub mod admit;
pub mod ask;
pub mod attempt;
pub mod body;
pub mod cache;
pub mod client;
pub mod decoded;
pub mod deliver;
pub mod downward;
pub mod fields;
pub mod holds;
pub mod identify;
pub mod include_usage;
pub mod joined;
pub mod judge;
pub mod limit;
pub mod observe;
pub mod outgoing;
pub mod readable;
pub mod reject;
pub mod relay;
pub mod reservation;
pub mod respond;
pub mod route;
pub mod settle;
pub mod standing;
pub mod tell;
pub mod trace;
pub mod trail;
pub mod trial;
pub mod tunnel;
pub mod upgrade;
pub mod wanted;

use std::{cell::OnceCell, fmt, net::IpAddr, sync::Arc, time::Instant};

use http::{Request, Response, request::Parts};
use hyper::body::Incoming;

use self::{
    body::Body,
    cache::{Found, Lead, Source, Stored},
    deliver::{Asks, Delivery},
    fields::Present,
    identify::Unproven,
    limit::Granted,
    reject::Reject,
    trace::Traced,
    trail::Trail,
    wanted::Wanted,
};
use crate::{
    provider::prefix,
    runtime::{Route, Runtime, Snapshot},
    types::ForeignName,
    upstream::Upstream,
};

/// A request as the server hands it over.
pub struct Inbound {
    /// Its head, which goes from hand to hand.
    pub head: Box<Parts>,
    /// Which of the fields that mean something here it has.
    pub present: Present,
    /// Its body.
    pub body: Incoming,
    /// The peer's address; `None` on a Unix socket.
    pub peer: Option<IpAddr>,
    /// What the certificate that the peer showed calls it, if it had to show one.
    pub certified: Option<ForeignName>,
    /// When its head was read.
    pub received: Instant,
}

impl Inbound {
    /// A request whose head was read just now.
    #[must_use]
    pub fn new(request: Request<Incoming>, peer: Option<IpAddr>, certified: Option<ForeignName>) -> Self {
        let (head, body) = request.into_parts();
        let present = Present::read(&head.headers);
        Self { head: Box::new(head), present, body, peer, certified, received: Instant::now() }
    }
}

impl fmt::Debug for Inbound {
    /// Without its fields and its query: they hold what is the client's own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inbound({} {})", self.head.method, self.head.uri.path())
    }
}

/// The generation that a request belongs to, and the one in force: the same, unless the config changed while the request
/// waited for its client.
#[derive(Debug)]
pub struct Generations<'p> {
    own: &'p Snapshot,
    newest: [OnceCell<Arc<Snapshot>>; 2],
    runtime: &'p Runtime,
}

impl<'p> Generations<'p> {
    fn new(own: &'p Snapshot, runtime: &'p Runtime) -> Self {
        Self { own, newest: Default::default(), runtime }
    }

    /// The one in force when the request has come to its key, if that is another.
    fn newer(&self) -> Option<&Snapshot> {
        self.of(&self.newest[0])
    }

    /// The one in force when the request has waited for its connection, if that is another.
    fn latest(&self) -> Option<&Snapshot> {
        self.of(&self.newest[1])
    }

    fn of<'g>(&self, newest: &'g OnceCell<Arc<Snapshot>>) -> Option<&'g Snapshot> {
        let newest = newest.get_or_init(|| self.runtime.snapshot.load_full());
        (newest.generation != self.own.generation).then_some(&**newest)
    }
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
        // 0: one generation of the config for the whole request.
        let snapshot = self.runtime.snapshot.load_full();
        let Inbound { head, present, body, peer, certified, received } = inbound;
        let mut unread = Some(body);
        let mut trail = Trail::start(Arc::clone(&self.runtime), received, peer, (&head, present));
        trail.watched(Traced::of(&head.headers, present, &snapshot.config.trace), snapshot.config.log.slow);
        let generations = Generations::new(&snapshot, &self.runtime);
        match self.serve(&generations, (head, present, peer, certified), &mut unread, &mut trail).await {
            // 9, and 10 at the end of the body.
            Ok(Served::Delivered(delivery)) => respond::respond(delivery, &snapshot, trail),
            Ok(Served::Cached(source)) => cache::told::answer(source, &snapshot, trail),
            Ok(Served::Shared(lead)) => Box::pin(cache::lead::lead(self.clone(), &snapshot, *lead, trail)).await,
            // !: the only place that answers for us.
            Err(reject) => reject::answer(&reject, unread, trail, snapshot.annotate),
        }
    }

    async fn serve<'s>(
        &self,
        generations: &'s Generations<'s>,
        (head, present, peer, certified): (Box<Parts>, Present, Option<IpAddr>, Option<ForeignName>),
        body: &mut Option<Incoming>,
        trail: &mut Trail,
    ) -> Result<Served<'s>, Reject> {
        let snapshot = generations.own;
        // 1: before anything else is believed of it.
        let request = admit::admit(head, present, peer, &snapshot.listen, &snapshot.trust)?;
        // 2: before the body is polled, so that who is refused is not invited to send it.
        let certified = certified.as_ref();
        let origin = (&snapshot.trust, &snapshot.regions);
        let identified = match identify::identify(&request, certified, &snapshot.clients, origin) {
            Err(unproven) if identify::jwt::may_wait(&unproven) => {
                let later = identify::jwt::identify_later(&request, certified, &snapshot.clients, origin, unproven);
                // Seldom needed, and no part of every request's future.
                Box::pin(later).await
            }
            identified => identified,
        };
        let client = match identified {
            Ok(client) => client,
            Err(unproven) => {
                let Unproven { client, reject } = *unproven;
                trail.identified(&client);
                return Err(limit::failed_auth(&snapshot.limits, &client, reject, &self.runtime));
            }
        };
        trail.identified(&client);
        // 3: tells whether the body may be read.
        let candidates = route::candidates(snapshot, &request.head.method, &request.head.uri)?;
        let pass_on = if snapshot.passes_credentials { candidates.pass_on() } else { None };
        let client = if let Some(dialect) = pass_on { identify::as_holder(client, &request, dialect) } else { client };
        // 4: before a byte of the body is read.
        let caller = limit::limited_caller(&snapshot.limits, &client);
        let Granted { charge, standings } = limit::first(&snapshot.limits, caller.as_ref(), &self.runtime)?;
        trail.limited(standings);
        trail.charged(charge);
        // 5: the first bytes of the body, and with them the route.
        let bounds = (&snapshot.body, &self.runtime.held);
        let is_weighed = candidates.tells_usage && (snapshot.limits.count_usage || candidates.weigh());
        let asked = ask::read((&request.head.headers, request.present), body, &candidates, bounds, is_weighed).await?;
        let route = candidates.select(&asked.ask);
        let whose = candidates.whose(&asked.ask);
        if candidates.tells_objects(&asked.ask) {
            trail.tells_objects();
        }
        let repeat = candidates.repeat(&asked.ask);
        trail.asked(asked.ask, asked.waited, candidates.tells_usage);
        let route = route?;
        let (question, counts) = (candidates.question(route), candidates.counts());
        trail.routed(&route.path);
        let ask::Asked { upload, reserved, prompt, .. } = asked;
        let wanted = Wanted { request, client, upload, reserved, prompt, whose, repeat, counts, is_charged: false };
        // 6: what was asked before is not asked again.
        let wanted = match route.cache.as_ref().zip(question) {
            None => wanted,
            Some((spec, question)) => match cache::look((snapshot, route, spec), question, wanted, trail)? {
                Stored::Answer(source) => return Ok(Served::Cached(source)),
                Stored::Bypass(wanted) => *wanted,
                Stored::Nothing(unanswered) => match Box::pin(cache::ask(unanswered, trail)).await? {
                    Found::Answer(source) => return Ok(Served::Cached(source)),
                    Found::Nothing(lead) => return Ok(Served::Shared(lead)),
                    Found::Bypass(wanted) => *wanted,
                },
            },
        };
        // By far the largest part of a request's future, which hyper moves as a whole before any of it is needed.
        Box::pin(self.buy(generations, route, wanted, trail)).await.map(Served::Delivered)
    }

    /// Steps 7 and 8: what nobody has an answer to is paid for.
    async fn buy<'s>(
        &self,
        generations: &'s Generations<'s>,
        route: &'s Route,
        wanted: Wanted,
        trail: &mut Trail,
    ) -> Result<Box<Delivery<'s>>, Reject> {
        let Wanted { mut request, client, upload, reserved, prompt, whose, repeat, counts, is_charged } = wanted;
        let limits = &generations.own.limits;
        // 7: the last gate before money.
        if !is_charged {
            let caller = limit::limited_caller(limits, &client);
            reservation::reserve(limits, caller.as_ref(), (counts, route, prompt), trail)?;
        }
        if trail.counts() {
            readable::ask(&mut request.head.headers);
        }
        let upload = if counts.tells_if_asked { include_usage::ask(&request, upload, trail) } else { upload };
        // The memory of a body that may go up again is kept until a reply has begun.
        let _held = reserved;
        // 8: the last step that may refuse. From here on the provider speaks.
        let tokens = reservation::expected(route, (&upload, prompt), trail);
        let prefix = if route.has_affinity { upload.whole().and_then(|body| prefix::id(trail.model(), body)) } else { None };
        let asks = Asks { whose, repeat, tokens, prefix };
        deliver::deliver(&self.upstream, (generations, route, asks), &client, (request, upload), trail).await
    }
}

/// How a request is answered.
enum Served<'s> {
    /// By a provider.
    Delivered(Box<Delivery<'s>>),
    /// By what somebody else has paid for.
    Cached(Source),
    /// By a call that others may join.
    Shared(Box<Lead>),
}
