//! What a request asks, as the cache tells questions apart, and what its client allows to be done with it.

use http::{
    HeaderMap,
    header::{CACHE_CONTROL, PRAGMA},
};
use smallvec::SmallVec;

use super::super::{
    admit::Admitted,
    client::{Client, Identity, Name},
    fields::Present,
    wanted::Wanted,
};
use crate::{
    config::Scope,
    policy::cache::{self, Bypass, Directives, FIELDS, Facts, Key, Spec, Spelling},
    runtime::{Route, cache::Cache},
    types::Question,
};

/// Room for what most callers are called.
type Text = SmallVec<[u8; 96]>;

/// What the client's `cache-control` says (RFC 9111 §5.2.1), or in its place `pragma` (§5.4).
pub(super) fn directives(request: &Admitted) -> Directives {
    if !request.present.has(Present::DIRECTIVES) {
        return Directives::default();
    }
    let headers = &request.head.headers;
    let values = headers.get_all(CACHE_CONTROL).iter().map(|value| value.as_bytes());
    Directives::of(values, headers.get(PRAGMA).map(|value| value.as_bytes()))
}

/// The key of what is asked, or why it has none.
pub(super) fn key((kept, spec): (&Cache, &Spec), route: &Route, question: Question, wanted: &Wanted) -> Result<Key, Bypass> {
    let Wanted { request, client, upload, .. } = wanted;
    let headers = &request.head.headers;
    // What is encoded is not read here, what is signed is for the provider to check, and a part of an answer is none.
    let body =
        upload.whole().filter(|_| !request.present.has(Present::TIED) && !request.present.has(Present::RANGE)).ok_or(Bypass::Body)?;
    let path = request.head.uri.path_and_query().map_or("", |path| path.as_str());
    let scope = scope(spec.scope, client);
    let facts = Facts { scope: &scope, question, target: &route.identity, path, body };
    let spelling = Spelling::of(&kept.secret, &facts, fields(headers, spec), spec.determinism);
    if let Some(key) = kept.spellings.get(spelling) {
        return Ok(key);
    }
    let key = cache::key(&kept.secret, &facts, fields(headers, spec), spec.determinism)?;
    kept.spellings.put(spelling, key);
    Ok(key)
}

/// The fields that make a difference, each value with its name.
fn fields<'a>(headers: &'a HeaderMap, spec: &'a Spec) -> impl Iterator<Item = (&'a str, &'a [u8])> {
    let names = FIELDS.iter().copied().chain(spec.headers.iter().map(|name| &**name));
    names.flat_map(|name| headers.get_all(name).iter().map(move |value| (name, value.as_bytes())))
}

/// Who may be answered with what this client has asked. No two of them are written the same.
fn scope(scope: Scope, client: &Client) -> Text {
    let mut text = Text::new();
    let mut write = |tag: u8, name: &[u8]| {
        text.push(tag);
        text.extend_from_slice(name);
    };
    match scope {
        Scope::All => write(b'*', b""),
        Scope::Tier => match &client.tier {
            Some(tier) => write(b't', tier.as_str().as_bytes()),
            // It shares with nobody that it could be told apart from.
            None => return self::scope(Scope::Client, client),
        },
        Scope::Client => match client.identity() {
            Identity::Named(name) => write(kind(name), name.as_str().as_bytes()),
            Identity::Holder(credential) => write(b'h', credential.as_bytes()),
            Identity::At(subnet) => write(b'@', subnet.to_string().as_bytes()),
            Identity::Local => write(b'l', b""),
        },
    }
    text
}

/// Names of two kinds are never one client.
fn kind(name: &Name) -> u8 {
    match name {
        Name::Key(_) => b'k',
        Name::Token(_) => b'j',
        Name::Certificate(_) => b'c',
        Name::Rule(_) => b'r',
    }
}
