//! Sends one request to one endpoint and waits for the head of its reply.

use std::{
    cell::RefCell,
    fmt,
    future::poll_fn,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Poll, ready},
    time::{Duration, Instant},
};

use http::{
    Extensions, HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::HOST,
    uri::{Parts, PathAndQuery},
};
use hyper::{body::Incoming, client::conn::TrySendError};

use super::{
    Endpoint, Failure, Phase, Reason, ReplyBody, Resolver, Switched, Upload,
    body::{Awaiting, Progress},
    coarse::{CoarseTimer, CoarseTimers},
    endpoint::EndpointId,
    error::{h2_reason, is_cut, went_away},
    pool::{Hold, Pool},
};
use crate::types::fields::retain;

/// How often a request is sent again within one attempt.
const RESENDS: u32 = 4;

/// How often unused connections are looked for.
pub const SWEEP: Duration = Duration::from_secs(5);

/// A request on its way up. `headers` holds the endpoint's `Host`; HTTP/2 gets it as `:authority` instead.
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// Path and query, byte for byte as they go out.
    pub path: PathAndQuery,
    /// All fields that go out, in order.
    pub headers: HeaderMap,
    /// hyper's record of the fields' original case.
    pub extensions: Extensions,
    /// The body.
    pub body: Upload,
}

impl fmt::Debug for Outgoing {
    /// Without its fields and its query: they hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({} {})", self.method, self.path.path())
    }
}

/// All connections of one worker.
#[derive(Clone)]
pub struct Upstream(Rc<Inner>);

struct Inner {
    /// Few, so a look at each costs less than a hash.
    pools: RefCell<Vec<(EndpointId, Rc<Pool>)>>,
    timers: CoarseTimers,
    resolver: Resolver,
    workers: usize,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Upstream")
    }
}

impl Upstream {
    /// The connections of one of `workers` workers.
    #[must_use]
    pub fn new(resolver: Resolver, workers: usize) -> Self {
        Self(Rc::new(Inner { pools: RefCell::default(), timers: CoarseTimers::default(), resolver, workers }))
    }

    /// Closes unused and old connections and fires timers, until it is dropped. Run it as a task of the worker.
    pub async fn sweep(self) {
        tokio::task::spawn_local(self.0.timers.clone().run());
        loop {
            tokio::time::sleep(SWEEP).await;
            let now = Instant::now();
            self.0.pools.borrow_mut().retain(|(_, pool)| {
                pool.sweep(now);
                !pool.is_unused()
            });
        }
    }

    fn pool(&self, endpoint: &Arc<Endpoint>) -> Rc<Pool> {
        let mut pools = self.0.pools.borrow_mut();
        if let Some((_, pool)) = pools.iter().find(|(id, _)| *id == endpoint.id) {
            return Rc::clone(pool);
        }
        // Mostly it stands in for one that a reload has retired: what that kept idle is of no more use.
        let now = Instant::now();
        pools.retain(|(_, pool)| {
            let retired = pool.endpoint.is_retired();
            if retired {
                pool.sweep(now);
            }
            !(retired && pool.is_unused())
        });
        let pool = Pool::new(Arc::clone(endpoint), self.0.resolver.clone(), self.0.workers);
        pools.push((endpoint.id, Rc::clone(&pool)));
        pool
    }

    /// Sends `outgoing` and waits for the reply's head. Before it goes out behind a wait, be it for a connection or for a try that
    /// failed, `renew` puts right what has become wrong of its fields meanwhile, or says that it may not go out any more.
    ///
    /// # Errors
    ///
    /// [`Failure`] tells the phase; where `renew` forbids it, it is [`Phase::Connect`] and [`Reason::Unprocessed`]. In [`Phase::Connect`] the provider has seen nothing of the request; in
    /// [`Phase::Head`] it may have acted on it, unless the reason is [`Reason::Unprocessed`].
    pub async fn send(
        &self,
        endpoint: &Arc<Endpoint>,
        mut outgoing: Box<Outgoing>,
        renew: &mut dyn FnMut(&mut HeaderMap) -> bool,
    ) -> Result<Response<ReplyBody>, Failure> {
        let pool = self.pool(endpoint);
        let timer = self.0.timers.timer();
        let mut resends = 0;
        loop {
            let progress = outgoing.body.progress();
            // The first time it has only just begun.
            let now = if resends == 0 { progress.since() } else { Instant::now() };
            let (hold, now, waited) = match pool.take(now) {
                Some(hold) => (hold, now, false),
                None => (pool.checkout().await?, Instant::now(), true),
            };
            if (waited || resends > 0) && !renew(&mut outgoing.headers) {
                hold.give_back();
                return Err(Failure::new(Phase::Connect, Reason::Unprocessed));
            }
            progress.begin(now);
            let over_http1 = matches!(hold, Hold::Http1(_));
            let (copy, result) = match hold {
                Hold::Http1(mut connection) => {
                    // A connection may end between two requests for no fault of the second (RFC 9112 §9.3.1).
                    let copy = if connection.used && outgoing.method.is_safe() { outgoing.again() } else { None };
                    let reply = connection.sender.try_send_request(outgoing.into_http1());
                    (copy, wait(reply, &progress, endpoint, &timer).await.map(|reply| (reply, Hold::Http1(connection))))
                }
                Hold::Http2(slot) => {
                    let copy = outgoing.again();
                    let reply = slot.connection.sender().try_send_request(outgoing.into_http2(endpoint));
                    let result = wait(reply, &progress, endpoint, &timer).await;
                    if result.as_ref().is_err_and(Missed::distrusts_connection) {
                        slot.connection.retire();
                    }
                    (copy, result.map(|reply| (reply, Hold::Http2(slot))))
                }
            };
            match result {
                Ok((reply, hold)) => return Ok(reply.map(|incoming| ReplyBody::new(incoming, Some(hold), timer, pool.idle_timeout()))),
                Err(missed) => match missed.again(copy, over_http1) {
                    (Some(again), _) if resends < RESENDS => {
                        resends += 1;
                        endpoint.observer.resent();
                        *outgoing = again;
                    }
                    (_, failure) => return Err(failure),
                },
            }
        }
    }
}

impl Upstream {
    /// Asks for an upgrade over a connection of its own, which speaks HTTP/1.1 whatever the others speak, and waits for the
    /// reply's head. With a 101 comes what the connection has become.
    ///
    /// # Errors
    ///
    /// As [`Self::send`], also with `renew`. It is sent once: a fresh connection has no earlier exchange to blame.
    pub async fn upgrade(
        &self,
        endpoint: &Arc<Endpoint>,
        mut outgoing: Outgoing,
        renew: &mut dyn FnMut(&mut HeaderMap) -> bool,
    ) -> Result<(Response<ReplyBody>, Option<Switched>), Failure> {
        let pool = self.pool(endpoint);
        let progress = outgoing.body.progress();
        let mut own = pool.dial_own().await?;
        if !renew(&mut outgoing.headers) {
            return Err(Failure::new(Phase::Connect, Reason::Unprocessed));
        }
        progress.begin(Instant::now());
        let timer = self.0.timers.timer();
        let reply = wait(own.sender.try_send_request(outgoing.into_http1()), &progress, endpoint, &timer).await;
        let reply = reply.map_err(|missed| missed.again(None, true).1)?;
        if reply.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok((
                reply.map(|incoming| ReplyBody::new(incoming, Some(Hold::Http1(own.into_http1())), timer, pool.idle_timeout())),
                None,
            ));
        }
        let switched = own.switched(endpoint.connect_timeout()).await?;
        Ok((reply.map(|incoming| ReplyBody::new(incoming, None, timer, pool.idle_timeout())), Some(switched)))
    }
}

type Sent = Request<Upload>;

/// A try that did not yield a reply.
#[expect(clippy::large_enum_variant, reason = "it lives for one match; boxing would cost each failed try an allocation")]
enum Missed {
    Hyper(TrySendError<Sent>),
    Failed(Failure),
}

impl Missed {
    /// Whether an HTTP/2 connection is to get no new stream: it is going away, or hangs.
    fn distrusts_connection(&self) -> bool {
        match self {
            Self::Hyper(error) => error.message().is_some() || went_away(error.error()) || h2_reason(error.error()).is_none(),
            Self::Failed(failure) => failure.reason == Reason::Timeout,
        }
    }

    /// The request, if it may be sent again, and why it failed.
    ///
    /// hyper gives the request back when nothing of it was written. A stream that the provider did nothing with
    /// (RFC 9113 §8.7) does not come back, nor does a request on a connection that ended; for those, `copy` was kept.
    fn again(self, copy: Option<Outgoing>, over_http1: bool) -> (Option<Outgoing>, Failure) {
        match self {
            Self::Failed(failure) => (None, failure),
            Self::Hyper(mut error) => match error.take_message() {
                Some(returned) => {
                    (Some(Outgoing::from_sent(returned)), Failure::because(Phase::Head, Reason::Unprocessed, error.into_error()))
                }
                None => {
                    let is_cut = over_http1 && is_cut(error.error());
                    let failure = Failure::from_hyper(Phase::Head, error.into_error());
                    (copy.filter(|_| is_cut || failure.reason == Reason::Unprocessed), failure)
                }
            },
        }
    }
}

/// Waits for the reply's head. The clock of `first_byte` starts when the request is out; before, each part of an upload
/// has the `idle` time, and a client that stalls is not the provider's fault.
async fn wait(
    reply: impl Future<Output = Result<Response<Incoming>, TrySendError<Sent>>>,
    progress: &Progress,
    endpoint: &Endpoint,
    timer: &CoarseTimer,
) -> Result<Response<Incoming>, Missed> {
    let timeouts = &endpoint.timeouts;
    let deadline = || {
        let (awaiting, since) = progress.awaiting();
        since + if awaiting == Awaiting::Nobody { timeouts.first_byte.0 } else { timeouts.idle.0 }
    };
    // Whom the upload waits for changes without a word, and the deadline with it: nobody looks away for longer than this.
    let shorter = timeouts.first_byte.0.min(timeouts.idle.0);
    let mut patience = shorter;
    let mut reply = pin!(reply);
    timer.stop();
    poll_fn(|cx| {
        if let Poll::Ready(result) = reply.as_mut().poll(cx) {
            return Poll::Ready(result.map_err(|error| match progress.broken() {
                // On HTTP/2 hyper only says that it gave the stream up, not why.
                Some(broken) => Missed::Failed(Failure::because(Phase::Head, broken.reason(), broken)),
                None => Missed::Hyper(error),
            }));
        }
        loop {
            ready!(timer.poll(patience, cx));
            let (now, deadline) = (Instant::now(), deadline());
            if now >= deadline {
                let reason = if progress.awaiting().0 == Awaiting::Client { Reason::Upload } else { Reason::Timeout };
                return Poll::Ready(Err(Missed::Failed(Failure::new(Phase::Head, reason))));
            }
            timer.stop();
            patience = shorter.min(deadline - now);
        }
    })
    .await
}

impl Outgoing {
    /// As HTTP/1.1 sends it: origin-form, with `Host`.
    fn into_http1(self) -> Sent {
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = Uri::from(self.path);
        *request.headers_mut() = self.headers;
        *request.extensions_mut() = self.extensions;
        request
    }

    /// As HTTP/2 sends it: `:authority` instead of `Host` (RFC 9113 §8.3.1).
    fn into_http2(self, endpoint: &Endpoint) -> Sent {
        let mut parts = Parts::default();
        parts.scheme = Some(endpoint.scheme());
        parts.authority = Some(endpoint.url.authority().clone());
        parts.path_and_query = Some(self.path);
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.version_mut() = Version::HTTP_2;
        // invariant: scheme, authority and path are all there, which is all that this conversion asks for.
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        *request.headers_mut() = retain(self.headers, |name| *name != HOST);
        request
    }

    fn from_sent(request: Sent) -> Self {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let mut headers = parts.headers;
        if let Some(host) = parts.uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok()) {
            headers.insert(HOST, host);
        }
        Self { method: parts.method, path, headers, extensions: parts.extensions, body }
    }

    /// A second one like it, unless its body can be sent only once.
    fn again(&self) -> Option<Self> {
        Some(Self {
            body: self.body.again()?,
            method: self.method.clone(),
            path: self.path.clone(),
            headers: self.headers.clone(),
            extensions: self.extensions.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
