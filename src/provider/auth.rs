//! Credentials: which header carries a key, and which parts of a request may carry the client's.
//!
//! When the pool's key is used, nothing that could be the client's own credential goes on: every field,
//! query parameter and WebSocket subprotocol that any dialect uses for keys is taken out, whichever dialect
//! the provider speaks, because a client may hold keys of another one.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};

use crate::types::{Dialect, Secret};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const API_KEY: HeaderName = HeaderName::from_static("api-key");
const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
const ORGANIZATION: HeaderName = HeaderName::from_static("openai-organization");
const PROJECT: HeaderName = HeaderName::from_static("openai-project");

/// Browsers can't set headers on a WebSocket; OpenAI lets them send the key as a subprotocol of this prefix.
const SUBPROTOCOL_KEY: &str = "openai-insecure-api-key.";

/// The query parameters that carry keys: Gemini's, Azure's on WebSockets (its API reference for realtime), and Google's for
/// OAuth tokens (its standard parameters).
const QUERY_KEYS: [&str; 3] = ["key", "api-key", "access_token"];

/// A pool key made ready for the wire: marked sensitive, so that neither `Debug` nor HPACK's table keeps it.
#[derive(Clone, Debug)]
pub struct Credential {
    name: HeaderName,
    value: HeaderValue,
    scope: Vec<(HeaderName, HeaderValue)>,
}

impl Credential {
    /// The key in the form in which `dialect` wants it, with the organization and project it belongs to.
    ///
    /// `None` if the key or a name holds bytes that no header value may hold (RFC 9110 §5.5).
    #[must_use]
    pub fn new(dialect: Dialect, key: &Secret, organization: Option<&str>, project: Option<&str>) -> Option<Self> {
        let name = own_field(dialect);
        let text = match dialect {
            Dialect::Openai | Dialect::Groq | Dialect::Deepseek | Dialect::Mistral | Dialect::Openrouter | Dialect::Vllm => {
                Cow::Owned(format!("Bearer {}", key.expose()))
            }
            Dialect::Azure | Dialect::Anthropic | Dialect::Gemini => Cow::Borrowed(key.expose()),
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        let named = [(ORGANIZATION, organization), (PROJECT, project)].into_iter().filter_map(|(name, text)| Some((name, text?)));
        let scope = named.map(|(name, text)| Some((name, HeaderValue::from_str(text).ok()?))).collect::<Option<_>>()?;
        Some(Self { name, value, scope })
    }

    /// Puts the key where the provider looks for it. A field that is there already keeps its place and loses its value.
    pub fn apply(&self, headers: &mut HeaderMap) {
        headers.insert(self.name.clone(), self.value.clone());
        for (name, value) in &self.scope {
            headers.insert(name.clone(), value.clone());
        }
    }

    /// How many fields it puts into a head.
    #[must_use]
    pub fn fields(&self) -> usize {
        1 + self.scope.len()
    }

    /// The value that this key puts into a field of that name, if it does.
    #[must_use]
    pub fn value_of(&self, name: &HeaderName) -> Option<&HeaderValue> {
        let mut fields = std::iter::once((&self.name, &self.value)).chain(self.scope.iter().map(|(name, value)| (name, value)));
        fields.find_map(|(ours, value)| (ours == name).then_some(value))
    }
}

/// The field in which a provider of this dialect looks for its key.
fn own_field(dialect: Dialect) -> HeaderName {
    match dialect {
        Dialect::Openai | Dialect::Groq | Dialect::Deepseek | Dialect::Mistral | Dialect::Openrouter | Dialect::Vllm => AUTHORIZATION,
        Dialect::Azure => API_KEY,
        Dialect::Anthropic => X_API_KEY,
        Dialect::Gemini => X_GOOG_API_KEY,
    }
}

/// Whether a request field of this name may carry, or speak for, the client's own credential.
#[must_use]
pub fn is_credential(name: &HeaderName) -> bool {
    // Compared as text: as constants of their type the names would be made and dropped for every comparison.
    matches!(
        name.as_str(),
        "api-key"
            | "authorization"
            | "cookie"
            | "openai-organization"
            | "openai-project"
            | "x-api-key"
            | "x-goog-api-key"
            | "x-goog-user-project"
    )
}

/// The WebSocket subprotocols without those that are keys; `None` if nothing is left to offer.
#[must_use]
pub fn without_subprotocol_keys(value: &HeaderValue) -> Option<HeaderValue> {
    let bytes = value.as_bytes();
    if memchr::memmem::find(bytes, SUBPROTOCOL_KEY.as_bytes()).is_none() {
        return Some(value.clone());
    }
    let kept: Vec<_> = bytes
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|protocol| !protocol.is_empty() && memchr::memmem::find(protocol, SUBPROTOCOL_KEY.as_bytes()).is_none())
        .collect();
    if kept.is_empty() { None } else { HeaderValue::from_bytes(&kept.join(&b", "[..])).ok() }
}

/// The query without its parameters that are keys. Other bytes stay as they are.
#[must_use]
pub fn without_query_keys(query: &str) -> Cow<'_, str> {
    if query.split('&').any(is_query_key) {
        query.split('&').filter(|parameter| !is_query_key(parameter)).collect::<Vec<_>>().join("&").into()
    } else {
        query.into()
    }
}

/// Whether a query parameter is a key, also where escapes stand for the letters of its name.
fn is_query_key(parameter: &str) -> bool {
    let name = unescape(parameter.split('=').next().unwrap_or_default());
    QUERY_KEYS.iter().any(|key| name.eq_ignore_ascii_case(key))
}

/// A query parameter's name, or a path, with its percent-escapes resolved, as far as they stand for ASCII.
pub(super) fn unescape(name: &str) -> Cow<'_, str> {
    if !name.contains('%') {
        return name.into();
    }
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        match rest.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(u8::is_ascii) {
            Some(byte) => {
                text.push(char::from(byte));
                rest = &rest[at + 3..];
            }
            None => {
                text.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    text.push_str(rest);
    text.into()
}

/// The ways in which a field carries a credential.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Authorization,
    Key,
    Subprotocols,
}

impl Form {
    fn of(name: &HeaderName) -> Option<Self> {
        match name.as_str() {
            "authorization" => Some(Self::Authorization),
            "api-key" | "x-api-key" | "x-goog-api-key" => Some(Self::Key),
            "sec-websocket-protocol" => Some(Self::Subprotocols),
            _ => None,
        }
    }
}

/// Looks through every credential that a client presented, in whichever form, without its scheme, until `look` finds
/// something: the candidates for a client key of ours. A client may send one of its provider's beside it.
pub fn find_presented<'a, T>(headers: &'a HeaderMap, query: Option<&'a str>, mut look: impl FnMut(&'a [u8]) -> Option<T>) -> Option<T> {
    let mut look = |credential: &'a [u8]| if credential.is_empty() { None } else { look(credential) };
    for (name, value) in headers {
        let found = match Form::of(name) {
            None => None,
            Some(Form::Authorization) => look(without_scheme(value.as_bytes())),
            Some(Form::Key) => look(value.as_bytes()),
            Some(Form::Subprotocols) => {
                let protocols = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
                protocols.filter_map(|protocol| protocol.strip_prefix(SUBPROTOCOL_KEY.as_bytes())).find_map(&mut look)
            }
        };
        if found.is_some() {
            return found;
        }
    }
    let parameters = query?.split('&').filter(|parameter| is_query_key(parameter));
    parameters.filter_map(|parameter| Some(parameter.split_once('=')?.1.as_bytes())).find_map(look)
}

/// The credential that a provider of this dialect reads: the one in its own form, else the first in any. A query counts behind
/// the fields.
#[must_use]
pub fn presented_to<'a>(dialect: Dialect, headers: &'a HeaderMap, query: Option<&'a str>) -> Option<&'a [u8]> {
    let own = headers.get(own_field(dialect)).map(|value| without_scheme(value.as_bytes())).filter(|key| !key.is_empty());
    own.or_else(|| find_presented(headers, query, Some))
}

fn without_scheme(value: &[u8]) -> &[u8] {
    let scheme = value.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case(b"bearer "));
    if scheme.is_some() { value[7..].trim_ascii() } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All of them.
    fn presented<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Vec<&'a [u8]> {
        let mut all = Vec::new();
        find_presented(headers, query, |credential| {
            all.push(credential);
            None::<()>
        });
        all
    }

    #[test]
    fn each_dialect_gets_its_key_where_it_looks_for_it() {
        for (dialect, name, value) in [
            (Dialect::Openai, "authorization", "Bearer k"),
            (Dialect::Azure, "api-key", "k"),
            (Dialect::Anthropic, "x-api-key", "k"),
            (Dialect::Gemini, "x-goog-api-key", "k"),
            (Dialect::Groq, "authorization", "Bearer k"),
            (Dialect::Deepseek, "authorization", "Bearer k"),
            (Dialect::Mistral, "authorization", "Bearer k"),
            (Dialect::Openrouter, "authorization", "Bearer k"),
            (Dialect::Vllm, "authorization", "Bearer k"),
        ] {
            let mut headers = HeaderMap::new();
            Credential::new(dialect, &Secret::new("k".to_owned()), Some("org"), None).unwrap().apply(&mut headers);
            assert_eq!(headers[name], value);
            assert!(headers[name].is_sensitive());
            assert_eq!(headers["openai-organization"], "org");
            assert!(headers.keys().all(is_credential));
        }
        assert!(Credential::new(Dialect::Openai, &Secret::new("a\nb".to_owned()), None, None).is_none());
    }

    #[test]
    fn a_key_in_the_query_is_taken_out_and_the_rest_stays_byte_for_byte() {
        for (query, left) in [
            ("a=1&key=secret&b=%2f", "a=1&b=%2f"),
            ("key=secret", ""),
            ("%6bey=secret&x", "x"),
            ("k%65%79=secret&%zz=1", "%zz=1"),
            ("KEY=secret&alt=sse", "alt=sse"),
            ("monkey=1&keys=2&key2=3", "monkey=1&keys=2&key2=3"),
            ("a=key&&", "a=key&&"),
            ("api-version=1&api-key=secret", "api-version=1"),
            ("Access_Token=secret&a", "a"),
        ] {
            assert_eq!(without_query_keys(query), left, "{query}");
        }
    }

    #[test]
    fn a_key_among_the_subprotocols_is_taken_out() {
        let value = |text| HeaderValue::from_static(text);
        assert_eq!(
            without_subprotocol_keys(&value("realtime, openai-insecure-api-key.sk-1, openai-beta.v1")).unwrap(),
            "realtime, openai-beta.v1"
        );
        assert_eq!(without_subprotocol_keys(&value("openai-insecure-api-key.sk-1")), None);
        assert_eq!(without_subprotocol_keys(&value("realtime ,x")).unwrap(), "realtime ,x");
    }

    #[test]
    fn a_client_may_present_its_key_in_any_form_an_sdk_uses() {
        let given = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
        };
        for headers in [
            given("authorization", "Bearer sg-1"),
            given("authorization", "bearer  sg-1"),
            given("authorization", "sg-1"),
            given("x-api-key", "sg-1"),
            given("api-key", "sg-1"),
            given("x-goog-api-key", "sg-1"),
            given("sec-websocket-protocol", "realtime, openai-insecure-api-key.sg-1"),
        ] {
            assert_eq!(presented(&headers, None), [b"sg-1"], "{headers:?}");
        }
        assert_eq!(presented(&given("x-api-key", "sg-1"), Some("alt=sse&key=sg-2&KEY=sg-3")), [b"sg-1", b"sg-2", b"sg-3"]);
        assert!(presented(&given("authorization", "Bearer "), Some("key=&key")).is_empty());
        assert!(presented(&HeaderMap::new(), None).is_empty());
    }

    #[test]
    fn of_several_credentials_a_provider_reads_its_own() {
        let headers: HeaderMap = [("x-goog-api-key", "g"), ("authorization", "Bearer o"), ("x-api-key", "a"), ("api-key", "z")]
            .into_iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        for (dialect, key) in [(Dialect::Openai, "o"), (Dialect::Azure, "z"), (Dialect::Anthropic, "a"), (Dialect::Gemini, "g")] {
            assert_eq!(presented_to(dialect, &headers, Some("key=q")), Some(key.as_bytes()), "{dialect:?}");
        }
        let oauth = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer o"))]);
        assert_eq!(presented_to(Dialect::Anthropic, &oauth, None), Some(&b"o"[..]));
        assert_eq!(presented_to(Dialect::Gemini, &HeaderMap::new(), Some("key=q")), Some(&b"q"[..]));
        assert_eq!(presented_to(Dialect::Openai, &HeaderMap::new(), None), None);
    }
}
