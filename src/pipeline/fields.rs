//! Which header fields belong to one hop, to Sidegate, or to the framing of a message: pure functions over names and values.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING},
};

/// The chain of addresses that trusted proxies vouch for.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The tier that a trusted proxy says.
pub const X_API_TIER: HeaderName = HeaderName::from_static("x-api-tier");
/// The id of a request, the client's, the provider's or ours.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The fingerprint of the key that was used.
pub const X_SIDEGATE_KEY: HeaderName = HeaderName::from_static("x-sidegate-key");
/// How many attempts the reply took.
pub const X_SIDEGATE_ATTEMPTS: HeaderName = HeaderName::from_static("x-sidegate-attempts");
/// The time that Sidegate itself added.
pub const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Which fields that mean something to a proxy a head has. One look at all names finds them: a look-up by name costs a hash, and
/// most heads have few of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Present(u16);

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
    /// A field in which a client may present a key.
    pub const KEY: Self = Self(1 << 8);
    /// `content-encoding`.
    pub const ENCODING: Self = Self(1 << 9);
    /// A name with `_`, which could be read as another.
    pub const UNDERSCORE: Self = Self(1 << 10);

    /// Looks at every name.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        Self(headers.keys().fold(0, |found, name| found | Self::of(name).0))
    }

    fn of(name: &HeaderName) -> Self {
        match name.as_str() {
            "host" => Self::HOST,
            "content-length" => Self::LENGTH,
            "transfer-encoding" => Self::CODING,
            "connection" => Self::CONNECTION,
            "expect" => Self::EXPECT,
            "max-forwards" => Self::MAX_FORWARDS,
            "x-request-id" => Self::ID,
            "content-encoding" => Self::ENCODING,
            "authorization" | "x-api-key" | "api-key" | "x-goog-api-key" | "sec-websocket-protocol" => Self::KEY,
            _ if is_claim(name) => Self::CLAIM,
            text if has_underscore(text) => Self::UNDERSCORE,
            _ => Self(0),
        }
    }

    /// Whether any of these is there.
    #[must_use]
    pub fn has(self, any: Self) -> bool {
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
    !is_hop_by_hop(name) && !matches!(name.as_str(), "x-sidegate-key" | "x-sidegate-attempts")
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
#[derive(Debug, Default)]
pub struct Nominated(Vec<HeaderName>);

impl Nominated {
    /// Reads every `Connection` field. What decides framing or trailers can't be nominated away.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        let mut names = Vec::new();
        for value in headers.get_all(CONNECTION) {
            let options = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            let nominated = options.filter(|option| !option.eq_ignore_ascii_case(b"close") && !option.eq_ignore_ascii_case(b"keep-alive"));
            names.extend(
                nominated.filter_map(|option| HeaderName::from_bytes(option).ok()).filter(|name| !is_framing(name) && *name != TRAILER),
            );
        }
        Self(names)
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

/// The one length that all `Content-Length` fields agree on; `Ok(None)` without such a field.
///
/// # Errors
///
/// If a value is not a plain number or two differ (RFC 9112 §6.3).
pub fn content_length(headers: &HeaderMap) -> Result<Option<u64>, &'static str> {
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        let digits = value.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
        let parsed = digits.and_then(|text| text.parse().ok()).ok_or("content-length is not a number")?;
        if length.is_some_and(|length| length != parsed) {
            return Err("content-length stands there twice with different values");
        }
        length = Some(parsed);
    }
    Ok(length)
}

/// Whether the message is chunked.
///
/// # Errors
///
/// If `Transfer-Encoding` is anything but one field with the one word `chunked` (RFC 9112 §6.1): what two readers could
/// understand in two ways is not passed on.
pub fn is_chunked(headers: &HeaderMap) -> Result<bool, &'static str> {
    let mut values = headers.get_all(TRANSFER_ENCODING).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(false),
        (Some(value), None) if value.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(true),
        _ => Err("transfer-encoding is not exactly `chunked`"),
    }
}

#[cfg(test)]
mod tests {
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
            ("x-priority", Present::CLAIM),
            ("x-goog-api-key", Present::KEY),
            ("content-encoding", Present::ENCODING),
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
            (&[("content-length", "99999999999999999999")], Err(())),
        ] {
            assert_eq!(content_length(&headers(fields)).map_err(drop), expected, "{fields:?}");
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
            assert_eq!(is_chunked(&headers(fields)).map_err(drop), expected, "{fields:?}");
        }
    }
}
