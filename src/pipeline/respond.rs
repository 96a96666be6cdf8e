//! Step 9 begins: the reply's head, with what Sidegate adds to it, and the body behind it as it comes.
//! `docs/transparency.md` has a row for each addition.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};

use super::{
    body::Body,
    deliver::Delivery,
    fields::{SERVER_TIMING, X_REQUEST_ID, X_SIDEGATE_ATTEMPTS, X_SIDEGATE_KEY},
    relay::Relay,
    settle::Settlement,
    trail::Trail,
    tunnel::Tunnel,
};
use crate::{config::Annotate, runtime::Snapshot};

/// The reply's head is complete, its body follows as it comes.
#[must_use]
pub fn respond(delivery: Delivery<'_>, snapshot: &Snapshot, mut trail: Trail) -> Response<Body> {
    let Delivery { target, mut reply, key, holds, tunnel } = delivery;
    annotate(reply.headers_mut(), snapshot.annotate, key.map(|key| &key.fingerprint), &mut trail);
    let without_body = *trail.method() == Method::HEAD || matches!(reply.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let settlement = Settlement::new(Arc::clone(&target.metrics), holds, reply.status(), trail);
    // The version is the connection's to say.
    *reply.version_mut() = Version::HTTP_11;
    match tunnel {
        None => reply.map(|body| Body::relay(Relay::new(body, without_body, settlement))),
        Some(tunnel) => {
            let (switched, progress) = *tunnel;
            let idle = target.provider.endpoint.timeouts.idle.0;
            reply.map(|_| Body::tunnel(Box::new(Tunnel::new(switched, idle, progress, settlement))))
        }
    }
}

/// Adds what the config lets it add.
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
