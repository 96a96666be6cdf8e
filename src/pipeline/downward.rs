//! The reply's head as it goes down: what belongs to the other hop is left out, and what could be read in two ways is
//! refused (RFC 9112 §6.3). One look at the fields; only where some are to be left out, the rest is moved into a new map, with
//! room for what is added behind.

use std::fmt;

use http::{HeaderName, HeaderValue, Response, header::CONTENT_LENGTH};

use super::{
    fields::{self, Framing, Nominated, X_REQUEST_ID},
    respond, standing,
};
use crate::types::fields::retain_with_room;

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
    let (mut framing, mut nominated, mut id) = (Framing::default(), Nominated::default(), None);
    let goes_down = |name: &HeaderName| fields::goes_down(name) && (with_rate_limits || !fields::is_rate_limit(name));
    let mut all_go_down = true;
    for (name, value) in reply.headers() {
        all_go_down &= match name.as_str() {
            // Repeated equal lengths become one.
            "content-length" => framing.length(value).map_err(Ambiguous)?,
            "transfer-encoding" => framing.coding(value).map(|()| false).map_err(Ambiguous)?,
            "connection" => {
                nominated.add(value);
                false
            }
            "x-request-id" => {
                id = id.or(Some(value));
                true
            }
            _ => goes_down(name),
        };
    }
    framing.check().map_err(Ambiguous)?;
    let id = id.filter(|_| !nominated.contains(&X_REQUEST_ID)).cloned();
    if !all_go_down {
        // Where the provider's are left out, the caller's own stand in their place.
        let room = respond::ADDED + if with_rate_limits { 0 } else { standing::FIELDS };
        let mut lengths = 0..1;
        let headers = std::mem::take(reply.headers_mut());
        *reply.headers_mut() = retain_with_room(headers, room, |name| {
            goes_down(name) && !nominated.contains(name) && (*name != CONTENT_LENGTH || lengths.next().is_some())
        });
    }
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
