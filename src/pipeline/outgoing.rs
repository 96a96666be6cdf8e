//! The request as it goes up: the client's, less what belongs to this hop, with the pool's key in the place of the client's.
//!
//! Where fields are to be left out, the rest is moved into a new map in its order: `HeaderMap::remove` would move the last
//! field into the gap.

use std::borrow::Cow;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Version,
    header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, MAX_FORWARDS, TE},
    request::Parts,
    uri::PathAndQuery,
};

use super::{
    admit::Admitted,
    fields::{self, Nominated, Present},
};
use crate::{
    provider::{Credential, auth, endpoint},
    runtime::{Provider, Route},
    types::{RequestFormat, fields::retain},
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

    /// How many fields it puts into a head.
    fn fields(self) -> usize {
        match self {
            Self::Pool(credential) => credential.fields(),
            Self::Client { .. } => 0,
        }
    }

    fn value_of(self, name: &HeaderName) -> Option<&'a HeaderValue> {
        match self {
            Self::Pool(credential) => credential.value_of(name),
            Self::Client { .. } => None,
        }
    }
}

/// Composes what goes up, by a route, with its target's name for the model if that is another. The request's fields stay where they
/// are only if it `may_go_again`. `None` if the target can't be put behind the provider's base URL.
#[must_use]
pub fn compose(
    (request, may_go_again): (&mut Admitted, bool),
    (route, renamed): (&Route, Option<&str>),
    provider: &Provider,
    credentials: Credentials<'_>,
    upload: Upload,
) -> Option<Box<Outgoing>> {
    let Admitted { head, present, nominated, .. } = request;
    let (present, version, method) = (*present, head.version, head.method.clone());
    let path = target(head, (route, renamed), provider, credentials.hides_clients())?;
    // A copy has no room for more fields, so it is the copy that stays.
    let (stay, extensions) = if may_go_again { (head.headers.clone(), head.extensions.clone()) } else { Default::default() };
    let incoming = std::mem::replace(&mut head.headers, stay);
    // Of the extensions there is the record of the fields' original case, which goes on.
    let extensions = std::mem::replace(&mut head.extensions, extensions);

    let headers = if goes_as_it_is((present, version), credentials, &upload) {
        replace(incoming, present, provider, credentials, &upload)
    } else {
        filter(incoming, (&method, version, present, nominated), provider, credentials, &upload)
    };
    Some(Box::new(Outgoing { method, path, headers, extensions, body: upload }))
}

/// Whether all fields go up that are not replaced: then the map need not be built anew.
fn goes_as_it_is((present, version): (Present, Version), credentials: Credentials<'_>, upload: &Upload) -> bool {
    let replaced = credentials.value_of(&AUTHORIZATION).is_some() || !present.has(Present::AUTHORIZATION);
    let hidden = !replaced || present.has(Present::OTHER_KEY) || present.has(Present::ACCOUNT);
    let unframed = present.has(Present::LENGTH) && upload.length().is_none();
    let in_crumbs = version == Version::HTTP_2 && present.has(Present::ACCOUNT);
    !(unframed || in_crumbs || present.has(Present::FILTERED) || credentials.hides_clients() && hidden)
}

/// Fields of ours stand where the client's stood.
fn replace(mut headers: HeaderMap, present: Present, provider: &Provider, credentials: Credentials<'_>, upload: &Upload) -> HeaderMap {
    headers.insert(HOST, provider.endpoint.host.clone());
    // Written anew from what is known of the body, unless just that stands there.
    if let Some(length) = upload.length().filter(|_| present.has(Present::LENGTH))
        && !tells_length(&headers, length)
    {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if let Credentials::Pool(credential) = credentials {
        credential.apply(&mut headers);
    }
    headers
}

/// Whether the length stands there once, as it would be written.
fn tells_length(headers: &HeaderMap, length: u64) -> bool {
    let (mut digits, mut told) = (itoa::Buffer::new(), headers.get_all(CONTENT_LENGTH).iter());
    told.next().is_some_and(|value| value.as_bytes() == digits.format(length).as_bytes()) && told.next().is_none()
}

/// The same, and what may not go up is left out.
fn filter(
    incoming: HeaderMap,
    (method, version, present, nominated): (&Method, Version, Present, &Nominated),
    provider: &Provider,
    credentials: Credentials<'_>,
    upload: &Upload,
) -> HeaderMap {
    let length = upload.length();
    let ours = |name: &HeaderName| match name.as_str() {
        "host" => Some(provider.endpoint.host.clone()),
        _ => credentials.value_of(name).cloned(),
    };
    let aliases = present.has(Present::UNDERSCORE);
    let mut missing = 1 + credentials.fields();
    let mut headers = HeaderMap::with_capacity(incoming.len() + 2);
    let mut place = |name: &HeaderName, value: HeaderValue| {
        if let Some(ours) = ours(name) {
            missing -= usize::from(headers.insert(name.clone(), ours).is_none());
            return;
        }
        match name.as_str() {
            "content-length" => {
                if let Some(length) = length {
                    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
                }
            }
            "te" if fields::accepts_trailers(&value) => drop(headers.insert(TE, HeaderValue::from_static("trailers"))),
            "cookie" if version == Version::HTTP_2 && headers.contains_key(COOKIE) => join_crumb(&mut headers, &value),
            _ => {
                if goes_up(name, credentials, aliases)
                    && !nominated.contains(name)
                    && let Some(value) = adapt(name, value, method, credentials)
                {
                    headers.append(name.clone(), value);
                }
            }
        }
    };
    let mut current = None;
    for (name, value) in incoming {
        current = name.or(current);
        if let Some(name) = &current {
            place(name, value);
        }
    }
    if missing > 0 {
        headers.insert(HOST, provider.endpoint.host.clone());
        if let Credentials::Pool(credential) = credentials {
            credential.apply(&mut headers);
        }
    }
    headers
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
fn goes_up(name: &HeaderName, credentials: Credentials<'_>, aliases: bool) -> bool {
    let stays = |name: &HeaderName| {
        fields::is_hop_by_hop(name) || fields::is_claim(name) || credentials.hides_clients() && auth::is_credential(name)
    };
    !(stays(name) || aliases && fields::alias(name).is_some_and(|alias| stays(&alias)))
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
    if matches!(name.as_str(), "sec-websocket-protocol" | "sec_websocket_protocol" | "sec-websocket_protocol" | "sec_websocket-protocol")
        && credentials.hides_clients()
    {
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
fn target(head: &Parts, (route, renamed): (&Route, Option<&str>), provider: &Provider, hide_keys: bool) -> Option<PathAndQuery> {
    let incoming = head.uri.path_and_query()?;
    let query = incoming.query().map(|query| if hide_keys { auth::without_query_keys(query) } else { Cow::Borrowed(query) });
    let query_stays = query.as_deref() == incoming.query();
    let base = provider.endpoint.url.path();
    // Where the target has another name for the model and the path says the model.
    let renamed = renamed.filter(|_| route.format == RequestFormat::Gemini);
    if renamed.is_none() && query_stays && base == &*route.path && route.rest(incoming.path()).is_some_and(|rest| !rest.is_empty()) {
        return Some(incoming.clone());
    }
    let rest = route.rest(incoming.path())?;
    let mut target = String::with_capacity(base.len() + incoming.as_str().len());
    target.push_str(base);
    match renamed.and_then(|name| endpoint::with_model(rest, name)) {
        Some(rest) => target.push_str(&rest),
        None => target.push_str(rest),
    }
    if target.is_empty() {
        target.push('/');
    }
    if let Some(query) = query.filter(|query| query_stays || !query.is_empty()) {
        target.push('?');
        target.push_str(&query);
    }
    PathAndQuery::from_maybe_shared(Bytes::from(target)).ok()
}

#[cfg(test)]
mod tests;
