//! Which header fields belong to one hop, to Sidegate, or to the framing of a message: pure functions over names and values.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
};

/// The chain of addresses that trusted proxies vouch for.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The tier that a trusted proxy says.
pub const X_API_TIER: HeaderName = HeaderName::from_static("x-api-tier");
/// The region that a trusted proxy says.
pub const X_REGION: HeaderName = HeaderName::from_static("x-region");
/// The priority that a trusted proxy says.
pub const X_PRIORITY: HeaderName = HeaderName::from_static("x-priority");
/// The id of a request, the client's, the provider's or ours.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The fingerprint of the key that was used.
pub const X_SIDEGATE_KEY: HeaderName = HeaderName::from_static("x-sidegate-key");
/// How many attempts the reply took.
pub const X_SIDEGATE_ATTEMPTS: HeaderName = HeaderName::from_static("x-sidegate-attempts");
/// The time that Sidegate itself added.
pub const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Fields that say where a request comes from. They count only from trusted peers and never go on.
const CLAIMS: [HeaderName; 4] = [X_FORWARDED_FOR, X_API_TIER, X_REGION, X_PRIORITY];

/// Whether a field is about one connection only, or to be answered by this hop (RFC 9110 §7.6.1, §10.1.1, §11.7).
#[must_use]
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    const STANDARD: [HeaderName; 7] = [CONNECTION, EXPECT, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE];
    STANDARD.contains(name) || *name == KEEP_ALIVE || *name == PROXY_CONNECTION || *name == HTTP2_SETTINGS
}

/// Whether a reply's field, or a trailer of it, goes down: neither this hop's nor one that would be taken for ours.
#[must_use]
pub fn goes_down(name: &HeaderName) -> bool {
    !is_hop_by_hop(name) && *name != X_SIDEGATE_KEY && *name != X_SIDEGATE_ATTEMPTS
}

/// Whether a field says where a request comes from.
#[must_use]
pub fn is_claim(name: &HeaderName) -> bool {
    CLAIMS.contains(name)
}

/// The field that `name` would be with `-` for `_`, if that is one that means something to a proxy: some servers read
/// both as the same.
#[must_use]
pub fn alias(name: &HeaderName) -> Option<HeaderName> {
    let text = name.as_str();
    text.contains('_').then(|| HeaderName::from_bytes(text.replace('_', "-").as_bytes()).ok()).flatten()
}

/// Whether a field decides where a message ends or goes.
#[must_use]
pub fn is_framing(name: &HeaderName) -> bool {
    [CONTENT_LENGTH, HOST, TRANSFER_ENCODING].contains(name)
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
