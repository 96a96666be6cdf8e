//! What a request asks, as the cache tells questions apart, and what its client allows to be done with it.

use http::{
    HeaderMap, HeaderName,
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
    config::{Credentials, Scope},
    policy::cache::{self, Bypass, Directives, FIELDS, Facts, Key, Spec, Spelling, key::LARGEST},
    provider::auth::is_credential,
    runtime::{Route, cache::Cache},
    types::{Digest, Question},
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

/// What a question is known by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// By its meaning: its answer is found by this.
    pub key: Key,
    /// By its letters: a refusal of it is found by this. What makes no difference to an answer may well be what is refused.
    pub spelling: Spelling,
}

/// By what the question is known, or why by nothing.
pub(super) fn known((kept, spec): (&Cache, &Spec), route: &Route, question: Question, wanted: &Wanted) -> Result<Known, Bypass> {
    let Wanted { request, client, upload, .. } = wanted;
    // What is encoded is not read here, what is signed is for the provider to check, a part of an answer is none, and a name with `_` may
    // be read as another.
    if request.present.has(Present::TIED) || request.present.has(Present::RANGE) || request.present.has(Present::UNDERSCORE) {
        return Err(Bypass::Body);
    }
    let body = upload.whole().ok_or(Bypass::Body)?;
    if body.len() > LARGEST {
        return Err(Bypass::Large);
    }
    let path = request.head.uri.path_and_query().map_or("", |path| path.as_str());
    let holder = if route.credentials == Credentials::Client { Some(&request.head.headers) } else { None };
    let scope = scope(spec.scope, client, holder);
    let fields = fields(request, spec);
    let fields = || fields.iter().map(|(name, value)| (name_of(*name, spec), *value));
    let facts = Facts { scope: &scope, question, target: &route.identity, path, body };
    let spelling = Spelling::of(&kept.secret, &facts, fields(), spec.determinism);
    if let Some(key) = kept.spellings.get(spelling) {
        return Ok(Known { key, spelling });
    }
    let key = cache::key(&kept.secret, &facts, fields(), spec.determinism)?;
    kept.spellings.put(spelling, key);
    Ok(Known { key, spelling })
}

/// The fields that make a difference, by the number of their name, in the order of these numbers. Those that are for this hop only are
/// none: the provider does not see them.
fn fields<'a>(request: &'a Admitted, spec: &Spec) -> SmallVec<[(usize, &'a [u8]); 8]> {
    let Admitted { head, nominated, .. } = request;
    let number_of = |name: &HeaderName| {
        let own = || Some(FIELDS.len() + spec.headers.iter().position(|other| **other == *name.as_str())?);
        FIELDS.iter().position(|other| *other == name.as_str()).or_else(own)
    };
    let goes_up = head.headers.iter().filter(|(name, _)| nominated.is_empty() || !nominated.contains(name));
    let mut found: SmallVec<_> = goes_up.filter_map(|(name, value)| Some((number_of(name)?, value.as_bytes()))).collect();
    found.sort_by_key(|(number, _)| *number);
    found
}

fn name_of(number: usize, spec: &Spec) -> &str {
    FIELDS.get(number).copied().unwrap_or_else(|| &spec.headers[number - FIELDS.len()])
}

/// Who may be answered with what this client has asked. No two of them are written the same. Where the provider sees the caller's own
/// credentials, they are a part of it, whatever the caller is called.
fn scope(scope: Scope, client: &Client, holder: Option<&HeaderMap>) -> Text {
    let mut text = Text::new();
    if let Some(headers) = holder {
        text.push(b'C');
        for (name, value) in headers.iter().filter(|(name, _)| is_credential(name)) {
            text.extend_from_slice(name.as_str().as_bytes());
            text.push(b':');
            text.extend_from_slice(Digest::of(value.as_bytes()).as_bytes());
        }
        text.push(b';');
    }
    let mut write = |tag: u8, name: &[u8]| {
        text.push(tag);
        text.extend_from_slice(name);
    };
    match (scope, &client.tier) {
        (Scope::All, _) => write(b'*', b""),
        (Scope::Tier, Some(tier)) => write(b't', tier.as_str().as_bytes()),
        // Without a tier it shares with itself alone.
        (Scope::Tier, None) | (Scope::Client, _) => match client.identity() {
            Identity::Named(name) => write(kind(name), name.as_str().as_bytes()),
            Identity::Holder(credential) => write(b'h', credential.as_bytes()),
            Identity::At(subnet) => write(b'@', &subnet.bytes()),
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
