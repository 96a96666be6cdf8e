//! Step 1: nothing malformed goes further.
//!
//! These are the rules that hyper leaves to its user; what hyper's parser itself refuses does not get here, and what can be
//! seen only in the raw bytes (a length beside a chunked body, bare line feeds) is refused by `server::guard`. All
//! are pure functions over a parsed head, with the section of the RFC beside each.

use std::{fmt, net::IpAddr};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri, Version,
    header::{CONTENT_LENGTH, EXPECT, HOST, MAX_FORWARDS, TRANSFER_ENCODING},
    request::Parts,
};

use super::{
    fields::{self, Framing, Nominated, Present, X_API_TIER, X_FORWARDED_FOR, X_REGION},
    reject::Reject,
};
use crate::config::{Listen, Trust};

/// A request head that may go further.
pub struct Admitted {
    /// Method, target, fields: as they came.
    pub head: Box<Parts>,
    /// Which of the fields that mean something here it has.
    pub present: Present,
    /// The fields that are for this hop only.
    pub nominated: Nominated,
    /// What a trusted peer says of the request's origin.
    pub claims: Claims,
    /// The peer; `None` on a Unix socket.
    pub peer: Option<IpAddr>,
}

impl fmt::Debug for Admitted {
    /// Without its fields and its query: they hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Admitted({} {})", self.head.method, self.head.uri.path())
    }
}

/// What a trusted peer says of a request's origin. From others nothing is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// The chain of addresses, the nearest last.
    pub forwarded_for: Vec<HeaderValue>,
    /// The tier.
    pub tier: Option<HeaderValue>,
    /// The region.
    pub region: Option<HeaderValue>,
}

impl Claims {
    fn read(headers: &HeaderMap) -> Self {
        let forwarded_for = headers.get_all(X_FORWARDED_FOR).iter().cloned().collect();
        Self { forwarded_for, tier: nearest(headers, &X_API_TIER), region: nearest(headers, &X_REGION) }
    }
}

/// What the nearest proxy says in a field of one value. A proxy that adds its own word to what a client sent puts it last, as a
/// field or as a member of a list (RFC 9110 §5.3); what stands before that was written by nobody knows whom.
fn nearest(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let value = headers.get_all(name).iter().next_back()?;
    match memchr::memrchr(b',', value.as_bytes()) {
        None => Some(value.clone()),
        Some(comma) => HeaderValue::from_bytes(value.as_bytes()[comma + 1..].trim_ascii()).ok(),
    }
}

/// Admits a request head, or says what is wrong with it.
///
/// # Errors
///
/// [`Reject`], before anything of the body was read.
pub fn admit(head: Box<Parts>, present: Present, peer: Option<IpAddr>, listen: &Listen, trust: &Trust) -> Result<Admitted, Reject> {
    size(&head.headers, listen)?;
    method(&head.method)?;
    target(&head.method, &head.uri).map_err(Reject::Malformed)?;
    host(&head).map_err(Reject::Malformed)?;
    framing(&head, present).map_err(Reject::Malformed)?;
    if present.has(Present::EXPECT) {
        expectation(&head.headers)?;
    }
    if present.has(Present::MAX_FORWARDS) {
        max_forwards(&head)?;
    }
    let claims = if present.has(Present::CLAIM) && trust.covers(peer) { Claims::read(&head.headers) } else { Claims::default() };
    let nominated = if present.has(Present::CONNECTION) { Nominated::read(&head.headers) } else { Nominated::default() };
    Ok(Admitted { head, present, nominated, claims, peer })
}

/// RFC 6585 §5. HTTP/2 has no bound on the number of fields, and each costs far more in memory than on the wire.
fn size(headers: &HeaderMap, listen: &Listen) -> Result<(), Reject> {
    // As RFC 9113 §6.5.2 counts: name, value and 32 bytes for each field.
    let bytes = || headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum::<usize>();
    let too_large = headers.len() > listen.max_headers.get() || bytes() > listen.max_header_size.bytes();
    if too_large { Err(Reject::HeadTooLarge) } else { Ok(()) }
}

/// RFC 9110 §9.1. `CONNECT` would make a tunnel and `TRACE` would return credentials; nobody else's methods are guessed at.
fn method(method: &Method) -> Result<(), Reject> {
    match *method {
        Method::DELETE | Method::GET | Method::HEAD | Method::OPTIONS | Method::PATCH | Method::POST | Method::PUT => Ok(()),
        _ => Err(Reject::Method),
    }
}

/// RFC 9112 §3.2: origin-form or absolute-form. Of the latter only path and query count: where a request goes is the config's to say.
fn target(method: &Method, uri: &Uri) -> Result<(), &'static str> {
    match (uri.scheme_str(), uri.authority()) {
        (None, None) => {}
        (Some("http" | "https"), Some(authority)) if is_host(authority.as_str().as_bytes()) => {}
        (None, Some(_)) => return Err("authority-form is for CONNECT only"),
        _ => return Err("the target is no http or https URI"),
    }
    let path = uri.path();
    if path == "*" {
        return if *method == Method::OPTIONS { Ok(()) } else { Err("asterisk-form is for OPTIONS only") };
    }
    if !path.starts_with('/') {
        return Err("the path does not start with `/`");
    }
    if climbs(path) {
        return Err("the path has dot segments");
    }
    // Without an early end, so that it is done many bytes at a time.
    let has_control = |text: &str| text.bytes().fold(false, |found, byte| found | (byte <= b' ') | (byte == 0x7f));
    if has_control(path) || uri.query().is_some_and(has_control) {
        return Err("the target has control bytes");
    }
    Ok(())
}

/// Whether a path has dot segments (RFC 3986 §5.2.4), also when dots or separators are escaped. They could leave the
/// prefix that the route allows, on a server that resolves them.
fn climbs(path: &str) -> bool {
    if memchr::memchr3(b'.', b'%', b'\\', path.as_bytes()).is_none() {
        return false;
    }
    let mut plain = path.to_ascii_lowercase();
    for (escaped, byte) in [("%2e", "."), ("%2f", "/"), ("%5c", "/"), ("\\", "/"), ("%3b", ";"), ("%00", "/./")] {
        plain = plain.replace(escaped, byte);
    }
    // Some servers cut a segment at its parameters before they resolve it (RFC 3986 §3.3).
    let bare = |segment: &str| segment.split(';').next().is_some_and(|bare| bare == "." || bare == "..");
    plain.split('/').any(bare)
}

/// RFC 9112 §3.2, RFC 9113 §8.3.1: one valid host, and `:authority` and `Host` of one mind.
fn host(head: &Parts) -> Result<(), &'static str> {
    let mut hosts = head.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => Err("more than one Host"),
        (Some(host), None) => {
            let agree = || head.uri.authority().is_none_or(|authority| authority.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()));
            if !is_host(host.as_bytes()) {
                Err("Host is not a valid host")
            } else if head.version == Version::HTTP_2 && !agree() {
                Err("Host differs from :authority")
            } else {
                Ok(())
            }
        }
        (None, None) if head.version == Version::HTTP_11 || head.version == Version::HTTP_2 && head.uri.authority().is_none() => {
            Err("no Host")
        }
        (None, None) => Ok(()),
    }
}

/// `host[:port]` (RFC 3986 §3.2.2): a name, an IPv4 address or an IPv6 address in brackets; no user.
fn is_host(text: &[u8]) -> bool {
    // Letters, digits, dots and dashes are nearly all there is.
    let plain = text.iter().take_while(|byte| PLAIN_HOST[usize::from(**byte)]).count();
    if plain == text.len() {
        return plain > 0;
    }
    let (host, port) = match text {
        [b'[', rest @ ..] => match memchr::memchr(b']', rest) {
            Some(end) => {
                let inside = std::str::from_utf8(&rest[..end]).unwrap_or_default();
                if inside.parse::<std::net::Ipv6Addr>().is_err() {
                    return false;
                }
                (&rest[..end], &rest[end + 1..])
            }
            None => return false,
        },
        _ => text.split_at(memchr::memchr(b':', text).unwrap_or(text.len())),
    };
    let named = text.first() == Some(&b'[') || !host.is_empty() && is_reg_name(host);
    let numbered = match port {
        [] | [b':'] => true,
        [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(digits).is_ok_and(|text| text.parse::<u16>().is_ok())
        }
        _ => false,
    };
    named && numbered
}

/// The bytes of a plain name or IPv4 address.
static PLAIN_HOST: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        plain[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'-' | b'.');
        byte += 1;
    }
    plain
};

/// Unreserved characters, sub-delimiters but for the comma that would join two, and whole escapes.
fn is_reg_name(name: &[u8]) -> bool {
    let mut rest = name;
    while let [first, behind @ ..] = rest {
        rest = match (first, behind) {
            (b'%', [high, low, behind @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => behind,
            (byte, behind) if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(byte) => behind,
            _ => return false,
        };
    }
    true
}

/// RFC 9112 §6: a body whose end two readers could see in two places is no body to pass on.
fn framing(head: &Parts, present: Present) -> Result<(), &'static str> {
    let mut framing = Framing::default();
    if present.has(Present::LENGTH) {
        head.headers.get_all(CONTENT_LENGTH).iter().try_for_each(|value| framing.length(value).map(drop))?;
    }
    if present.has(Present::CODING) {
        head.headers.get_all(TRANSFER_ENCODING).iter().try_for_each(|value| framing.coding(value))?;
    }
    framing.check()?;
    if framing.is_chunked() && head.version != Version::HTTP_11 {
        return Err("only HTTP/1.1 is chunked");
    }
    let aliased = |name| fields::alias(name).is_some_and(|alias| fields::is_framing(&alias));
    if present.has(Present::UNDERSCORE) && head.headers.keys().any(aliased) {
        Err("a field's name could be read as one that frames the message")
    } else {
        Ok(())
    }
}

/// RFC 9110 §10.1.1.
fn expectation(headers: &HeaderMap) -> Result<(), Reject> {
    let fine = headers.get_all(EXPECT).iter().all(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if fine { Ok(()) } else { Err(Reject::Expectation) }
}

/// RFC 9110 §7.6.2: it is defined for `OPTIONS` and `TRACE`, and ignored on every other method.
fn max_forwards(head: &Parts) -> Result<(), Reject> {
    let last = || head.headers.get(MAX_FORWARDS).is_some_and(|value| value.as_bytes() == b"0");
    if head.method == Method::OPTIONS && last() { Err(Reject::FinalRecipient) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
