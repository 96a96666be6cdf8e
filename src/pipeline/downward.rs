//! The reply's head as it goes down: what belongs to the other hop is left out, and what could be read in two ways is
//! refused (RFC 9112 §6.3). One pass over the fields, into a map with room for what is added behind.

use std::fmt;

use http::{
    HeaderMap, HeaderName, HeaderValue, Response,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};

use super::{
    fields::{self, Framing, Nominated, X_REQUEST_ID},
    respond, standing,
};
use crate::types::fields::retain;

/// A reply that is HTTP and yet can't be passed on.
#[derive(Debug)]
pub struct Ambiguous(pub &'static str);

impl fmt::Display for Ambiguous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Ambiguous {}

/// Makes the reply's head ready to go down, with the provider's rate limits or without. Returns the id that the provider gave the
/// request, if it gave one.
///
/// # Errors
///
/// [`Ambiguous`] if two readers could take it for two replies.
pub fn adapt<B>(reply: &mut Response<B>, with_rate_limits: bool) -> Result<Option<HeaderValue>, Ambiguous> {
    if reply.status().is_informational() {
        return Err(Ambiguous("an upgrade that nobody asked for"));
    }
    let incoming = std::mem::take(reply.headers_mut());
    // Where the provider's are left out, the caller's own stand in their place.
    let room = respond::ADDED + if with_rate_limits { 0 } else { standing::FIELDS };
    let mut kept = HeaderMap::with_capacity(incoming.len() + room);
    let (mut framing, mut nominated, mut id) = (Framing::default(), Nominated::default(), None);
    let mut current: Option<HeaderName> = None;
    for (name, value) in incoming {
        // A name that repeats comes once, before its first value.
        current = name.or(current);
        let Some(name) = &current else { continue };
        if *name == CONTENT_LENGTH {
            // Repeated equal lengths become one.
            if framing.length(&value).map_err(Ambiguous)? {
                kept.append(name.clone(), value);
            }
        } else if *name == TRANSFER_ENCODING {
            framing.coding(&value).map_err(Ambiguous)?;
        } else if *name == http::header::CONNECTION {
            nominated.add(&value);
        } else if fields::goes_down(name) && (with_rate_limits || !fields::is_rate_limit(name)) {
            if id.is_none() && *name == X_REQUEST_ID {
                id = Some(value.clone());
            }
            kept.append(name.clone(), value);
        }
    }
    framing.check().map_err(Ambiguous)?;
    if !nominated.is_empty() {
        kept = retain(kept, |name| !nominated.contains(name));
        id = id.filter(|_| !nominated.contains(&X_REQUEST_ID));
    }
    *reply.headers_mut() = kept;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names that go down of a head, and the id in it.
    fn adapted(fields: &[(&'static str, &'static str)]) -> Result<(Vec<String>, Option<String>), &'static str> {
        let mut reply = Response::new(());
        for (name, value) in fields {
            reply.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        let id = adapt(&mut reply, true).map_err(|ambiguous| ambiguous.0)?;
        let kept = reply.headers().iter().map(|(name, _)| name.as_str().to_owned()).collect();
        Ok((kept, id.map(|id| id.to_str().unwrap().to_owned())))
    }

    #[test]
    fn what_is_the_clients_keeps_its_order_and_the_rest_is_left_out() {
        let (kept, id) = adapted(&[
            ("x-first", "1"),
            ("connection", "keep-alive, X-Hop"),
            ("set-cookie", "a"),
            ("x-hop", "1"),
            ("content-length", "5"),
            ("keep-alive", "timeout=5"),
            ("set-cookie", "b"),
            ("x-request-id", "req_1"),
            ("content-length", "5"),
            ("x-sidegate-key", "forged"),
            ("upgrade", "h2c"),
            ("x-last", "1"),
        ])
        .unwrap();
        assert_eq!(kept, ["x-first", "set-cookie", "set-cookie", "content-length", "x-request-id", "x-last"]);
        assert_eq!(id.as_deref(), Some("req_1"));
    }

    #[test]
    fn an_id_that_is_for_this_hop_only_is_none() {
        assert_eq!(adapted(&[("x-request-id", "req_1"), ("connection", "x-request-id")]), Ok((Vec::new(), None)));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for fields in [
            &[("content-length", "5"), ("content-length", "6")][..],
            &[("content-length", "x")],
            &[("content-length", "5"), ("transfer-encoding", "chunked")],
            &[("transfer-encoding", "chunked"), ("content-length", "5")],
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            &[("transfer-encoding", "gzip")],
        ] {
            assert!(adapted(fields).is_err(), "{fields:?}");
        }
    }
}
