//! The head of a reply that no call was made for: what all may have of the provider's, and what is this client's own.

use std::{sync::Arc, time::Instant};

use http::{
    HeaderMap, HeaderName, HeaderValue, Response,
    header::{AGE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, DATE},
};

use super::{
    super::{
        body::Body,
        fields::{CACHE_STATUS, X_SIDEGATE_CACHE},
        respond, standing,
        trail::Trail,
    },
    played::{Played, Source},
};
use crate::{config::Annotate, runtime::Snapshot, types::Cached};

/// What is known of a reply whoever asks. The others speak of one call, one connection or one account: its id, its cookies, what is left
/// of its limits.
const KEPT: [HeaderName; 6] = [
    DATE,
    CONTENT_TYPE,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    HeaderName::from_static("openai-version"),
    HeaderName::from_static("openai-model"),
];

/// What all may have of a reply's head.
#[must_use]
pub(super) fn kept(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(KEPT.len());
    for name in KEPT {
        for value in headers.get_all(&name) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

/// Answers a request with what somebody else has paid for.
#[must_use]
pub fn answer(source: Source, snapshot: &Arc<Snapshot>, mut trail: Trail) -> Response<Body> {
    let add = snapshot.annotate;
    let (status, kept, cached, age) = match &source {
        Source::Stored { entry, age, left: Some(_) } => (entry.status, &entry.headers, Cached::Hit, Some(*age)),
        Source::Stored { entry, age, left: None } => (entry.status, &entry.headers, Cached::Stale, Some(*age)),
        Source::Flying { head, .. } => (head.status, &head.headers, Cached::Collapsed, None),
    };
    trail.cached(cached);
    let mut headers = HeaderMap::with_capacity(kept.len() + respond::ADDED + standing::FIELDS);
    headers.extend(kept.iter().map(|(name, value)| (name.clone(), value.clone())));
    if let Some(age) = age.filter(|_| add.cache) {
        headers.insert(AGE, HeaderValue::from(age.as_secs()));
    }
    let overhead = trail.overhead(Instant::now());
    respond::annotate(&mut headers, add, None, (&mut trail, overhead));
    if let Source::Stored { left, .. } = &source
        && add.cache_status
    {
        let ttl = left.map_or_else(|| -(age.unwrap_or_default().as_secs() as i64), |left| left.as_secs() as i64);
        insert_status(&mut headers, &format!("sidegate; hit; ttl={ttl}"));
    }
    if let Some(standings) = trail.standings() {
        standings.tell(&mut headers, add, false);
    }
    let body = Body::played(Played::new(source, (status, overhead), trail));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Tells what the cache had to do with the reply, where it was asked.
pub fn annotate(headers: &mut HeaderMap, add: Annotate, trail: &Trail) {
    let Some(cached) = trail.as_cached() else { return };
    if add.cache {
        headers.insert(X_SIDEGATE_CACHE, HeaderValue::from_static(cached.name()));
    }
    if !add.cache_status {
        return;
    }
    match (cached, trail.bypass()) {
        (Cached::Miss, _) => insert_status(headers, "sidegate; fwd=miss"),
        (Cached::Collapsed, _) => insert_status(headers, "sidegate; fwd=miss; collapsed"),
        (Cached::Bypass, Some(why)) => insert_status(headers, &format!("sidegate; fwd=bypass; detail={why}")),
        // Told with the time that is left.
        (Cached::Hit | Cached::Stale | Cached::Bypass, _) => {}
    }
}

/// RFC 9211 §2: who says it, and what. Other caches behind may have said theirs: it is added to the list.
fn insert_status(headers: &mut HeaderMap, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.append(CACHE_STATUS, value);
    }
}
