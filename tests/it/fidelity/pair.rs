//! A request and its reply as they stand in the corpus.
//!
//! A line `: name` begins a pair. `> ` is a line of the request's head and `>| ` a piece of its body, `< ` and
//! `<| ` the same for the reply. Bytes that do not show are escaped (`\r \n \t \0 \\ \xNN`), long ones are said
//! by `{repeat N TEXT}`, `{bytes FROM TO}` and `{fields N}`. A body may also be made by `>|chunk TEXT`,
//! `>|as-chunk SIZE-LINE BODY`, `>|chunked BYTES SIZE`, `>|last`, `>|trailer FIELD`, `>|end` and
//! `>|random BYTES`; `<|close` ends it by closing, `<|hang-up` closes behind it.
//!
//! What a pair does not say is usual: a GET, a small 200, a `Host`, a caller's credential, a `Content-Length`.

use std::fmt;

use super::text::{expand, noise};
use crate::support::{
    Script,
    wire::{Field, Head},
};

/// A request and the reply that the provider gives to it.
pub(crate) struct Pair {
    pub(crate) family: &'static str,
    pub(crate) name: String,
    pub(crate) request: Message,
    pub(crate) reply: Message,
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.family, self.name)
    }
}

impl Pair {
    /// All pairs of one file of the corpus.
    pub(crate) fn parse_all(family: &'static str, text: &str) -> Vec<Self> {
        let mut drafts: Vec<(String, Draft, Draft)> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let pair = drafts.last_mut();
            let understood = match (line.get(..2), pair) {
                (None, _) | (Some("# "), _) => Some(()),
                (Some(": "), _) => {
                    drafts.push((line[2..].to_owned(), Draft::default(), Draft::default()));
                    Some(())
                }
                (Some("> "), Some((_, request, _))) => request.head_line(&line[2..]),
                (Some(">|"), Some((_, request, _))) => request.body_piece(&line[2..]),
                (Some("< "), Some((_, _, reply))) => reply.head_line(&line[2..]),
                (Some("<|"), Some((_, _, reply))) => reply.body_piece(&line[2..]),
                _ => None,
            };
            assert!(understood.is_some(), "{family}.pairs:{}: cannot be read: {line}", number + 1);
        }
        drafts.into_iter().map(|(name, request, reply)| Self { family, name, request: request.request(), reply: reply.reply() }).collect()
    }

    pub(crate) fn method(&self) -> String {
        let method = self.request.head.line.split(|byte| *byte == b' ').next().unwrap_or_default();
        String::from_utf8_lossy(method).into_owned()
    }

    pub(crate) fn target(&self) -> Vec<u8> {
        self.request.head.line.split(|byte| *byte == b' ').nth(1).unwrap_or_default().to_vec()
    }

    /// What the provider does for this pair.
    pub(crate) fn script(&self) -> Script {
        let script = Script::reply(self.reply.raw.clone());
        if self.reply.closes { script.close() } else { script }
    }
}

/// One side of a pair: its bytes, and what they mean.
pub(crate) struct Message {
    /// Head and body as they go over an HTTP/1 connection.
    pub(crate) raw: Vec<u8>,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<Field>,
    /// Whether the sender closes behind it.
    pub(crate) closes: bool,
}

#[derive(Default)]
struct Draft {
    head: Vec<Vec<u8>>,
    raw: Vec<u8>,
    body: Vec<u8>,
    trailers: Vec<Vec<u8>>,
    closes: bool,
    /// The body ends where the connection does.
    unframed: bool,
}

impl Draft {
    fn head_line(&mut self, text: &str) -> Option<()> {
        self.head.push(expand(text)?);
        Some(())
    }

    fn body_piece(&mut self, piece: &str) -> Option<()> {
        let (word, rest) = piece.split_once(' ').unwrap_or((piece, ""));
        match word {
            "" => self.both(&expand(rest)?),
            "random" => self.both(&noise(rest.parse().ok()?)),
            "chunk" => self.chunk(&expand(rest)?),
            "chunked" => {
                let (length, size) = rest.split_once(' ')?;
                noise(length.parse().ok()?).chunks(size.parse().ok()?).for_each(|part| self.chunk(part));
            }
            "as-chunk" => {
                let (size_line, body) = rest.rsplit_once(' ')?;
                let body = expand(body)?;
                self.raw.extend_from_slice(format!("{size_line}\r\n").as_bytes());
                self.raw.extend_from_slice(&body);
                self.body.extend_from_slice(body.strip_suffix(b"\r\n")?);
            }
            "last" => self.raw.extend_from_slice(b"0\r\n"),
            "trailer" => {
                let field = expand(rest)?;
                self.raw.extend_from_slice(&[&field, &b"\r\n"[..]].concat());
                self.trailers.push(field);
            }
            "end" => self.raw.extend_from_slice(b"\r\n"),
            "close" => (self.closes, self.unframed) = (true, true),
            "hang-up" => self.closes = true,
            _ => return None,
        }
        Some(())
    }

    fn both(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        self.body.extend_from_slice(bytes);
    }

    fn chunk(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        self.both(bytes);
        self.raw.extend_from_slice(b"\r\n");
    }

    fn request(mut self) -> Message {
        if self.head.is_empty() {
            self.head.push(b"GET /v1/models HTTP/1.1".to_vec());
        }
        self.head.insert(1, b"Host: sidegate.test".to_vec());
        self.head.insert(2, b"Authorization: Bearer sk-of-the-caller".to_vec());
        let needs_length = !self.raw.is_empty() && !self.is_framed();
        self.message(needs_length)
    }

    fn reply(mut self) -> Message {
        if self.head.is_empty() {
            self.head.extend([b"HTTP/1.1 200 OK".to_vec(), b"Content-Type: application/json".to_vec()]);
            self.both(br#"{"ok":true}"#);
        }
        let bodiless = matches!(Head { line: self.head[0].clone(), fields: Vec::new() }.status(), 204 | 304);
        let needs_length = !bodiless && !self.unframed && !self.is_framed();
        self.closes |= self.head.iter().any(|line| line.eq_ignore_ascii_case(b"connection: close"));
        self.message(needs_length)
    }

    fn is_framed(&self) -> bool {
        let is = |line: &[u8], name: &str| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()));
        self.head.iter().any(|line| is(line, "content-length:") || is(line, "transfer-encoding:"))
    }

    fn message(mut self, needs_length: bool) -> Message {
        if needs_length {
            self.head.push(format!("Content-Length: {}", self.body.len()).into_bytes());
        }
        let mut raw = self.head.join(&b"\r\n"[..]);
        raw.extend_from_slice(b"\r\n\r\n");
        let head = Head::parse(&raw);
        let trailers = Head::parse(&[b"", self.trailers.join(&b"\r\n"[..]).as_slice()].join(&b"\r\n"[..])).fields;
        let trailers = if self.trailers.is_empty() { Vec::new() } else { trailers };
        raw.extend_from_slice(&self.raw);
        Message { raw, head, body: self.body, trailers, closes: self.closes }
    }
}
