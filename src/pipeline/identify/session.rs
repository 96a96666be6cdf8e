//! The session that a request says it belongs to.

use http::{HeaderMap, header::COOKIE};

use crate::{pipeline::fields::Present, runtime::snapshot::SessionIn, types::Digest};

/// The longest name of a session, in bytes. A longer one is no name but an attempt to be hashed at length.
const MAX: usize = 256;

/// The session named at `place`. The first one counts; an empty name is none.
pub(super) fn of(place: &SessionIn, headers: &HeaderMap, present: Present) -> Option<Digest> {
    let name = match place {
        SessionIn::Header(name) => headers.get(name)?.as_bytes(),
        SessionIn::Cookie(_) if !present.has(Present::ACCOUNT) => return None,
        SessionIn::Cookie(name) => cookie(headers, name.as_bytes())?,
    };
    (1..=MAX).contains(&name.len()).then(|| Digest::of(name))
}

/// The value of the first cookie of this name (RFC 6265 §4.2.1). HTTP/2 may bring each in a field of its own (RFC 9113 §8.2.3).
fn cookie<'h>(headers: &'h HeaderMap, name: &[u8]) -> Option<&'h [u8]> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
    let mut values = pairs.filter_map(|pair| pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"="));
    values.next()
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn session(place: &SessionIn, fields: &[(&'static str, &str)]) -> Option<Digest> {
        let field = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in fields.iter().map(field) {
            headers.append(name, value);
        }
        of(place, &headers, Present::read(&headers))
    }

    #[test]
    fn a_session_is_named_by_a_field() {
        let place = SessionIn::Header(HeaderName::from_static("x-session-id"));
        let long = ["x".repeat(MAX), "x".repeat(MAX + 1)];
        for (fields, expected) in [
            (&[][..], None),
            (&[("x-session-id", "one")], Some("one")),
            (&[("x-session-id", "one"), ("x-session-id", "two")], Some("one")),
            (&[("x-session-id", "")], None),
            (&[("x-session-id", &long[0])], Some(&*long[0])),
            (&[("x-session-id", &long[1])], None),
            (&[("cookie", "x-session-id=one")], None),
        ] {
            assert_eq!(session(&place, fields), expected.map(|name| Digest::of(name.as_bytes())), "{fields:?}");
        }
    }

    #[test]
    fn a_session_is_named_by_a_cookie_among_others() {
        let place = SessionIn::Cookie("sid".into());
        for (fields, expected) in [
            (&[][..], None),
            (&[("sid", "one")], None),
            (&[("cookie", "sid=one")], Some("one")),
            (&[("cookie", "a=b; sid=one; sid=two")], Some("one")),
            (&[("cookie", "a=sid=two;sid=o=e")], Some("o=e")),
            (&[("cookie", "sid2=two; SID=two; xsid=two")], None),
            (&[("cookie", "a=b"), ("cookie", "sid=one")], Some("one")),
            (&[("cookie", "sid=")], None),
            (&[("cookie", "sid")], None),
        ] {
            assert_eq!(session(&place, fields), expected.map(|name| Digest::of(name.as_bytes())), "{fields:?}");
        }
    }
}
