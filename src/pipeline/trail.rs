//! What is known of one request as it goes: append-only, and the only thing that every step writes.
//!
//! Its last line is the access log, and where that is asked for a line about a slow request and a span. All is written exactly once, also when the future is dropped because the client
//! left: then the request ends as *left* with the status 499.

use std::{
    fmt,
    net::IpAddr,
    ops::Range,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant, SystemTime},
};

use http::{HeaderValue, Method, StatusCode, Uri, request::Parts};

mod cached;
mod charge;
mod end;
mod limited;
mod request_id;
mod slow;
mod span;
mod spent;
mod tells;
mod times;
mod tried;
mod watched;

use super::{
    attempt::Attempt,
    client::Client,
    fields::{Present, X_REQUEST_ID},
    reservation::Reservation,
    standing::Standings,
    trace::Traced,
};
use crate::{
    policy::prices::Cost,
    runtime::{Runtime, snapshot::PoolKey},
    telemetry::{access_log::Entry, decisions::Tries, traffic::Ended},
    types::{Ask, Cached, Cause, LimitName, Period, SpanId, TraceId, Usage, trace_context::Hex},
};
pub use cached::Paying;
pub use end::End;
pub(super) use request_id::new as new_request_id;

/// The most bytes of a model's name that the log repeats: a client may send megabytes.
const LONGEST_MODEL: usize = 256;

/// What stands for an id with bytes beyond ASCII.
const NOT_ASCII: &str = "not-ascii";

/// The status that is logged where none went down: the client left before, as nginx has it, or a drain's time was over.
const LEFT: u16 = 499;

/// The course of one request. It goes through every step and on into the reply's body, so it is moved as a pointer.
pub struct Trail(Box<Course>);

impl fmt::Debug for Trail {
    /// Without the query, which may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trail({} {})", self.0.method, self.0.uri.path())
    }
}

struct Course {
    runtime: Arc<Runtime>,
    received: Instant,
    wall: SystemTime,
    method: Method,
    uri: Uri,
    expects_continue: bool,
    request_id: Option<HeaderValue>,
    traced: Traced,
    /// From when on it is slow, if that is asked for.
    slow: Option<Period>,
    /// Whether its reply lasts as long as the provider has something to say.
    is_live: bool,
    provider_named: bool,
    ip: Option<IpAddr>,
    client: Option<Client>,
    route: Option<Arc<str>>,
    ask: Ask,
    standings: Option<Box<Standings>>,
    /// From the request's head to the first attempt, without waits.
    before_first: Duration,
    /// Whether all that could be tried was.
    is_spent: bool,
    waited: Duration,
    /// How long it waited for targets that were passed over.
    held_up: Duration,
    attempts: u32,
    last: Option<Attempt>,
    /// What was tried before, and in the end the last as well.
    tries: Tries,
    failure: Option<&'static str>,
    limit: Option<LimitName>,
    streams: bool,
    tells_usage: bool,
    tells_objects: bool,
    usage: Usage,
    cost: Option<Cost>,
    /// What the cache had to do with it, and why it was not asked.
    cached: Option<(Cached, Option<&'static str>)>,
    /// Where others learn what its call took.
    paying: Option<Rc<Paying>>,
    /// What limits have charged for it, until that is settled.
    reservation: Option<Box<Reservation>>,
    ended: bool,
}

impl Trail {
    /// Starts with the request's head.
    #[must_use]
    pub fn start(runtime: Arc<Runtime>, received: Instant, peer: Option<IpAddr>, (head, present): (&Parts, Present)) -> Self {
        runtime.traffic.begun();
        Self(Box::new(Course {
            runtime,
            received,
            wall: SystemTime::now(),
            method: head.method.clone(),
            uri: head.uri.clone(),
            expects_continue: present.has(Present::EXPECT),
            request_id: if present.has(Present::ID) {
                head.headers.get(X_REQUEST_ID).filter(|id| request_id::is_fit(id)).cloned()
            } else {
                None
            },
            traced: Traced::default(),
            slow: None,
            is_live: false,
            provider_named: false,
            ip: peer,
            client: None,
            route: None,
            ask: Ask::default(),
            standings: None,
            before_first: Duration::ZERO,
            is_spent: false,
            waited: Duration::ZERO,
            held_up: Duration::ZERO,
            attempts: 0,
            last: None,
            tries: Tries::default(),
            failure: None,
            limit: None,
            streams: false,
            tells_usage: false,
            tells_objects: false,
            usage: Usage::default(),
            cost: None,
            cached: None,
            paying: None,
            reservation: None,
            ended: false,
        }))
    }

    /// Step 2 has found who calls.
    pub fn identified(&mut self, client: &Client) {
        self.0.ip = client.ip;
        self.0.client = Some(client.clone());
    }

    /// Step 5 has read what is asked, after waiting so long for the client's body; and whether the reply may tell what it used.
    pub fn asked(&mut self, ask: Ask, waited: Duration, tells_usage: bool) {
        self.0.ask = ask;
        self.0.tells_usage = tells_usage;
        self.0.waited = waited;
    }

    /// What is asked for.
    #[must_use]
    pub fn ask(&self) -> &Ask {
        &self.0.ask
    }

    /// The body was changed: what was read of it stands elsewhere.
    pub fn moved(&mut self, to: impl Fn(&Range<usize>) -> Range<usize>) {
        let ask = &mut self.0.ask;
        ask.model_at = ask.model_at.as_ref().map(&to);
    }

    /// The route is settled.
    pub fn routed(&mut self, path: &Arc<str>) {
        self.0.route = Some(Arc::clone(path));
    }

    /// The last attempt goes out with this key.
    pub fn sent_with(&mut self, key: &Arc<PoolKey>) {
        if let Some(attempt) = &mut self.0.last {
            attempt.key = Some(Arc::clone(key));
        }
    }

    /// The last attempt's reply begins now.
    pub fn answered(&mut self, now: Instant) {
        if let Some(attempt) = &mut self.0.last {
            attempt.head = Some(now);
        }
    }

    /// The last attempt's reply goes down.
    pub fn streams(&mut self) {
        let first_byte = self.first_byte();
        if let Some((first_byte, key)) = first_byte.zip(self.0.last.as_ref().and_then(|attempt| attempt.key.as_ref())) {
            key.record.first_byte(first_byte);
        }
        self.0.runtime.traffic.streaming(first_byte);
        self.0.streams = true;
    }

    /// The last attempt got no reply, for this reason.
    pub fn failed(&mut self, reason: &'static str) {
        self.0.failure = Some(reason);
    }

    /// The model that is asked for.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.0.ask.model.as_deref()
    }

    /// Attempts made so far.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// What all of Sidegate's workers share.
    #[must_use]
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.0.runtime
    }

    /// The request's method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.0.method
    }

    /// Whether the client waits for `100 Continue` before it sends its body.
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        self.0.expects_continue
    }

    /// Body bytes sent up so far.
    #[must_use]
    pub fn bytes_in(&self) -> u64 {
        self.0.last.as_ref().map_or(0, |attempt| attempt.upload.sent())
    }

    /// What it means that the request is dropped before its end.
    #[must_use]
    pub fn dropped(&self) -> End {
        if self.0.runtime.cut.load(Ordering::Relaxed) { End::Truncated("drained") } else { End::Left }
    }

    /// The request is over.
    pub fn end(&mut self, (status, end): (StatusCode, End), bytes_out: u64, overhead: Duration, now: Instant) {
        self.write((Some(status), end), bytes_out, overhead, now);
    }

    /// Adds the request to what is counted of all.
    fn count(&self, status: u16, end: End, bytes_out: u64, duration: Duration) {
        let traffic = &self.0.runtime.traffic;
        if self.0.streams {
            traffic.streamed();
        }
        let broken = matches!(end, End::Truncated(_));
        traffic.ended(&Ended { status, broken, duration, bytes_up: self.bytes_in(), bytes_down: bytes_out });
    }

    fn write(&mut self, (status, end): (Option<StatusCode>, End), bytes_out: u64, overhead: Duration, now: Instant) {
        if std::mem::replace(&mut self.0.ended, true) {
            return;
        }
        self.settle_left();
        let duration = self.elapsed(now);
        self.close((status, end), self.0.failure, "pass", now);
        let tries = std::mem::take(&mut self.0.tries);
        let status = status.map_or(LEFT, |status| status.as_u16());
        self.count(status, end, bytes_out, duration);
        let id = self.request_id();
        let (trace, span) = (self.0.traced.trace().map(TraceId::hex), self.0.traced.span().map(SpanId::hex));
        let provider = self.0.last.as_ref().map(|attempt| attempt.provider.name.as_str());
        let key = self.0.last.as_ref().and_then(|attempt| attempt.key.as_deref());
        let client = self.0.client.as_ref();
        let entry = Entry {
            time: self.0.wall,
            request_id: id.to_str().unwrap_or(NOT_ASCII),
            trace_id: trace.as_ref().map(Hex::as_str),
            span_id: span.as_ref().map(Hex::as_str),
            method: self.0.method.as_str(),
            path: self.0.uri.path(),
            status,
            client: client.and_then(|client| client.name.as_ref()).map(|name| name.as_str()),
            tier: client.and_then(|client| client.tier.as_ref()).map(|tier| tier.as_str()),
            region: client.and_then(|client| client.region.as_ref()).map(|region| region.as_str()),
            ip: self.0.ip,
            route: self.0.route.as_deref(),
            provider,
            key: key.and_then(|key| key.fingerprint.to_str().ok()),
            key_name: key.map(|key| &*key.name),
            model: self.0.ask.model.as_deref().map(|model| &model[..model.floor_char_boundary(LONGEST_MODEL)]),
            stream: self.0.ask.stream,
            cache: self.0.cached.map(|(cached, _)| cached.name()),
            attempts: self.0.attempts,
            tried: tries.count(),
            verdict: tries.verdict().filter(|cause| *cause != Cause::Served).map(Cause::name),
            bytes_in: self.bytes_in(),
            bytes_out,
            tokens_in: self.0.usage.input,
            tokens_out: self.0.usage.output,
            cost: self.0.cost.map(|cost| cost.amount),
            cost_estimated: self.0.cost.is_some_and(|cost| cost.estimated),
            duration,
            first_byte: self.first_byte(),
            overhead,
            end: end.name(),
            error: end.error(),
            limit: self.0.limit.as_ref().map(LimitName::as_str),
            failure: self.0.failure,
        };
        self.0.count_cached();
        self.0.runtime.access_log.write(&entry);
        self.0.tell_if_slow(&entry);
        self.0.tell_span(&entry);
        self.0.keep_decision(&entry, end, tries);
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        let end = self.dropped();
        self.write((None, end), 0, Duration::ZERO, Instant::now());
    }
}
