//! WebSockets (RFC 6455): what a request for one looks like, and what a provider's 101 must look like.
//!
//! A tunnel is opened only behind a 101 that was asked for. Whoever opens it before lets a client send requests to the
//! provider that nobody has looked at. No other protocol is upgraded to: such a field is ignored, as RFC 9110 §7.8 allows.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
    request::Parts,
};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::fields;
use crate::upstream::Upload;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// Whether the request asks for a WebSocket. Takes out hyper's own word for it, which is meant for this hop.
pub fn asked(head: &mut Parts, upload: &Upload) -> bool {
    // hyper puts it beside every head of HTTP/1.1 that has an `Upgrade` field, and beside no other but CONNECT.
    head.extensions.remove::<OnUpgrade>().is_some()
        && head.method == Method::GET
        && upload.length() == Some(0)
        && lists(&head.headers, &CONNECTION, b"upgrade")
        && lists(&head.headers, &UPGRADE, b"websocket")
}

/// Whether one of the field's values, which are lists, has this member.
fn lists(headers: &HeaderMap, name: &HeaderName, member: &[u8]) -> bool {
    let mut members = headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    members.any(|found| found.trim_ascii().eq_ignore_ascii_case(member))
}

/// What was asked, to hold the provider's answer against.
#[derive(Debug)]
pub struct Asked {
    key: Option<HeaderValue>,
    offers_subprotocols: bool,
}

impl Asked {
    /// Asks for a WebSocket with this head.
    #[must_use]
    pub fn with(headers: &mut HeaderMap) -> Self {
        switch(headers);
        Self { key: headers.get(SEC_WEBSOCKET_KEY).cloned(), offers_subprotocols: headers.contains_key(SEC_WEBSOCKET_PROTOCOL) }
    }

    /// Whether a 101 answers it (RFC 6455 §4.1).
    ///
    /// # Errors
    ///
    /// What is wrong with it: then the provider speaks of something else, and no tunnel may be opened.
    pub fn answered_by(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        if !lists(headers, &CONNECTION, b"upgrade") {
            return Err("a 101 whose connection is not upgraded");
        }
        let mut protocols = headers.get_all(UPGRADE).iter();
        match (protocols.next(), protocols.next()) {
            (Some(value), None) if value.as_bytes().eq_ignore_ascii_case(b"websocket") => {}
            _ => return Err("a 101 to another protocol than was asked for"),
        }
        let accepted = headers.get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
        if self.key.as_ref().is_some_and(|key| accepted != Some(derive_accept_key(key.as_bytes()).as_bytes())) {
            return Err("a 101 that answers another key");
        }
        if !self.offers_subprotocols && headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
            return Err("a 101 with a subprotocol that was not offered");
        }
        Ok(())
    }
}

/// Makes a head, whose fields of the other hop are gone, one that switches to a WebSocket on this hop.
pub fn switch(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, WEBSOCKET);
}

/// Whether a field of a 101 goes down. It has no body, and so no length (RFC 9110 §8.6).
#[must_use]
pub fn goes_down(name: &HeaderName) -> bool {
    fields::goes_down(name) && !fields::is_framing(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_a_101_that_answers_the_question_counts() {
        // The example of RFC 6455 §1.3.
        const ACCEPT: (&str, &str) = ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let asked = Asked::with(&mut headers(&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")]));
        for (fields, fine) in [
            (vec![("connection", "Upgrade"), ("upgrade", "websocket"), ACCEPT], true),
            (vec![("connection", "keep-alive, UPGRADE"), ("upgrade", "WebSocket"), ACCEPT], true),
            (vec![("upgrade", "websocket"), ACCEPT], false),
            (vec![("connection", "Upgrade"), ACCEPT], false),
            (vec![("connection", "Upgrade"), ("upgrade", "h2c"), ACCEPT], false),
            (vec![("connection", "Upgrade"), ("upgrade", "websocket, h2c"), ACCEPT], false),
            (vec![("connection", "Upgrade"), ("upgrade", "websocket")], false),
            (vec![("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", "x")], false),
            (vec![("connection", "Upgrade"), ("upgrade", "websocket"), ACCEPT, ("sec-websocket-protocol", "realtime")], false),
        ] {
            assert_eq!(asked.answered_by(&headers(&fields)).is_ok(), fine, "{fields:?}");
        }
    }

    #[test]
    fn without_a_key_there_is_nothing_to_accept() {
        let asked = Asked::with(&mut headers(&[("sec-websocket-protocol", "realtime")]));
        let fields = headers(&[("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-protocol", "realtime")]);
        assert_eq!(asked.answered_by(&fields), Ok(()));
    }
}
