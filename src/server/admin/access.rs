//! Who may ask for what. Whoever reaches the listener may look; to change something takes more, and a page that a browser
//! has loaded from elsewhere may do neither.

use std::net::IpAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, Method, Uri,
        header::{AUTHORIZATION, HOST, HeaderName, ORIGIN},
        uri::Authority,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Shared, answer::Refusal};
use crate::config::KeyHash;

/// Where the page that asks comes from, by the browser's own word (Fetch Metadata).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Lets through what may be asked.
pub async fn check(State(admin): State<Shared>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let refusal = if !is_own(request.uri(), headers) {
        Some(Refusal::Host)
    } else if !is_change(request.method()) {
        None
    } else if !is_same_origin(headers) {
        Some(Refusal::Origin)
    } else {
        let snapshot = admin.runtime.snapshot.load();
        let token = snapshot.config.admin.token.as_ref().map(|token| token.0.expose());
        may_change(headers, token, admin.local).err()
    };
    match refusal {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    }
}

/// Whether a request may change something, by its method (RFC 9110 §9.2.1). No endpoint takes another method than GET and POST.
fn is_change(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Refuses what asks for a name that somebody may have registered. A page in an operator's browser can let its own name
/// point here and read what it is answered as its own; the browser then says that name. An address can't be made to
/// point elsewhere, and a name without a dot belongs to nobody outside. Without a Host it was no browser.
/// An authority in the target goes before a Host (RFC 9112 §3.2.2), so both have to be ours.
fn is_own(target: &Uri, headers: &HeaderMap) -> bool {
    let is_ours = |authority: &Authority| {
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        name.parse::<IpAddr>().is_ok() || !name.contains(['.', ':'])
    };
    let mut hosts = headers.get_all(HOST).iter();
    let is_host = |host: &HeaderValue| host.to_str().ok().and_then(|text| text.parse().ok()).is_some_and(|authority| is_ours(&authority));
    target.authority().is_none_or(is_ours) && hosts.all(is_host)
}

/// Whether no browser sends this for a page of somebody else. A browser names the page's origin with every POST; what names
/// none is no browser. The scheme is not compared: what ends TLS in front of us is not known here.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let is_host = |origin: &str| {
        let origin = origin.parse::<Uri>().ok().filter(|origin| origin.path() == "/" || origin.path().is_empty());
        origin.as_ref().and_then(Uri::authority).is_some_and(|authority| Some(authority) == host.as_ref())
    };
    let same = headers.get_all(ORIGIN).iter().all(|origin| origin.to_str().is_ok_and(is_host));
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
    same && sites.all(|site| matches!(site.as_bytes(), b"same-origin" | b"none"))
}

/// Whether these headers entitle to a change. Where a token is set it is always needed.
fn may_change(headers: &HeaderMap, token: Option<&str>, local: bool) -> Result<(), Refusal> {
    let Some(token) = token else { return if local { Ok(()) } else { Err(Refusal::Unguarded) } };
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (Some(given), None) = (given.next(), given.next()) else { return Err(Refusal::NoToken) };
    let given = bearer(given.as_bytes()).ok_or(Refusal::NoToken)?;
    // Hashes, so that neither the length nor a part that fits shows in the time it takes.
    let [given, token] = [given, token.as_bytes()].map(KeyHash::of);
    verify_slices_are_equal(&given.0, &token.0).map_err(|_| Refusal::WrongToken)
}

/// What stands behind `Bearer` (RFC 6750 §2.1), whose case does not matter (RFC 9110 §11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_name_that_somebody_may_own_is_refused_wherever_it_stands() {
        for (target, fields, own) in [
            ("/keys", &[][..], true),
            ("/keys", &[("host", "127.0.0.1:8081")], true),
            ("http://[::1]:8081/keys", &[("host", "localhost")], true),
            ("/keys", &[("host", "evil.example")], false),
            ("/keys", &[("host", "localhost"), ("host", "evil.example")], false),
            ("http://evil.example/keys", &[("host", "127.0.0.1:8081")], false),
            ("http://evil.example/keys", &[], false),
        ] {
            assert_eq!(is_own(&target.parse().unwrap(), &headers(fields)), own, "{target} {fields:?}");
        }
    }

    #[test]
    fn a_page_of_another_origin_is_told_by_what_the_browser_says() {
        let host = ("host", "127.0.0.1:8081");
        for (fields, same) in [
            (&[host][..], true),
            (&[host, ("origin", "http://127.0.0.1:8081")], true),
            (&[host, ("origin", "https://127.0.0.1:8081")], true),
            (&[host, ("origin", "http://127.0.0.1:8081"), ("sec-fetch-site", "same-origin")], true),
            (&[host, ("sec-fetch-site", "none")], true),
            (&[host, ("origin", "http://127.0.0.1:9999")], false),
            (&[host, ("origin", "http://127.0.0.1")], false),
            (&[host, ("origin", "http://localhost:8081")], false),
            (&[host, ("origin", "http://127.0.0.1:8081@evil.example")], false),
            (&[host, ("origin", "http://evil.example")], false),
            (&[host, ("origin", "null")], false),
            (&[host, ("origin", "")], false),
            (&[host, ("origin", "http://127.0.0.1:8081"), ("origin", "http://evil.example")], false),
            (&[host, ("sec-fetch-site", "cross-site")], false),
            (&[host, ("sec-fetch-site", "same-site")], false),
            (&[host, ("origin", "http://127.0.0.1:8081"), ("sec-fetch-site", "cross-site")], false),
            (&[("origin", "http://127.0.0.1:8081")], false),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in fields {
                map.append(*name, value.parse().unwrap());
            }
            assert_eq!(is_same_origin(&map), same, "{fields:?}");
        }
    }

    #[test]
    fn a_token_that_is_set_is_always_needed_and_without_one_only_this_machine_may_change() {
        let token = "0123456789abcdef";
        let right = headers(&[("authorization", "Bearer 0123456789abcdef")]);
        for local in [true, false] {
            assert_eq!(may_change(&HeaderMap::new(), Some(token), local), Err(Refusal::NoToken));
            assert_eq!(may_change(&right, Some(token), local), Ok(()));
            assert_eq!(may_change(&headers(&[("authorization", "bearer 0123456789abcdef ")]), Some(token), local), Ok(()));
            for wrong in ["Bearer 0123456789abcdeF", "Bearer 0123456789abcde", "Bearer ", "Bearer 0123456789abcdef0"] {
                assert_eq!(may_change(&headers(&[("authorization", wrong)]), Some(token), local), Err(Refusal::WrongToken), "{wrong}");
            }
            for none in ["0123456789abcdef", "Basic 0123456789abcdef", "Bearer"] {
                assert_eq!(may_change(&headers(&[("authorization", none)]), Some(token), local), Err(Refusal::NoToken), "{none}");
            }
        }
        assert_eq!(may_change(&right, None, false), Err(Refusal::Unguarded));
        assert_eq!(may_change(&HeaderMap::new(), None, true), Ok(()));
    }

    #[test]
    fn two_tokens_are_no_token() {
        let mut both = headers(&[("authorization", "Bearer 0123456789abcdef")]);
        both.append(AUTHORIZATION, "Bearer x".parse().unwrap());
        assert_eq!(may_change(&both, Some("0123456789abcdef"), true), Err(Refusal::NoToken));
    }
}
