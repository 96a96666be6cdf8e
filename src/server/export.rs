//! Spans go to the collector: in batches, over OTLP in JSON, from the control thread, so that no worker ever waits for it.
//!
//! Where the collector is and what it is sent is read from the config in force before each batch. A batch that it can't take is sent
//! again a few times, as OTLP asks (OTLP/HTTP, "Failures"); what comes meanwhile waits, up to a bound.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HOST},
    uri::PathAndQuery,
};
use http_body_util::{BodyExt, Limited};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout, timeout_at},
};

use super::nobody::Nobody;
use crate::{
    config::{Connections, HttpVersion, Otlp, Timeouts, UpstreamTls},
    runtime::Runtime,
    telemetry::{
        log::Seldom,
        metrics::SpanMetrics,
        trace::{Span, encode},
    },
    types::Period,
    upstream::{Endpoint, Resolver, Upload, Upstream, client::Outgoing, endpoint::How, tls::EndpointTls},
};

/// The most spans of one batch.
const BATCH: usize = 512;

/// How long the first span of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);

/// How long the collector has for one batch.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pauses before a batch is sent again.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// The most that is read of an answer.
const ANSWER: usize = 64 << 10;

/// Sends spans for as long as the process serves.
pub(super) struct Exporter {
    waiting: mpsc::Receiver<Span>,
    runtime: Arc<Runtime>,
    upstream: Upstream,
    metrics: SpanMetrics,
    /// The collector, and the settings that it was made from.
    collector: Option<(Otlp, Collector)>,
    failures: Seldom,
}

/// Where spans are sent, made ready.
struct Collector {
    endpoint: Arc<Endpoint>,
    path: PathAndQuery,
    headers: HeaderMap,
}

/// Why a batch was not taken.
enum Refused {
    /// It may be taken later.
    ForNow(String),
    /// It will never be.
    ForGood(String),
}

impl Exporter {
    /// The end of the path of `waiting` spans.
    pub(super) fn new(waiting: mpsc::Receiver<Span>, runtime: Arc<Runtime>, resolver: Resolver) -> Self {
        let metrics = runtime.metrics.spans();
        Self { waiting, runtime, upstream: Upstream::new(resolver, 1), metrics, collector: None, failures: Seldom::default() }
    }

    /// Sends what comes until `stop` says so, and then what waits, once. Whoever stops it bounds the time of that.
    pub(super) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        // Begun with the first span: who exports none has no timer for it.
        let mut sweep = None;
        loop {
            let first = tokio::select! {
                first = self.waiting.recv() => first,
                _ = &mut stop => break,
            };
            let Some(first) = first else { break };
            sweep.get_or_insert_with(|| tokio::task::spawn_local(self.upstream.clone().sweep()));
            let mut batch = vec![first];
            let full = Instant::now() + GATHER;
            let ended = tokio::select! {
                () = gather(&mut self.waiting, &mut batch, full) => false,
                _ = &mut stop => true,
            };
            self.send(&batch, if ended { &[] } else { &PAUSES }).await;
            if ended {
                break;
            }
        }
        let mut rest = Vec::new();
        while let Ok(span) = self.waiting.try_recv() {
            rest.push(span);
        }
        for batch in rest.chunks(BATCH) {
            self.send(batch, &[]).await;
        }
        if let Some(sweep) = sweep {
            sweep.abort();
        }
    }

    /// Sends one batch, again after each of `pauses` while the collector can't take it.
    async fn send(&mut self, batch: &[Span], pauses: &[Duration]) {
        let count = batch.len() as u64;
        let mut pauses = pauses.iter();
        let problem = loop {
            match self.attempt(batch).await {
                Ok(()) => return self.metrics.sent.increment(count),
                Err(Refused::ForGood(problem)) => break problem,
                Err(Refused::ForNow(problem)) => match pauses.next() {
                    Some(pause) => sleep(*pause).await,
                    None => break problem,
                },
            }
        };
        self.metrics.failed.increment(count);
        if self.failures.may_speak() {
            tracing::warn!(spans = count, error = problem, "the collector did not take spans");
        }
    }

    async fn attempt(&mut self, batch: &[Span]) -> Result<(), Refused> {
        let settings = self.runtime.snapshot.load().config.trace.otlp.clone();
        let Some(settings) = settings else { return Err(Refused::ForGood("no collector is configured any more".to_owned())) };
        if self.collector.as_ref().is_none_or(|(made_from, _)| *made_from != settings) {
            let collector = Collector::of(&settings).map_err(Refused::ForGood)?;
            if let Some((_, before)) = self.collector.replace((settings.clone(), collector)) {
                before.endpoint.retire();
            }
        }
        let Some((_, collector)) = &self.collector else { return Ok(()) };
        let body = Bytes::from(encode::request(batch, &settings.service));
        match timeout(PATIENCE, collector.take(&self.upstream, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(Refused::ForNow("it did not answer in time".to_owned())),
        }
    }
}

/// Adds what comes until `full`, or until the batch is.
async fn gather(waiting: &mut mpsc::Receiver<Span>, batch: &mut Vec<Span>, full: Instant) {
    while batch.len() < BATCH {
        let Ok(Some(span)) = timeout_at(full, waiting.recv()).await else { return };
        batch.push(span);
    }
}

impl Collector {
    fn of(settings: &Otlp) -> Result<Self, String> {
        let url = settings.endpoint.clone();
        let path = format!("{}/v1/traces", url.path());
        let path = path.parse().map_err(|_| "the path of trace.otlp.endpoint can't be sent".to_owned())?;
        let version = HttpVersion::Auto;
        let tls = if url.tls() { Some(EndpointTls::new(UpstreamTls::default(), version)?) } else { None };
        let timeouts = Timeouts { first_byte: Period(PATIENCE), idle: Period(PATIENCE), ..Timeouts::default() };
        let how = How { url, proxy: None, version, timeouts, bounds: Connections::default(), keep_case: false };
        let endpoint = Arc::new(Endpoint::new(how, tls, Arc::new(Nobody)).ok_or("the host of trace.otlp.endpoint can't be sent")?);
        let mut headers = HeaderMap::new();
        headers.insert(HOST, endpoint.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for header in &settings.headers {
            let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|error| error.to_string())?;
            let mut value = HeaderValue::from_str(header.value.0.expose()).map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        Ok(Self { endpoint, path, headers })
    }

    async fn take(&self, upstream: &Upstream, body: Bytes) -> Result<(), Refused> {
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        let outgoing = Outgoing {
            method: Method::POST,
            path: self.path.clone(),
            headers,
            extensions: Extensions::new(),
            body: Upload::held(body, None),
        };
        let answer = upstream.send(&self.endpoint, Box::new(outgoing), &mut |_| true).await;
        let (head, body) = answer.map_err(|failure| Refused::ForNow(failure.to_string()))?.into_parts();
        // Read to its end, so that the connection can be used again; what it says is not repeated anywhere.
        drop(Limited::new(body, ANSWER).collect().await);
        let problem = || format!("it answered {}", head.status.as_u16());
        match head.status {
            status if status.is_success() => Ok(()),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                Err(Refused::ForNow(problem()))
            }
            _ => Err(Refused::ForGood(problem())),
        }
    }
}
