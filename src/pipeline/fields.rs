//! Which header fields belong to one hop, to Sidegate, to the framing of a message, or vouch for its body: pure functions over
//! names and values.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, TRAILER},
};

/// The chain of addresses that trusted proxies vouch for.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The tier that a trusted proxy says.
pub const X_API_TIER: HeaderName = HeaderName::from_static("x-api-tier");
/// The region that a trusted proxy says.
pub const X_REGION: HeaderName = HeaderName::from_static("x-region");
/// The id of a request, the client's, the provider's or ours.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The fingerprint of the key that was used.
pub const X_SIDEGATE_KEY: HeaderName = HeaderName::from_static("x-sidegate-key");
/// How many attempts the reply took.
pub const X_SIDEGATE_ATTEMPTS: HeaderName = HeaderName::from_static("x-sidegate-attempts");
/// The target that answered.
pub const X_SIDEGATE_TARGET: HeaderName = HeaderName::from_static("x-sidegate-target");
/// How long the request waited in its provider's line, in milliseconds.
pub const X_SIDEGATE_QUEUE: HeaderName = HeaderName::from_static("x-sidegate-queue-ms");
/// What the cache had to do with the reply.
pub const X_SIDEGATE_CACHE: HeaderName = HeaderName::from_static("x-sidegate-cache");
/// The same as RFC 9211 has it.
pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// What SDKs ask before they try again by themselves.
pub const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// The name of the limit that refused the request.
pub const X_SIDEGATE_LIMIT: HeaderName = HeaderName::from_static("x-sidegate-limit");
/// The time that Sidegate itself added.
pub const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Which fields that mean something to a proxy a head has. One look at all names finds them: a look-up by name costs a hash, and
/// most heads have few of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Present(u32);

impl Present {
    /// `host`.
    pub const HOST: Self = Self(1);
    /// `content-length`.
    pub const LENGTH: Self = Self(1 << 1);
    /// `transfer-encoding`.
    pub const CODING: Self = Self(1 << 2);
    /// `connection`.
    pub const CONNECTION: Self = Self(1 << 3);
    /// `expect`.
    pub const EXPECT: Self = Self(1 << 4);
    /// `max-forwards`.
    pub const MAX_FORWARDS: Self = Self(1 << 5);
    /// `x-request-id`.
    pub const ID: Self = Self(1 << 6);
    /// A field that says where a request comes from.
    pub const CLAIM: Self = Self(1 << 7);
    /// `authorization`.
    pub const AUTHORIZATION: Self = Self(1 << 8);
    /// Another field in which a client may present a key.
    pub const OTHER_KEY: Self = Self(1 << 9);
    /// A field that speaks for the client in another way: a cookie, an organization, a project that pays.
    pub const ACCOUNT: Self = Self(1 << 10);
    /// `content-encoding`.
    pub const ENCODING: Self = Self(1 << 11);
    /// A name with `_`, which could be read as another.
    pub const UNDERSCORE: Self = Self(1 << 12);
    /// Another field that is for this hop only.
    pub const HOP: Self = Self(1 << 13);
    /// `traceparent` or `tracestate`.
    pub const TRACE: Self = Self(1 << 14);
    /// `cache-control` or `pragma`.
    pub const DIRECTIVES: Self = Self(1 << 15);
    /// A field that says something about the bytes of the body: RFC 9530, RFC 3230, RFC 1864, RFC 9421, and the signatures of AWS.
    pub const DIGEST: Self = Self(1 << 16);
    /// `range`, or `content-range`.
    pub const RANGE: Self = Self(1 << 17);
    /// What the client says of its own patience and retries, or an `idempotency-key`.
    pub const AGAIN: Self = Self(1 << 18);
    /// Any field in which a client may present a key.
    pub const ANY_KEY: Self = Self(Self::AUTHORIZATION.0 | Self::OTHER_KEY.0);
    /// What ties a body to its bytes.
    pub const TIED: Self = Self(Self::ENCODING.0 | Self::DIGEST.0);
    /// Whatever may not go up as it is, credentials and framing aside.
    pub const FILTERED: Self = Self(
        Self::CODING.0 | Self::CONNECTION.0 | Self::EXPECT.0 | Self::MAX_FORWARDS.0 | Self::CLAIM.0 | Self::UNDERSCORE.0 | Self::HOP.0,
    );

    /// Looks at every name.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        Self(headers.keys().fold(0, |found, name| found | Self::of(name.as_str()).0))
    }

    /// By length first: most names are settled without a comparison.
    fn of(name: &str) -> Self {
        match (name.len(), name) {
            (4, "host") => Self::HOST,
            (5, "range") | (13, "content-range") => Self::RANGE,
            (14, "content-length") => Self::LENGTH,
            (17, "transfer-encoding") => Self::CODING,
            (10, "connection") => Self::CONNECTION,
            (6, "expect") => Self::EXPECT,
            (12, "max-forwards") => Self::MAX_FORWARDS,
            (12, "x-request-id") => Self::ID,
            (8, "x-region") | (10, "x-api-tier" | "x-priority") | (15, "x-forwarded-for") => Self::CLAIM,
            (13, "authorization") => Self::AUTHORIZATION,
            (6, "pragma") | (13, "cache-control") => Self::DIRECTIVES,
            (7, "api-key") | (9, "x-api-key") | (14, "x-goog-api-key") | (22, "sec-websocket-protocol") => Self::OTHER_KEY,
            (6, "cookie") | (14, "openai-project") | (19, "openai-organization" | "x-goog-user-project") => Self::ACCOUNT,
            (16, "content-encoding") => Self::ENCODING,
            (6, "digest") | (9, "signature") | (11, "content-md5" | "repr-digest") => Self::DIGEST,
            (14, "content-digest") | (15, "signature-input") | (20, "x-amz-content-sha256") => Self::DIGEST,
            (10, "tracestate") | (11, "traceparent") => Self::TRACE,
            (15, "idempotency-key") | (19, "x-stainless-timeout") | (23, "x-stainless-retry-count") => Self::AGAIN,
            (24, "x-stainless-read-timeout") => Self::AGAIN,
            (2, "te") | (7, "upgrade") | (10, "keep-alive") | (14, "http2-settings") => Self::HOP,
            (16, "proxy-connection") | (18, "proxy-authenticate") | (19, "proxy-authorization") => Self::HOP,
            _ if has_underscore(name) => Self::UNDERSCORE,
            _ => Self(0),
        }
    }

    /// Whether any of these is there.
    #[must_use]
    pub const fn has(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }
}

/// Without an early end, so that it is done many bytes at a time.
fn has_underscore(text: &str) -> bool {
    text.bytes().fold(false, |found, byte| found | (byte == b'_'))
}

// Names are compared as text: as constants of their type each would be made and dropped for every comparison.

/// Whether a field is about one connection only, or to be answered by this hop (RFC 9110 §7.6.1, §10.1.1, §11.7).
#[must_use]
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "expect"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Whether a reply's field, or a trailer of it, goes down: neither this hop's nor one that would be taken for ours.
#[must_use]
pub fn goes_down(name: &HeaderName) -> bool {
    !is_hop_by_hop(name) && !is_ours(name)
}

/// Whether it would be taken for one that we add.
fn is_ours(name: &HeaderName) -> bool {
    name.as_str()
        .strip_prefix("x-sidegate-")
        .is_some_and(|rest| matches!(rest, "key" | "attempts" | "cache" | "limit" | "target" | "queue-ms"))
}

/// Whether a reply's field tells how much a provider lets its account have: OpenAI's `x-ratelimit-…` and their like at other
/// providers, Anthropic's own, the IETF's. `retry-after` is none of them: it is about this one reply.
#[must_use]
pub fn is_rate_limit(name: &HeaderName) -> bool {
    let name = name.as_str();
    // Most names are settled by their first letter.
    match name.as_bytes() {
        [b'a', ..] => name.starts_with("anthropic-ratelimit-") || name.starts_with("anthropic-priority-"),
        [b'x', b'-', ..] => name.starts_with("x-ratelimit") || name.starts_with("x-rate-limit"),
        [b'r', ..] => name.starts_with("ratelimit"),
        _ => false,
    }
}

/// Whether a field says where a request comes from. Such fields count only from trusted peers and never go on.
#[must_use]
pub fn is_claim(name: &HeaderName) -> bool {
    matches!(name.as_str(), "x-forwarded-for" | "x-api-tier" | "x-region" | "x-priority")
}

/// The field that `name` would be with `-` for `_`, if that is one that means something to a proxy: some servers read
/// both as the same.
#[must_use]
pub fn alias(name: &HeaderName) -> Option<HeaderName> {
    let text = name.as_str();
    has_underscore(text).then(|| HeaderName::from_bytes(text.replace('_', "-").as_bytes()).ok()).flatten()
}

/// Whether a field decides where a message ends or goes.
#[must_use]
pub fn is_framing(name: &HeaderName) -> bool {
    matches!(name.as_str(), "content-length" | "host" | "transfer-encoding")
}

/// The fields that `Connection` names as meant for this hop only (RFC 9110 §7.6.1).
#[derive(Clone, Debug, Default)]
pub struct Nominated(Vec<HeaderName>);

impl Nominated {
    /// Reads every `Connection` field.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        let mut names = Self::default();
        headers.get_all(CONNECTION).iter().for_each(|value| names.add(value));
        names
    }

    /// Reads one `Connection` field. What decides framing or trailers can't be nominated away.
    pub fn add(&mut self, value: &HeaderValue) {
        let options = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let nominated = options.filter(|option| !option.eq_ignore_ascii_case(b"close") && !option.eq_ignore_ascii_case(b"keep-alive"));
        let names = nominated.filter_map(|option| HeaderName::from_bytes(option).ok());
        self.0.extend(names.filter(|name| !is_framing(name) && *name != TRAILER));
    }

    /// Whether none was named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this field was named.
    #[must_use]
    pub fn contains(&self, name: &HeaderName) -> bool {
        self.0.contains(name)
    }
}

/// Whether `TE` allows trailers: the only thing of it that concerns the next hop.
#[must_use]
pub fn accepts_trailers(value: &HeaderValue) -> bool {
    value.as_bytes().split(|byte| *byte == b',').any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// What frames a message, gathered field by field.
#[derive(Debug, Default)]
pub struct Framing {
    length: Option<u64>,
    is_chunked: bool,
}

impl Framing {
    /// Takes a `Content-Length`; whether it is the first.
    ///
    /// # Errors
    ///
    /// If the value is not a plain number, or differs from an earlier one (RFC 9112 §6.3).
    pub fn length(&mut self, value: &HeaderValue) -> Result<bool, &'static str> {
        let parsed = plain_number(value.as_bytes()).ok_or("content-length is not a number")?;
        match self.length.replace(parsed) {
            None => Ok(true),
            Some(earlier) if earlier == parsed => Ok(false),
            Some(_) => Err("content-length stands there twice with different values"),
        }
    }

    /// Takes a `Transfer-Encoding`.
    ///
    /// # Errors
    ///
    /// If it is anything but one field with the one word `chunked` (RFC 9112 §6.1): what two readers could understand in two
    /// ways is not passed on.
    pub fn coding(&mut self, value: &HeaderValue) -> Result<(), &'static str> {
        let earlier = std::mem::replace(&mut self.is_chunked, true);
        if earlier || !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return Err("transfer-encoding is not exactly `chunked`");
        }
        Ok(())
    }

    /// Looks at all that was taken.
    ///
    /// # Errors
    ///
    /// If there is a length beside chunks (RFC 9112 §6.1).
    pub fn check(&self) -> Result<(), &'static str> {
        if self.is_chunked && self.length.is_some() { Err("content-length and transfer-encoding together") } else { Ok(()) }
    }

    /// Whether the message is chunked.
    #[must_use]
    pub fn is_chunked(&self) -> bool {
        self.is_chunked
    }
}

/// Whether the body behind this head may be changed: not if it is encoded, nor if its sender has signed or digested it.
#[must_use]
pub const fn body_may_change(present: Present) -> bool {
    !present.has(Present::TIED)
}

/// Digits and nothing else.
fn plain_number(text: &[u8]) -> Option<u64> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    let add = |number: u64, byte: &u8| number.checked_mul(10)?.checked_add(digit(byte)?);
    if text.is_empty() { None } else { text.iter().try_fold(0, add) }
}

#[cfg(test)]
mod tests {
    use http::header::{EXPECT, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE};

    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn one_look_finds_what_a_head_has() {
        let all = [
            ("host", Present::HOST),
            ("content-length", Present::LENGTH),
            ("transfer-encoding", Present::CODING),
            ("connection", Present::CONNECTION),
            ("expect", Present::EXPECT),
            ("max-forwards", Present::MAX_FORWARDS),
            ("x-request-id", Present::ID),
            ("authorization", Present::AUTHORIZATION),
            ("content-encoding", Present::ENCODING),
            ("traceparent", Present::TRACE),
            ("idempotency-key", Present::AGAIN),
            ("x_api_key", Present::UNDERSCORE),
        ];
        for (name, present) in all {
            let found = Present::read(&headers(&[("accept", "x"), (name, "x"), ("x-other", "x")]));
            for (other, bit) in all {
                assert_eq!(found.has(bit), bit == present, "{name} {other}");
            }
        }
        assert_eq!(Present::read(&headers(&[("accept", "x")])), Present::default());
    }

    /// The table of names stands twice, since one is asked about a whole head and the other about a name.
    #[test]
    fn what_is_filtered_by_name_is_filtered_by_the_head() {
        let names = [CONNECTION, EXPECT, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE];
        let more = ["keep-alive", "proxy-connection", "http2-settings"].map(HeaderName::from_static);
        let claims = ["x-forwarded-for", "x-api-tier", "x-region", "x-priority"].map(HeaderName::from_static);
        assert!(names.iter().chain(&more).all(is_hop_by_hop) && claims.iter().all(is_claim));
        for name in names.iter().chain(&more).chain(&claims) {
            assert!(Present::of(name.as_str()).has(Present::FILTERED), "{name}");
        }
    }

    #[test]
    fn a_body_that_is_encoded_digested_or_signed_may_not_be_changed() {
        let may_change = |name| {
            let headers = headers(&[("content-type", "application/json"), (name, "x")]);
            body_may_change(Present::read(&headers))
        };
        for name in [
            "content-encoding",
            "content-digest",
            "content-md5",
            "digest",
            "repr-digest",
            "signature",
            "signature-input",
            "x-amz-content-sha256",
        ] {
            assert!(!may_change(name), "{name}");
        }
        assert!(may_change("accept-encoding"));
    }

    #[test]
    fn what_tells_of_a_providers_account_is_known_by_its_name() {
        for (name, is_one) in [
            ("x-ratelimit-remaining-requests", true),
            ("x-ratelimit-limit-project-tokens", true),
            ("x-ratelimitbysize-remaining-minute", true),
            ("x-rate-limit-limit", true),
            ("anthropic-ratelimit-input-tokens-reset", true),
            ("anthropic-priority-output-tokens-remaining", true),
            ("ratelimit", true),
            ("ratelimit-policy", true),
            ("ratelimitbysize-limit", true),
            ("retry-after", false),
            ("retry-after-ms", false),
            ("x-should-retry", false),
            ("anthropic-organization-id", false),
            ("x-request-id", false),
            ("x-rate", false),
        ] {
            assert_eq!(is_rate_limit(&HeaderName::from_static(name)), is_one, "{name}");
        }
    }

    #[test]
    fn connection_names_fields_of_this_hop_but_not_the_framing() {
        let nominated =
            Nominated::read(&headers(&[("connection", "close, X-One"), ("connection", " x-two ,content-length,host,, keep-alive")]));
        for (name, named) in
            [("x-one", true), ("x-two", true), ("content-length", false), ("host", false), ("close", false), ("x-three", false)]
        {
            assert_eq!(nominated.contains(&HeaderName::from_static(name)), named, "{name}");
        }
    }

    /// What a message with these fields is framed by: its length and whether it is chunked.
    fn framing(fields: &[(&'static str, &'static str)]) -> Result<(Option<u64>, bool), ()> {
        let mut framing = Framing::default();
        for (name, value) in fields {
            let value = HeaderValue::from_static(value);
            match *name {
                "content-length" => drop(framing.length(&value).map_err(drop)?),
                _ => framing.coding(&value).map_err(drop)?,
            }
        }
        framing.check().map_err(drop).map(|()| (framing.length, framing.is_chunked))
    }

    #[test]
    fn only_plain_and_agreeing_lengths_count() {
        for (fields, expected) in [
            (&[][..], Ok(None)),
            (&[("content-length", "5")], Ok(Some(5))),
            (&[("content-length", "5"), ("content-length", "5")], Ok(Some(5))),
            (&[("content-length", "5"), ("content-length", "6")], Err(())),
            (&[("content-length", "5, 5")], Err(())),
            (&[("content-length", "+5")], Err(())),
            (&[("content-length", "")], Err(())),
            (&[("content-length", "0x5")], Err(())),
            (&[("content-length", "18446744073709551615")], Ok(Some(u64::MAX))),
            (&[("content-length", "18446744073709551616")], Err(())),
            (&[("content-length", "99999999999999999999")], Err(())),
            (&[("content-length", "5"), ("transfer-encoding", "chunked")], Err(())),
        ] {
            assert_eq!(framing(fields).map(|(length, _)| length), expected, "{fields:?}");
        }
    }

    #[test]
    fn only_the_one_word_chunked_counts() {
        for (fields, expected) in [
            (&[][..], Ok(false)),
            (&[("transfer-encoding", "chunked")], Ok(true)),
            (&[("transfer-encoding", "Chunked")], Ok(true)),
            (&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], Err(())),
            (&[("transfer-encoding", "chunked, chunked")], Err(())),
            (&[("transfer-encoding", ",chunked")], Err(())),
            (&[("transfer-encoding", "gzip, chunked")], Err(())),
            (&[("transfer-encoding", "identity")], Err(())),
            (&[("transfer-encoding", "")], Err(())),
        ] {
            assert_eq!(framing(fields).map(|(_, is_chunked)| is_chunked), expected, "{fields:?}");
        }
    }
}
