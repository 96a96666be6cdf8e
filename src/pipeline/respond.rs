//! Step 9 begins: the reply's head, with what Sidegate adds to it, and the body behind it as it comes.
//! `docs/transparency.md` has a row for each addition.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode, Version,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, InvalidHeaderValue},
};

use super::{
    body::Body,
    cache,
    deliver::Delivery,
    fields::{SERVER_TIMING, X_REQUEST_ID, X_SHOULD_RETRY, X_SIDEGATE_ATTEMPTS, X_SIDEGATE_KEY, X_SIDEGATE_QUEUE, X_SIDEGATE_TARGET},
    observe::{Media, Observer, learner::Learner},
    relay::{Relay, TakenOut},
    settle::{Settlement, Watch},
    standing,
    trail::Trail,
    tunnel::Tunnel,
};
use crate::{
    config::Annotate,
    runtime::{Snapshot, Target},
    types::fields::retain,
};

/// The most fields that are added to a reply's head, besides the caller's [`super::standing`].
pub const ADDED: usize = 7;

/// The reply's head is complete, its body follows as it comes.
#[must_use]
pub fn respond(delivery: Box<Delivery<'_>>, snapshot: &Snapshot, mut trail: Trail) -> Response<Body> {
    let Delivery { target, mut reply, id, key, holds, tunnel } = *delivery;
    if let Some(id) = id {
        trail.named(id);
    }
    let now = Instant::now();
    let overhead = trail.overhead(now);
    trail.streams();
    annotate(reply.headers_mut(), snapshot.annotate, key.map(|key| &key.fingerprint), (&mut trail, overhead));
    annotate_target(reply.headers_mut(), snapshot.annotate, target, &trail);
    if let Some(standings) = trail.standings() {
        standings.tell(reply.headers_mut(), snapshot.annotate, standing::provider_is_told(snapshot, key.is_some()));
    }
    let without_body = *trail.method() == Method::HEAD || matches!(reply.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let mut watch = watch(&reply, target, (&trail, tunnel.is_some(), without_body));
    if let Some(key) = key.filter(|_| trail.may_tell_objects() && reply.status().is_success() && tunnel.is_none() && !without_body) {
        let provider = &target.provider;
        watch.learner = Learner::of(reply.headers(), provider.dialect.request_format(), &provider.homes, key.owner);
    }
    if watch.stream {
        trail.is_live();
    }
    let unasked = takes_usage_out(&mut reply, &trail, watch.stream && tunnel.is_none());
    let settlement = Settlement::new(Arc::clone(&target.metrics), holds, (reply.status(), watch), (now, overhead), trail);
    // The version is the connection's to say.
    *reply.version_mut() = Version::HTTP_11;
    match tunnel {
        None => reply.map(|body| Body::relay(Box::new(Relay::new(body, without_body, unasked, settlement)))),
        Some(tunnel) => {
            let (switched, progress) = *tunnel;
            let idle = target.provider.endpoint.timeouts.idle.0;
            reply.map(|_| Body::tunnel(Box::new(Tunnel::new(switched, idle, progress, settlement))))
        }
    }
}

/// What is made of the reply on its way down: only what may tell usage is read.
fn watch<B>(reply: &Response<B>, target: &Target, (trail, tunnel, without_body): (&Trail, bool, bool)) -> Watch {
    if tunnel || without_body {
        return Watch { stream: tunnel, ..Watch::default() };
    }
    let media = Media::of(reply.headers());
    let stream = media == Media::Events;
    let tells = trail.tells_usage() && reply.status().is_success();
    let observer =
        if tells { Observer::of(media, reply.headers(), target.provider.dialect.request_format(), trail.counts()) } else { None };
    Watch { observer, stream, first: stream, learner: None }
}

/// Takes the chunk with the usage out of a stream whose client has not asked for it. In one that is encoded it stays.
fn takes_usage_out<B>(reply: &mut Response<B>, trail: &Trail, stream: bool) -> Option<Box<TakenOut>> {
    if !(stream && trail.is_unasked() && reply.status().is_success()) || reply.headers().contains_key(CONTENT_ENCODING) {
        return None;
    }
    if reply.headers().contains_key(CONTENT_LENGTH) {
        // It will be shorter.
        let headers = std::mem::take(reply.headers_mut());
        *reply.headers_mut() = retain(headers, |name| *name != CONTENT_LENGTH);
    }
    Some(Box::default())
}

/// Adds what the config lets it add: at most [`ADDED`] fields.
pub(super) fn annotate(headers: &mut HeaderMap, add: Annotate, key: Option<&HeaderValue>, (trail, overhead): (&mut Trail, Duration)) {
    if add.request_id && !trail.is_named() {
        headers.insert(X_REQUEST_ID, trail.request_id());
    }
    if let Some(key) = key.filter(|_| add.key) {
        headers.insert(X_SIDEGATE_KEY, key.clone());
    }
    if add.attempts && trail.attempts() > 0 {
        let attempts = match trail.attempts() {
            1 => const { HeaderValue::from_static("1") },
            attempts => HeaderValue::from(attempts),
        };
        headers.insert(X_SIDEGATE_ATTEMPTS, attempts);
    }
    if add.timing
        && let Ok(timing) = timing(overhead)
    {
        headers.append(SERVER_TIMING, timing);
    }
    cache::told::annotate(headers, add, trail);
}

/// Adds what few replies have: several targets, a line, or an end of all that could be tried.
fn annotate_target(headers: &mut HeaderMap, add: Annotate, target: &Target, trail: &Trail) {
    if let Some(label) = target.label.as_ref().filter(|_| add.target) {
        headers.insert(X_SIDEGATE_TARGET, label.clone());
    }
    if let Some(waited) = trail.waited_in_line().filter(|_| add.queue && target.provider.queue.is_some()) {
        headers.insert(X_SIDEGATE_QUEUE, HeaderValue::from(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX)));
    }
    if add.should_retry && trail.is_spent() && !headers.contains_key(X_SHOULD_RETRY) {
        headers.insert(X_SHOULD_RETRY, const { HeaderValue::from_static("false") });
    }
}

/// `sidegate;dur=` and milliseconds, to the microsecond.
fn timing(overhead: Duration) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut text = *b"sidegate;dur=00000000000000000000.000";
    let (micros, mut whole) = (overhead.subsec_micros() % 1_000, itoa::Buffer::new());
    let whole = whole.format(overhead.as_millis() as u64).as_bytes();
    const START: usize = "sidegate;dur=".len();
    let point = START + whole.len();
    text[START..point].copy_from_slice(whole);
    text[point..point + 4].copy_from_slice(&[
        b'.',
        b'0' + (micros / 100) as u8,
        b'0' + (micros / 10 % 10) as u8,
        b'0' + (micros % 10) as u8,
    ]);
    HeaderValue::from_bytes(&text[..point + 4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_added_is_told_in_milliseconds() {
        for (micros, text) in [(0, "0.000"), (7, "0.007"), (1_234, "1.234"), (600_000_010, "600000.010")] {
            assert_eq!(timing(Duration::from_micros(micros)).unwrap(), format!("sidegate;dur={text}"));
        }
        assert_eq!(timing(Duration::MAX).unwrap().len(), "sidegate;dur=".len() + 24);
    }
}
