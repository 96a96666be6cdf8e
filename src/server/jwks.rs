//! Key sets of issuers: fetched when they are needed first, before they are too old, and when a token asks for a key that is not
//! there. It runs on the control thread; a request never fetches, it waits for this at most.
//!
//! A set that can't be had, or can't be read, changes nothing: the last good one is kept, and it is tried again soon.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    Extensions, HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{ACCEPT, CACHE_CONTROL, HOST},
};
use http_body_util::{BodyExt, Limited};
use tokio::time::{Instant, sleep_until, timeout};

use super::nobody::Nobody;
use crate::{
    config::{Connections, HttpVersion, KeySet, Timeouts, UpstreamTls},
    policy::jwt::issuer::Issuer,
    runtime::{Runtime, jwt::Source},
    types::Period,
    upstream::{Endpoint, ReplyBody, Resolver, Upload, Upstream, client::Outgoing, endpoint::How, tls::EndpointTls},
};

/// How long an issuer has for its whole answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most bytes of a key set.
const LARGEST: usize = 1 << 20;

/// How soon a set is fetched again, whatever its issuer says of its age.
const SOONEST: Duration = Duration::from_secs(30);

/// The first pause after a fetch that failed; each is twice as long as the one before, up to [`SOONEST`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Keeps the key set of the config in force, for as long as it is polled.
pub(super) async fn keep(runtime: Arc<Runtime>, resolver: Resolver) {
    let wanted = Arc::clone(runtime.registry.fetching());
    let mut kept: Option<Kept> = None;
    loop {
        let named = {
            let snapshot = runtime.snapshot.load();
            let tokens = snapshot.clients.jwt.as_ref();
            tokens.and_then(|tokens| Some((tokens.source.clone()?, Arc::clone(tokens.verifier.issuer()?))))
        };
        kept = named.map(|(source, issuer)| match kept.take() {
            Some(kept) if Arc::ptr_eq(&kept.issuer, &issuer) => kept.follow(source),
            _ => Kept::new(source, issuer),
        });
        let Some(set) = &mut kept else {
            // Nobody has tokens: until the next reload there is nothing to do.
            wanted.notified().await;
            continue;
        };
        if Instant::now() >= set.due || set.issuer.is_wanted() {
            // Seldom needed, and no part of what always waits.
            Box::pin(set.fetch(&resolver)).await;
            continue;
        }
        tokio::select! {
            () = sleep_until(set.due) => {}
            () = wanted.notified() => {}
        }
    }
}

/// A key set that is looked after.
struct Kept {
    source: Source,
    issuer: Arc<Issuer>,
    fetched: Instant,
    due: Instant,
    pause: Duration,
    /// What the issuer answered the last time, or why that was nothing: the same is said once.
    last: Option<Result<Bytes, String>>,
}

impl Kept {
    fn new(source: Source, issuer: Arc<Issuer>) -> Self {
        let now = Instant::now();
        Self { source, issuer, fetched: now, due: now, pause: FIRST_PAUSE, last: None }
    }

    /// The same set, which may be kept for another time now or come another way.
    fn follow(self, source: Source) -> Self {
        let due = if source == self.source { self.due } else { self.due.min(self.fetched + source.refresh.0) };
        Self { source, due, ..self }
    }

    async fn fetch(&mut self, resolver: &Resolver) {
        self.issuer.begin();
        let answer = timeout(PATIENCE, ask(&self.source, resolver)).await;
        let answer = answer.unwrap_or_else(|_| Err("it did not answer in time".to_owned()));
        let read = answer.and_then(|answer| Ok((KeySet::read(&answer.body)?, answer)));
        self.fetched = Instant::now();
        match read {
            Ok((KeySet { keys, skipped }, answer)) => {
                let count = keys.len();
                self.issuer.end(Some(keys));
                self.due = self.fetched + age(answer.max_age, self.source.refresh.0);
                self.pause = FIRST_PAUSE;
                if self.is_new(Ok(answer.body)) {
                    tracing::info!(url = %self.source.url, keys = count, skipped, "the key set of the issuer is in force");
                }
            }
            Err(error) => {
                self.issuer.end(None);
                self.due = self.fetched + self.pause;
                self.pause = (self.pause * 2).min(SOONEST);
                let kept = self.issuer.keys().is_some();
                if self.is_new(Err(error.clone())) {
                    tracing::warn!(url = %self.source.url, error, kept, "the key set of the issuer can't be had");
                }
            }
        }
    }

    fn is_new(&mut self, answer: Result<Bytes, String>) -> bool {
        let answer = Some(answer);
        let is_new = self.last != answer;
        self.last = answer;
        is_new
    }
}

/// How old a set may get: as old as the issuer says, within bounds. One that says nothing, or that nobody may keep it, is asked as
/// often as the config says.
fn age(max_age: Option<u64>, refresh: Duration) -> Duration {
    let said = max_age.filter(|seconds| *seconds > 0).map(Duration::from_secs);
    said.map_or(refresh, |said| said.max(SOONEST).min(refresh))
}

/// What an issuer answered.
struct Answer {
    body: Bytes,
    /// Seconds, as `Cache-Control` says.
    max_age: Option<u64>,
}

/// Asks the issuer once, over a connection of its own that ends with the answer: it is asked so seldom that none is worth keeping.
async fn ask(source: &Source, resolver: &Resolver) -> Result<Answer, String> {
    let url = source.url.base.clone();
    let version = HttpVersion::Auto;
    let how_tls = UpstreamTls { roots: source.roots.clone(), ..UpstreamTls::default() };
    let tls = if url.tls() { Some(EndpointTls::new(how_tls, version)?) } else { None };
    let timeouts = Timeouts { first_byte: Period(PATIENCE), idle: Period(PATIENCE), ..Timeouts::default() };
    let proxy = source.proxy.clone();
    let how = How { url, proxy, version, timeouts, bounds: Connections::default(), keep_case: false };
    let endpoint = Arc::new(Endpoint::new(how, tls, Arc::new(Nobody)).ok_or("its host can't be sent")?);
    let mut headers = HeaderMap::new();
    headers.insert(HOST, endpoint.host.clone());
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let outgoing = Outgoing {
        method: Method::GET,
        path: source.url.path.clone(),
        headers,
        extensions: Extensions::new(),
        body: Upload::held(Bytes::new(), None),
    };
    let upstream = Upstream::new(resolver.clone(), 1);
    let answer = upstream.send(&endpoint, Box::new(outgoing), &mut |_| true).await;
    let answer = read(answer.map_err(|failure| failure.to_string())?).await;
    endpoint.retire();
    answer
}

async fn read(answer: Response<ReplyBody>) -> Result<Answer, String> {
    let (head, body) = answer.into_parts();
    if head.status != StatusCode::OK {
        return Err(format!("it answered {}", head.status.as_u16()));
    }
    let max_age = head.headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok()).find_map(max_age);
    let body = Limited::new(body, LARGEST).collect().await.map_err(|error| match error.is::<http_body_util::LengthLimitError>() {
        true => format!("its answer is larger than {} KiB", LARGEST >> 10),
        false => "its answer broke off".to_owned(),
    })?;
    Ok(Answer { body: body.to_bytes(), max_age })
}

/// The `max-age` of a `Cache-Control` field (RFC 9111 §5.2.2.1).
fn max_age(value: &str) -> Option<u64> {
    let mut directives = value.split(',').filter_map(|directive| directive.split_once('='));
    let (_, seconds) = directives.find(|(name, _)| name.trim().eq_ignore_ascii_case("max-age"))?;
    seconds.trim().trim_matches('"').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_says_how_old_its_set_may_get_within_bounds() {
        let refresh = Duration::from_secs(600);
        for (field, seconds) in [
            ("max-age=120", 120),
            ("public, Max-Age=\"120\", must-revalidate", 120),
            ("max-age=5", 30),
            ("max-age=86400", 600),
            ("max-age=0, no-store", 600),
            ("no-cache", 600),
            ("s-maxage=60", 600),
            ("max-age=soon", 600),
        ] {
            assert_eq!(age(max_age(field), refresh), Duration::from_secs(seconds), "{field}");
        }
    }
}
