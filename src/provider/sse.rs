//! Server-sent events, cut out of a stream of bytes wherever those are split (WHATWG HTML §9.2.5 and §9.2.6).
//!
//! It looks at bytes that are on their way and never fails: what is too long is stepped over, what never ends is
//! never told of. Where whole events come at once, nothing is copied.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// The longest event that is told of, in bytes. A longer one is stepped over; no more than this is held of any.
pub const LONGEST: usize = 64 << 10;

/// U+FEFF in UTF-8: one may stand before the first event, and says nothing.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Where events end: behind a blank line, wherever the bytes are split.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Whether something stands in the line at hand.
    in_line: bool,
    /// Whether the last byte was a carriage return, so that a line feed behind it ends no other line.
    after_return: bool,
}

impl Ends {
    /// Whether the next byte begins an event, if none is under way.
    pub(super) fn is_between(&self) -> bool {
        !self.in_line && !self.after_return
    }

    /// Begins with the next bytes: how many of them still belong to the line before, one or none.
    pub(super) fn begin(&mut self, bytes: &[u8]) -> usize {
        let belongs = self.after_return && bytes.first() == Some(&b'\n');
        self.after_return &= bytes.is_empty();
        belongs.into()
    }

    /// The next end from `at` on: where its blank line begins, and what comes behind it. `at` moves on behind what was looked at.
    pub(super) fn next(&mut self, bytes: &[u8], at: &mut usize) -> Option<(usize, usize)> {
        while let Some(found) = memchr2(b'\n', b'\r', &bytes[*at..]) {
            let end = *at + found;
            let blank = found == 0 && !self.in_line;
            self.in_line = false;
            *at = end + 1;
            if bytes[end] == b'\r' {
                match bytes.get(*at) {
                    Some(b'\n') => *at += 1,
                    Some(_) => {}
                    None => self.after_return = true,
                }
            }
            if blank {
                return Some((end, *at));
            }
        }
        self.in_line |= *at < bytes.len();
        None
    }
}

/// Tells of events as they end.
#[derive(Debug, Default)]
pub struct Splitter {
    /// What has come of an event whose end has not.
    held: Vec<u8>,
    /// Whether the event at hand is too long.
    too_long: bool,
    ends: Ends,
    /// Whether an event has ended before.
    begun: bool,
    /// Whether one was too long.
    skipped: bool,
    /// Whether nothing is left of an event that has not ended.
    between: bool,
}

impl Splitter {
    /// Whether nothing is left of an event that has not ended, so that what comes next begins one.
    #[must_use]
    pub fn is_between_events(&self) -> bool {
        self.between
    }

    /// Whether an event was stepped over, since it was longer than [`LONGEST`].
    #[must_use]
    pub fn has_skipped(&self) -> bool {
        self.skipped
    }

    /// Takes the next bytes, and tells each event that ends in them: its lines, without the blank one.
    pub fn push(&mut self, bytes: &[u8], mut event: impl FnMut(&[u8])) {
        let mut at = self.ends.begin(bytes);
        // Behind a blank line it belongs to no event.
        let mut start = if self.held.is_empty() { at } else { 0 };
        while let Some((blank, behind)) = self.ends.next(bytes, &mut at) {
            self.end(&bytes[start..blank], &mut event);
            start = behind;
        }
        self.hold(&bytes[start..]);
        self.between = self.begun && self.held.is_empty() && self.ends.is_between() && !self.too_long;
    }

    fn end(&mut self, rest: &[u8], event: &mut impl FnMut(&[u8])) {
        let whole = match self.held.is_empty() {
            true if self.too_long || rest.len() > LONGEST => None,
            true => Some(rest),
            false => self.hold(rest).then_some(&*self.held),
        };
        self.skipped |= whole.is_none();
        let first = !std::mem::replace(&mut self.begun, true);
        if let Some(mut whole) = whole {
            if first {
                whole = whole.strip_prefix(BYTE_ORDER_MARK).unwrap_or(whole);
            }
            if !whole.is_empty() {
                event(whole);
            }
        }
        self.held.clear();
        self.too_long = false;
    }

    /// Keeps what has come of an event; whether all of it could be kept.
    fn hold(&mut self, part: &[u8]) -> bool {
        self.too_long |= self.held.len() + part.len() > LONGEST;
        if self.too_long {
            self.held = Vec::new();
        } else {
            self.held.extend_from_slice(part);
        }
        !self.too_long
    }
}

/// The fields of an event, as they stand there: names and values. A comment has no name.
fn fields(event: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = event;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        let skipped = usize::from(rest[end..].starts_with(b"\r\n"));
        rest = rest.get(end + 1 + skipped..).unwrap_or_default();
        let (name, value) = match memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        Some((name, value.strip_prefix(b" ").unwrap_or(value)))
    })
}

/// The name of an event: what its last `event` field says. `None` if it has none.
#[must_use]
pub fn name(event: &[u8]) -> Option<&[u8]> {
    fields(event).filter(|(name, _)| *name == b"event").map(|(_, value)| value).last()
}

/// The data of an event: what its `data` fields say, joined by line feeds. `None` if it has none.
#[must_use]
pub fn data(event: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut data: Option<Cow<'_, [u8]>> = None;
    for (_, value) in fields(event).filter(|(name, _)| *name == b"data") {
        match &mut data {
            None => data = Some(Cow::Borrowed(value)),
            Some(data) => {
                let data = data.to_mut();
                data.push(b'\n');
                data.extend_from_slice(value);
            }
        }
    }
    data
}

#[cfg(test)]
mod tests;
