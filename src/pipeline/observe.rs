//! Beside step 9: what a reply says of its usage, read from the frames that go down.
//!
//! Bytes first: a frame is passed on as it came, whatever is made of it here. An observer can't fail, only learn nothing;
//! what it holds of a reply is bounded. Replies that can't tell any usage have none.

pub(super) mod encoded;
pub mod learner;

use bytes::Bytes;
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};

use self::encoded::{Coding, Decoder};

use crate::{
    provider::{
        sse::Splitter,
        usage::{Meter, Produced},
    },
    types::{RequestFormat, Usage},
};

/// How much of the end of a JSON body is held, in bytes. Providers tell usage last, and what may follow it, such as the
/// metadata of a response (16 pairs of at most 576 characters), is shorter.
pub const LONGEST_END: usize = 64 << 10;

/// What a body is, by its `Content-Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// Events as they come.
    Events,
    /// One JSON value.
    Json,
    /// Anything else.
    Other,
}

impl Media {
    /// The media type of a reply (RFC 9110 §8.3.1); parameters make no difference.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(CONTENT_TYPE) else { return Self::Other };
        let is = |media: &str| {
            let (name, rest) = value.as_bytes().split_at_checked(media.len()).unwrap_or_default();
            name.eq_ignore_ascii_case(media.as_bytes()) && matches!(rest.first(), None | Some(b';' | b' ' | b'\t'))
        };
        if is("application/json") {
            Self::Json
        } else if is("text/event-stream") {
            Self::Events
        } else {
            Self::Other
        }
    }
}

/// What reads one reply.
#[derive(Debug)]
pub struct Observer {
    meter: Meter,
    /// Counts what a stream says, where that is of use before it ends.
    produced: Option<Produced>,
    reading: Reading,
}

#[derive(Debug)]
enum Reading {
    Events(Splitter),
    Body(Ending),
    Encoded(Box<Decoder>),
}

impl Observer {
    /// For a reply with this head, if it can be read. What a stream says is counted if it `counts`.
    #[must_use]
    pub fn of(media: Media, headers: &HeaderMap, format: RequestFormat, counts: bool) -> Option<Box<Self>> {
        let observer = Self::plain(media, format, counts)?;
        match headers.get(CONTENT_ENCODING) {
            None => Some(observer),
            Some(coding) => {
                let reading = Reading::Encoded(Box::new(Decoder::new(Coding::of(coding)?, observer)));
                Some(Box::new(Self { meter: Meter::new(format), produced: None, reading }))
            }
        }
    }

    fn plain(media: Media, format: RequestFormat, counts: bool) -> Option<Box<Self>> {
        let reading = match media {
            Media::Events => Reading::Events(Splitter::default()),
            Media::Json => Reading::Body(Ending::default()),
            Media::Other => return None,
        };
        let produced = (counts && media == Media::Events).then(|| Produced::new(format));
        Some(Box::new(Self { meter: Meter::new(format), produced, reading }))
    }

    /// The next bytes of the body.
    #[inline]
    pub fn frame(&mut self, data: &Bytes) {
        match &mut self.reading {
            // Nearly every frame is one whole event of a few words, and has been dealt with here.
            Reading::Events(splitter) if splitter.is_between_events() && ends_an_event(data) && !self.meter.is_named_in(data) => {
                if let Some(produced) = &mut self.produced {
                    produced.events(data);
                }
            }
            Reading::Body(ending) if ending.is_empty() => ending.only(data),
            _ => self.bytes(data),
        }
    }

    fn bytes(&mut self, data: &[u8]) {
        match &mut self.reading {
            Reading::Events(splitter) => splitter.push(data, |event| {
                self.meter.event(event);
                if let Some(produced) = &mut self.produced {
                    produced.events(event);
                }
            }),
            Reading::Body(ending) => ending.push(data),
            Reading::Encoded(decoder) => decoder.push(data),
        }
    }

    /// Tokens that a stream has said until now, about; `None` if that is not counted.
    #[must_use]
    #[inline]
    pub fn produced(&self) -> Option<u64> {
        match &self.reading {
            Reading::Encoded(decoder) => decoder.produced(),
            Reading::Events(_) | Reading::Body(_) => self.produced.as_ref().map(Produced::tokens),
        }
    }

    /// The end is here: what was not looked at yet is.
    pub fn flush(&mut self) {
        if let Reading::Encoded(decoder) = &mut self.reading {
            decoder.flush();
        }
    }

    /// What was told until now. The usage of a JSON body is known once the body is `whole`.
    #[must_use]
    pub fn usage(mut self, whole: bool) -> Usage {
        match self.reading {
            Reading::Body(ending) if whole => self.meter.body(ending.bytes()),
            Reading::Encoded(decoder) => return decoder.usage(whole),
            Reading::Body(_) | Reading::Events(_) => {}
        }
        self.meter.usage()
    }
}

/// Whether the last event of `data` ends with it, as far as one look tells.
#[inline]
fn ends_an_event(data: &[u8]) -> bool {
    data.ends_with(b"\n\n") || data.ends_with(b"\r\n\r\n")
}

/// The last part of a body. A body of one frame is not copied.
#[derive(Debug, Default)]
struct Ending {
    only: Bytes,
    joined: Vec<u8>,
}

impl Ending {
    fn is_empty(&self) -> bool {
        self.only.is_empty() && self.joined.is_empty()
    }

    /// Takes the first frame, which may stay the only one.
    fn only(&mut self, data: &Bytes) {
        self.only = data.slice(data.len().saturating_sub(LONGEST_END)..);
    }

    fn push(&mut self, data: &[u8]) {
        if self.joined.is_empty() {
            self.joined.extend_from_slice(&std::mem::take(&mut self.only));
        }
        let data = &data[data.len().saturating_sub(LONGEST_END)..];
        if self.joined.len() + data.len() > 2 * LONGEST_END {
            // Now and then, so that a byte is moved about once.
            self.joined.drain(..self.joined.len() + data.len() - LONGEST_END);
        }
        self.joined.extend_from_slice(data);
    }

    fn bytes(&self) -> &[u8] {
        let bytes = if self.joined.is_empty() { &self.only } else { &self.joined[..] };
        &bytes[bytes.len().saturating_sub(LONGEST_END)..]
    }
}

#[cfg(test)]
mod tests;
