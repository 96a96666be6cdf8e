//! The events of a streamed reply, wherever the network cuts them: how many tokens, and whether it came to its end.

#[cfg(test)]
mod tests;

use memchr::{memchr, memmem::Finder};
use serde::Deserialize;

use super::answer::Usage;

/// Of a line that was cut, so much is kept; no event that is looked into is longer.
const LONGEST_LINE: usize = 256 << 10;

/// What has been seen of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Events that bring text, or arguments of a call.
    pub(super) tokens: u64,
    /// The last count that the provider gave.
    pub(super) usage: Option<Usage>,
    /// Whether a last event has come: `[DONE]`, or one with a `finish_reason`.
    pub(super) finished: bool,
    /// An event that says that it went wrong.
    pub(super) error: Option<Vec<u8>>,
}

/// Reads events line by line. No event costs an allocation, unless it is cut or the last one.
pub(super) struct Scanner {
    pub(super) seen: Seen,
    /// The line that has begun in an earlier piece.
    begun: Vec<u8>,
    /// Whether the event that is being read is called `error`.
    called_error: bool,
    words: Words,
}

/// What events are searched for.
struct Words {
    content: Finder<'static>,
    arguments: Finder<'static>,
    finish_reason: Finder<'static>,
    usage: Finder<'static>,
}

impl Scanner {
    pub(super) fn new() -> Self {
        let words = Words {
            // Without its first quotation mark: `reasoning_content` is a token as well.
            content: Finder::new(b"content\""),
            arguments: Finder::new(b"\"arguments\""),
            finish_reason: Finder::new(b"\"finish_reason\""),
            usage: Finder::new(b"\"usage\""),
        };
        Self { seen: Seen::default(), begun: Vec::new(), called_error: false, words }
    }

    /// Makes it ready for the next stream; the memory stays.
    pub(super) fn reset(&mut self) {
        self.seen = Seen::default();
        self.begun.clear();
        self.called_error = false;
    }

    /// The next piece of the stream.
    pub(super) fn take(&mut self, mut piece: &[u8]) {
        while let Some(end) = memchr(b'\n', piece) {
            let (line, rest) = (&piece[..end], &piece[end + 1..]);
            if self.begun.is_empty() {
                self.line(line);
            } else {
                self.keep(line);
                let mut begun = std::mem::take(&mut self.begun);
                self.line(&begun);
                begun.clear();
                self.begun = begun;
            }
            piece = rest;
        }
        self.keep(piece);
    }

    fn keep(&mut self, part: &[u8]) {
        let room = LONGEST_LINE.saturating_sub(self.begun.len());
        self.begun.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            self.called_error = false;
        } else if let Some(payload) = line.strip_prefix(b"data:") {
            self.event(payload.trim_ascii_start());
        } else if let Some(name) = line.strip_prefix(b"event:") {
            self.called_error = name.trim_ascii() == b"error";
        }
    }

    fn event(&mut self, payload: &[u8]) {
        if payload == b"[DONE]" {
            self.seen.finished = true;
            return;
        }
        if self.called_error || is_error(payload) {
            self.seen.error.get_or_insert_with(|| payload.to_vec());
            return;
        }
        // Not at its first place alone: some send an empty `content` beside the `reasoning_content`.
        let token = [&self.words.content, &self.words.arguments].into_iter().any(|name| {
            name.find_iter(payload).any(|at| {
                let text = value_behind(&payload[at + name.needle().len()..]).and_then(|value| value.strip_prefix(b"\""));
                text.is_some_and(|text| !text.starts_with(b"\""))
            })
        });
        self.seen.tokens += u64::from(token);
        self.seen.finished |= value_of(&self.words.finish_reason, payload).is_some_and(|value| value.starts_with(b"\""));
        // Most events carry `null`: only the one that counts is parsed.
        if value_of(&self.words.usage, payload).is_some_and(|value| value.starts_with(b"{"))
            && let Ok(Counted { usage: Some(usage) }) = serde_json::from_slice(payload)
        {
            self.seen.usage = Some(usage);
        }
    }
}

#[derive(Deserialize)]
struct Counted {
    usage: Option<Usage>,
}

/// What stands behind a name and its colon, at its first place.
fn value_of<'a>(name: &Finder<'_>, json: &'a [u8]) -> Option<&'a [u8]> {
    value_behind(&json[name.find(json)? + name.needle().len()..])
}

fn value_behind(name: &[u8]) -> Option<&[u8]> {
    name.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start)
}

/// Whether an object begins with its error.
fn is_error(json: &[u8]) -> bool {
    let words: [&[u8]; 3] = [b"{", b"\"error\"", b":"];
    let value = words.iter().try_fold(json, |rest, word| rest.strip_prefix(*word).map(<[u8]>::trim_ascii_start));
    value.is_some_and(|value| !value.starts_with(b"null"))
}
