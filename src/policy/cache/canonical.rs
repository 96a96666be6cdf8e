//! A body as what it says, apart from how it is written.
//!
//! Blanks, escapes and, where it is known to mean nothing, the order of members make no difference. All else does: the order
//! inside schemas and arguments stands in the prompt that a model reads, and a model may write its answer in that order.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{
    bypass::Bypass,
    json::{DEEPEST, Text},
    question::{Asked, Member, Place},
    sink::{Sink, Word},
};

/// The most containers around an object whose members are sorted: as deep as messages with tool results with documents go. Each
/// of them reads what is in it once more, so this bounds the work.
const DEEPEST_SORTED: usize = 12;

/// Up to so many names are compared each with each.
const FEW: usize = 12;

/// Tells `sink` what `body` says.
///
/// # Errors
///
/// [`Bypass`] if it can be understood in two ways, or is not to be answered from a cache.
pub(super) fn tell(body: &[u8], asked: &mut Asked, sink: &mut Sink) -> Result<(), Bypass> {
    std::str::from_utf8(body).map_err(|_| Bypass::Unreadable)?;
    let mut text = Text::new(body);
    if text.peek()? != b'{' {
        return Err(Bypass::Unreadable);
    }
    let mut walk = Walk { text, asked, sink };
    walk.value(Place::Top, 0)?;
    walk.text.end()
}

struct Walk<'b, 'w> {
    text: Text<'b>,
    asked: &'w mut Asked,
    sink: &'w mut Sink,
}

/// A member of an object, before it is told.
struct Found<'b> {
    name: Cow<'b, [u8]>,
    /// Where its value starts.
    at: usize,
    value: &'b [u8],
}

impl<'b> Walk<'b, '_> {
    /// Tells the value that follows, which stands at `place` inside `depth` containers.
    fn value(&mut self, place: Place, depth: usize) -> Result<(), Bypass> {
        match self.text.peek()? {
            b'"' => {
                let text = self.text.string()?;
                self.asked.hears(place, text)?;
                self.sink.text(text);
            }
            b'[' => self.array(place, depth)?,
            b'{' if depth >= DEEPEST => return Err(Bypass::Deep),
            b'{' if place == Place::Anywhere => self.object(depth + 1)?,
            b'{' => self.sorted(place, depth + 1)?,
            b't' | b'f' | b'n' => {
                let word = match self.text.literal()? {
                    b't' => Word::True,
                    b'f' => Word::False,
                    _ => Word::Null,
                };
                self.sink.word(word);
            }
            _ => {
                let letters = self.text.number()?;
                self.asked.counts(place)?;
                self.sink.letters(letters);
            }
        }
        Ok(())
    }

    /// An array's order always counts. What is in it stands at its place.
    fn array(&mut self, place: Place, depth: usize) -> Result<(), Bypass> {
        self.text.take(b'[')?;
        if depth >= DEEPEST {
            return Err(Bypass::Deep);
        }
        self.sink.word(Word::Array);
        if !self.text.takes(b']')? {
            loop {
                self.value(place, depth + 1)?;
                if !self.text.goes_on(b']')? {
                    break;
                }
            }
        }
        self.sink.word(Word::ArrayEnd);
        Ok(())
    }

    /// An object whose order counts.
    fn object(&mut self, depth: usize) -> Result<(), Bypass> {
        self.text.take(b'{')?;
        self.sink.word(Word::Object);
        let mut names: SmallVec<[Cow<'b, [u8]>; FEW]> = SmallVec::new();
        if !self.text.takes(b'}')? {
            loop {
                let name = self.text.name()?;
                self.sink.text(name);
                names.push(name.bytes());
                self.value(Place::Anywhere, depth)?;
                if !self.text.goes_on(b'}')? {
                    break;
                }
            }
        }
        self.sink.word(Word::ObjectEnd);
        if is_repeated(&mut names) { Err(Bypass::Repeated) } else { Ok(()) }
    }

    /// An object whose order means nothing.
    fn sorted(&mut self, place: Place, depth: usize) -> Result<(), Bypass> {
        if depth > DEEPEST_SORTED {
            return Err(Bypass::Deep);
        }
        let mut members = self.members(depth)?;
        let end = self.text;
        members.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        if members.windows(2).any(|pair| pair[0].name == pair[1].name) {
            return Err(Bypass::Repeated);
        }
        self.sink.word(Word::Sorted);
        for found in &members {
            self.text = self.text.from(found.at);
            self.member(place, depth, found)?;
        }
        self.sink.word(Word::ObjectEnd);
        self.text = end;
        Ok(())
    }

    /// Those of the whole body check all that is in them, and leave nothing to check to those within.
    fn members(&mut self, depth: usize) -> Result<SmallVec<[Found<'b>; FEW]>, Bypass> {
        self.text.take(b'{')?;
        let mut members = SmallVec::new();
        if !self.text.takes(b'}')? {
            loop {
                let name = self.text.name()?.bytes();
                let at = self.text.place();
                if depth == 1 {
                    self.text.skip(depth)?;
                } else {
                    self.text.pass();
                }
                members.push(Found { name, at, value: self.text.since(at) });
                if !self.text.goes_on(b'}')? {
                    break;
                }
            }
        }
        Ok(members)
    }

    /// Tells a member of a sorted object, unless it makes no difference. That is read nevertheless.
    fn member(&mut self, place: Place, depth: usize, found: &Found<'b>) -> Result<(), Bypass> {
        let within = self.asked.meets(place, &Member { name: &found.name, value: found.value })?;
        let was_deaf = self.sink.is_deaf;
        self.sink.is_deaf |= within.is_none();
        self.sink.plain(&found.name);
        let told = if matches!(found.value.first(), Some(b'-' | b'0'..=b'9')) {
            self.sink.number(found.value);
            Ok(())
        } else {
            self.value(within.unwrap_or(Place::Anywhere), depth)
        };
        self.sink.is_deaf = was_deaf;
        told
    }
}

/// Whether two of the names are the same; their order is lost.
fn is_repeated(names: &mut [Cow<'_, [u8]>]) -> bool {
    if names.len() <= FEW {
        return names.iter().enumerate().any(|(at, name)| names[..at].contains(name));
    }
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}
