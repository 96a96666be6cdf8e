//! A reply over HTTP/1.1, read as its bytes come: head, framing, and what the body says.
//!
//! It is lenient where that costs no truth: the measure is of the reply, and not of how it is written.

#[cfg(test)]
mod tests;

use std::time::Instant;

use http::StatusCode;
use memchr::memmem;
use serde::Deserialize;

use super::{
    answer::{Answer, Failure, Kind, Usage},
    events::Scanner,
    framing::Framing,
};

/// A head that is longer is none.
const LONGEST_HEAD: usize = 64 << 10;

/// So much of a body that is no stream is kept; of a longer one, the usage is not known.
const LONGEST_BODY: usize = 4 << 20;

/// Reads one reply after another; its memory is used again.
pub(super) struct Reply {
    head: Vec<u8>,
    /// Nothing before the end of the head.
    begun: Option<Begun>,
    body: Vec<u8>,
    events: Scanner,
    first_token: Option<Instant>,
    heard: bool,
}

/// What a head says.
#[derive(Clone, Copy, Debug)]
struct Begun {
    status: StatusCode,
    framing: Framing,
    stream: bool,
    keep: bool,
}

impl Reply {
    pub(super) fn new() -> Self {
        Self { head: Vec::new(), begun: None, body: Vec::new(), events: Scanner::new(), first_token: None, heard: false }
    }

    /// Makes it ready for the next reply.
    pub(super) fn reset(&mut self) {
        self.head.clear();
        self.begun = None;
        self.body.clear();
        self.events.reset();
        self.first_token = None;
        self.heard = false;
    }

    /// Takes the bytes that were read at `now`; true with the last one of the reply.
    pub(super) fn take(&mut self, bytes: &[u8], now: Instant) -> Result<bool, Failure> {
        self.heard |= !bytes.is_empty();
        let Some(begun) = self.begun else { return self.take_head(bytes, now) };
        self.take_body(begun, bytes, now)
    }

    fn take_head(&mut self, bytes: &[u8], now: Instant) -> Result<bool, Failure> {
        // The end may stand across the two pieces.
        let from = self.head.len().saturating_sub(3);
        self.head.extend_from_slice(bytes);
        let Some(end) = memmem::find(&self.head[from..], b"\r\n\r\n") else {
            return if self.head.len() > LONGEST_HEAD { Err(Failure::new(Kind::Malformed, "a head without an end")) } else { Ok(false) };
        };
        let end = from + end + 4;
        let begun = parse_head(&self.head[..end]).ok_or_else(|| Failure::new(Kind::Malformed, "not a head of HTTP/1.1"))?;
        if begun.status.is_informational() {
            let rest = self.head.split_off(end);
            self.head.clear();
            return if rest.is_empty() { Ok(false) } else { self.take_head(&rest, now) };
        }
        self.begun = Some(begun);
        // What came behind the head is the tail of this piece: all before it has been looked at.
        let behind = self.head.len() - end;
        self.take_body(begun, &bytes[bytes.len() - behind..], now)
    }

    fn take_body(&mut self, mut begun: Begun, mut bytes: &[u8], now: Instant) -> Result<bool, Failure> {
        loop {
            let (part, rest) = begun.framing.next(bytes).ok_or_else(|| Failure::new(Kind::Malformed, "a chunk without a size"))?;
            if begun.stream {
                self.events.take(part);
            } else {
                let room = LONGEST_BODY - self.body.len();
                self.body.extend_from_slice(&part[..part.len().min(room)]);
            }
            bytes = rest;
            if bytes.is_empty() || begun.framing.is_over() {
                break;
            }
        }
        if self.first_token.is_none() && self.events.seen.tokens > 0 {
            self.first_token = Some(now);
        }
        // What nobody asked for would be taken for the head of the next reply.
        begun.keep &= bytes.is_empty();
        self.begun = Some(begun);
        Ok(begun.framing.is_over())
    }

    /// Whether the connection can carry another request, once the reply is over.
    pub(super) fn keeps_the_connection(&self) -> bool {
        self.begun.is_some_and(|begun| begun.keep)
    }

    /// The connection was closed, or broke: that ends a reply without a length, and cuts any other.
    pub(super) fn closed(&mut self) -> Result<Answer, Failure> {
        match self.begun {
            None if !self.heard => Err(Kind::NoReply.into()),
            Some(begun) if begun.framing.ends_with_the_connection() => self.answer(),
            _ => Err(Kind::Truncated.into()),
        }
    }

    /// What the reply came to, once it is over.
    pub(super) fn answer(&mut self) -> Result<Answer, Failure> {
        let Some(begun) = self.begun else { return Err(Kind::NoReply.into()) };
        if !begun.status.is_success() {
            return Err(Failure::new(Kind::Status(begun.status), message(&self.body)));
        }
        if !begun.stream {
            return self.whole();
        }
        let seen = &mut self.events.seen;
        if let Some(error) = seen.error.take() {
            return Err(Failure::new(Kind::ErrorEvent, message(&error)));
        }
        if !seen.finished {
            return Err(Failure::new(Kind::Truncated, "the stream has no last event"));
        }
        Ok(Answer { first_token: self.first_token, usage: seen.usage, events: seen.tokens })
    }

    fn whole(&self) -> Result<Answer, Failure> {
        if self.body.len() >= LONGEST_BODY {
            return Ok(Answer { first_token: None, usage: None, events: 0 });
        }
        let Ok(whole) = serde_json::from_slice::<Whole>(&self.body) else {
            return Err(Failure::new(Kind::Malformed, "not a JSON object"));
        };
        match whole.error {
            Some(_) => Err(Failure::new(Kind::ErrorEvent, message(&self.body))),
            None => Ok(Answer { first_token: None, usage: whole.usage, events: 0 }),
        }
    }
}

#[derive(Deserialize)]
struct Whole {
    error: Option<serde::de::IgnoredAny>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Refused {
    error: Said,
}

/// `{"message": …}` as OpenAI says it, or a bare text as others do.
#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Message { message: String },
    Text(String),
}

/// What an error's body says, in its own words.
fn message(body: &[u8]) -> String {
    match serde_json::from_slice(body) {
        Ok(Refused { error: Said::Message { message } | Said::Text(message) }) => message,
        Err(_) => String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned(),
    }
}

fn parse_head(head: &[u8]) -> Option<Begun> {
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let line = lines.next()?;
    let status = StatusCode::from_bytes(line.strip_prefix(b"HTTP/1.")?.get(2..5)?).ok()?;
    let (mut length, mut chunked, mut stream) = (None, false, false);
    let mut keep = line.starts_with(b"HTTP/1.1");
    for line in lines.filter(|line| !line.is_empty()) {
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            length = Some(std::str::from_utf8(value).ok()?.parse().ok()?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            chunked = value.to_ascii_lowercase().ends_with(b"chunked");
        } else if name.eq_ignore_ascii_case(b"connection") {
            let value = value.to_ascii_lowercase();
            keep = memmem::find(&value, b"close").is_none() && (keep || memmem::find(&value, b"keep-alive").is_some());
        } else if name.eq_ignore_ascii_case(b"content-type") {
            stream = value.to_ascii_lowercase().starts_with(b"text/event-stream");
        }
    }
    // RFC 9112 §6.3: what has no body, chunks before a length, and else the connection's end.
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let framing = match (chunked, length) {
        _ if bodiless => Framing::of_length(0),
        (true, _) => Framing::chunked(),
        (false, Some(length)) => Framing::of_length(length),
        (false, None) => Framing::until_close(),
    };
    keep &= !framing.ends_with_the_connection();
    // An error's body is never a stream of events that counts.
    Some(Begun { status, framing, stream: stream && status.is_success(), keep })
}
