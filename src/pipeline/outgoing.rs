//! The request as it goes up: the client's, less what belongs to this hop, with the pool's key in the place of the client's.
//!
//! Fields are moved into a new map in their order. `HeaderMap::remove` would move the last field into the gap.

use std::borrow::Cow;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Version,
    header::{CONTENT_LENGTH, COOKIE, HOST, MAX_FORWARDS, SEC_WEBSOCKET_PROTOCOL, TE},
    request::Parts,
    uri::PathAndQuery,
};

use super::{admit::Admitted, fields};
use crate::{
    provider::{Credential, auth},
    runtime::{Provider, Route},
    types::fields::retain,
    upstream::{Outgoing, Upload},
};

/// What the provider sees of whose credentials.
#[derive(Clone, Copy, Debug)]
pub enum Credentials<'a> {
    /// The pool's key, and nothing of the client's.
    Pool(&'a Credential),
    /// The client's own, unless it is a key of ours, which no provider may see.
    Client {
        /// Whether it is a key of ours.
        ours: bool,
    },
}

impl<'a> Credentials<'a> {
    fn hides_clients(self) -> bool {
        matches!(self, Self::Pool(_) | Self::Client { ours: true })
    }

    fn value_of(self, name: &HeaderName) -> Option<&'a HeaderValue> {
        match self {
            Self::Pool(credential) => credential.value_of(name),
            Self::Client { .. } => None,
        }
    }
}

/// Composes what goes up. `None` if the target can't be put behind the provider's base URL.
#[must_use]
pub fn compose(request: Admitted, route: &Route, provider: &Provider, credentials: Credentials<'_>, upload: Upload) -> Option<Outgoing> {
    let Admitted { head, nominated, .. } = request;
    let path = target(&head, route, provider, credentials.hides_clients())?;
    // Of the extensions there is the record of the fields' original case, which goes on.
    let Parts { method, headers: incoming, extensions, version, .. } = head;

    let length = upload.length();
    let mut headers = HeaderMap::with_capacity(incoming.len() + 2);
    let mut place = |name: &HeaderName, value: HeaderValue| {
        if *name == HOST {
            headers.append(HOST, provider.endpoint.host.clone());
        } else if *name == CONTENT_LENGTH {
            // Written anew from what is known of the body, never copied.
            if let Some(length) = length {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
        } else if *name == TE && fields::accepts_trailers(&value) {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        } else if let Some(ours) = credentials.value_of(name) {
            // The key stands where the client's stood.
            headers.insert(name.clone(), ours.clone());
        } else if *name == COOKIE && version == Version::HTTP_2 && headers.contains_key(COOKIE) && goes_up(name, credentials) {
            join_crumb(&mut headers, &value);
        } else if goes_up(name, credentials)
            && !nominated.contains(name)
            && let Some(value) = adapt(name, value, &method, credentials)
        {
            headers.append(name.clone(), value);
        }
    };
    let mut current = None;
    for (name, value) in incoming {
        current = name.or(current);
        if let Some(name) = &current {
            place(name, value);
        }
    }
    if !headers.contains_key(HOST) {
        headers.insert(HOST, provider.endpoint.host.clone());
    }
    if let Credentials::Pool(credential) = credentials {
        credential.apply(&mut headers);
    }
    Some(Outgoing { method, path, headers, extensions, body: upload })
}

/// RFC 9113 §8.2.3: HTTP/2 may carry a cookie in crumbs, which are one field again elsewhere.
fn join_crumb(headers: &mut HeaderMap, crumb: &HeaderValue) {
    if let Some(cookie) = headers.get_mut(COOKIE)
        && let Ok(joined) = HeaderValue::from_bytes(&[cookie.as_bytes(), crumb.as_bytes()].join(&b"; "[..]))
    {
        *cookie = joined;
    }
}

/// Whether a field goes up at all.
fn goes_up(name: &HeaderName, credentials: Credentials<'_>) -> bool {
    let stays = |name: &HeaderName| {
        fields::is_hop_by_hop(name) || fields::is_claim(name) || credentials.hides_clients() && auth::is_credential(name)
    };
    !stays(name) && !fields::alias(name).is_some_and(|alias| stays(&alias))
}

/// The trailers as they go up; `None` if nothing is left. No trailer may frame, route or authenticate
/// (RFC 9110 §6.5.1), whosever credentials the head carries.
#[must_use]
pub fn trailers(incoming: HeaderMap) -> Option<HeaderMap> {
    let stays =
        |name: &HeaderName| fields::is_hop_by_hop(name) || fields::is_framing(name) || fields::is_claim(name) || auth::is_credential(name);
    let kept = retain(incoming, |name| !stays(name) && !fields::alias(name).is_some_and(|alias| stays(&alias)));
    Some(kept).filter(|kept| !kept.is_empty())
}

/// The value as it goes up; `None` if nothing of it may.
fn adapt(name: &HeaderName, value: HeaderValue, method: &Method, credentials: Credentials<'_>) -> Option<HeaderValue> {
    let offers_subprotocols = *name == SEC_WEBSOCKET_PROTOCOL || fields::alias(name).is_some_and(|alias| alias == SEC_WEBSOCKET_PROTOCOL);
    if offers_subprotocols && credentials.hides_clients() {
        return auth::without_subprotocol_keys(&value);
    }
    if *name == MAX_FORWARDS && *method == Method::OPTIONS {
        // RFC 9110 §7.6.2: one hop fewer. Zero was answered by step 1.
        let left: Option<u32> = value.to_str().ok().and_then(|text| text.parse().ok());
        return left.map_or(Some(value), |left| Some(HeaderValue::from(left.saturating_sub(1))));
    }
    Some(value)
}

/// The route's prefix is replaced by the path of the base URL; what follows is verbatim.
fn target(head: &Parts, route: &Route, provider: &Provider, hide_keys: bool) -> Option<PathAndQuery> {
    let incoming = head.uri.path_and_query()?;
    let query = incoming.query().map(|query| if hide_keys { auth::without_query_keys(query) } else { Cow::Borrowed(query) });
    let query_stays = query.as_deref() == incoming.query();
    let base = provider.endpoint.url.path();
    if query_stays && base == &*route.path && route.rest(incoming.path()).is_some_and(|rest| !rest.is_empty()) {
        return Some(incoming.clone());
    }
    let rest = route.rest(incoming.path())?;
    let mut target = String::with_capacity(base.len() + incoming.as_str().len());
    target.push_str(base);
    target.push_str(rest);
    if target.is_empty() {
        target.push('/');
    }
    if let Some(query) = query.filter(|query| query_stays || !query.is_empty()) {
        target.push('?');
        target.push_str(&query);
    }
    PathAndQuery::from_maybe_shared(Bytes::from(target)).ok()
}
