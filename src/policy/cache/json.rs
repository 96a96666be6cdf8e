//! JSON to the letter (RFC 8259): what this reader takes, every reader takes, and takes for the same.
//!
//! It builds nothing: it steps over text and says where things stand. That the text is UTF-8 is checked before.

use std::borrow::Cow;

use super::bypass::Bypass;

/// The most containers inside each other. Requests have about ten; parsers stop between 100 and 1,000.
pub(super) const DEEPEST: usize = 64;

/// A string as it stands between its quotation marks, checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted<'b> {
    raw: &'b [u8],
    escaped: bool,
}

impl<'b> Quoted<'b> {
    /// Its bytes without escapes, piece by piece.
    pub(super) fn pieces(self, mut piece: impl FnMut(&[u8])) {
        let mut rest = self.raw;
        if self.escaped {
            loop {
                let plain = plain_length(rest);
                if plain > 0 {
                    piece(&rest[..plain]);
                }
                rest = &rest[plain..];
                if rest.is_empty() {
                    return;
                }
                let (letter, length) = unescaped(rest);
                piece(letter.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[length..];
            }
        }
        piece(rest);
    }

    /// Its bytes without escapes.
    pub(super) fn bytes(self) -> Cow<'b, [u8]> {
        if !self.escaped {
            return Cow::Borrowed(self.raw);
        }
        let mut bytes = Vec::with_capacity(self.raw.len());
        self.pieces(|piece| bytes.extend_from_slice(piece));
        Cow::Owned(bytes)
    }
}

/// What the checked escape at the start of `text` stands for, and how long it is.
fn unescaped(text: &[u8]) -> (char, usize) {
    let letter = match text.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let first = unit(text.get(2..)).unwrap_or_default();
            return match char::from_u32(first) {
                Some(letter) => (letter, 6),
                None => {
                    let second = unit(text.get(8..)).unwrap_or_default();
                    let letter = 0x1_0000 + ((first & 0x3ff) << 10) + (second & 0x3ff);
                    (char::from_u32(letter).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
                }
            };
        }
        Some(letter) => char::from(*letter),
        None => char::REPLACEMENT_CHARACTER,
    };
    (letter, 2)
}

/// The four hexadecimal digits at the start.
fn unit(text: Option<&[u8]>) -> Option<u32> {
    let digits = text?.get(..4)?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

/// JSON text, and how far it has been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Text<'b> {
    /// The whole of these bytes, which are UTF-8.
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How far it has been read.
    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// What follows, from an earlier place on.
    pub(super) fn from(self, at: usize) -> Self {
        Self { at, ..self }
    }

    /// What stands between an earlier place and here.
    pub(super) fn since(&self, start: usize) -> &'b [u8] {
        &self.bytes[start..self.at]
    }

    /// The next byte that is no blank; it stays.
    pub(super) fn peek(&mut self) -> Result<u8, Bypass> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(Bypass::Unreadable),
            }
        }
    }

    /// Steps over `byte` and blanks before it.
    pub(super) fn take(&mut self, byte: u8) -> Result<(), Bypass> {
        if self.takes(byte)? { Ok(()) } else { Err(Bypass::Unreadable) }
    }

    /// Steps over `byte` and blanks before it if it follows.
    pub(super) fn takes(&mut self, byte: u8) -> Result<bool, Bypass> {
        let there = self.peek()? == byte;
        self.at += usize::from(there);
        Ok(there)
    }

    /// Nothing but blanks may follow.
    pub(super) fn end(mut self) -> Result<(), Bypass> {
        if self.peek().is_ok() { Err(Bypass::Unreadable) } else { Ok(()) }
    }

    /// A member's name and the colon behind it; the value follows at once.
    pub(super) fn name(&mut self) -> Result<Quoted<'b>, Bypass> {
        let name = self.string()?;
        self.take(b':')?;
        self.peek()?;
        Ok(name)
    }

    /// Whether a container that `end` closes goes on behind a value of it.
    pub(super) fn goes_on(&mut self, end: u8) -> Result<bool, Bypass> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Ok(true),
            byte if byte == end => Ok(false),
            _ => Err(Bypass::Unreadable),
        }
    }

    /// A string.
    pub(super) fn string(&mut self) -> Result<Quoted<'b>, Bypass> {
        self.take(b'"')?;
        let (start, mut escaped) = (self.at, false);
        loop {
            self.at += plain_length(&self.bytes[self.at..]);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Quoted { raw: &self.bytes[start..self.at - 1], escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(Bypass::Unreadable),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Bypass> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => match unit(self.bytes.get(self.at + 2..)).ok_or(Bypass::Unreadable)? {
                0xd800..0xdc00 => {
                    let second = self.bytes.get(self.at + 6..).and_then(|rest| rest.strip_prefix(b"\\u"));
                    if !unit(second).is_some_and(|second| (0xdc00..0xe000).contains(&second)) {
                        return Err(Bypass::Surrogate);
                    }
                    self.at += 12;
                }
                0xdc00..0xe000 => return Err(Bypass::Surrogate),
                _ => self.at += 6,
            },
            _ => return Err(Bypass::Unreadable),
        }
        Ok(())
    }

    /// A number, as it stands there (RFC 8259 §6).
    pub(super) fn number(&mut self) -> Result<&'b [u8], Bypass> {
        self.peek()?;
        let start = self.at;
        self.at += usize::from(self.bytes[start] == b'-');
        match (self.bytes.get(self.at), self.digits()) {
            (_, 0) => return Err(Bypass::Unreadable),
            (Some(b'0'), length) if length > 1 => return Err(Bypass::Unreadable),
            _ => {}
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(Bypass::Unreadable);
            }
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            self.at += usize::from(matches!(self.bytes.get(self.at), Some(b'+' | b'-')));
            if self.digits() == 0 {
                return Err(Bypass::Unreadable);
            }
        }
        Ok(self.since(start))
    }

    /// Steps over digits and says how many there are.
    fn digits(&mut self) -> usize {
        let length = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += length;
        length
    }

    /// `true`, `false` or `null`, told apart by their first letter.
    pub(super) fn literal(&mut self) -> Result<u8, Bypass> {
        let first = self.peek()?;
        let whole: &[u8] = match first {
            b't' => b"true",
            b'f' => b"false",
            b'n' => b"null",
            _ => return Err(Bypass::Unreadable),
        };
        if !self.bytes[self.at..].starts_with(whole) {
            return Err(Bypass::Unreadable);
        }
        self.at += whole.len();
        Ok(first)
    }

    /// Steps over a value that was stepped over before, so that only its end is looked for.
    pub(super) fn pass(&mut self) {
        let mut open = 0_usize;
        while let Some(byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => self.pass_string(),
                b'{' | b'[' => open += 1,
                b'}' | b']' => open = open.saturating_sub(1),
                _ if open > 0 => continue,
                _ => {
                    let is_over = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
                    let rest = &self.bytes[self.at..];
                    self.at += rest.iter().position(is_over).unwrap_or(rest.len());
                }
            }
            if open == 0 {
                return;
            }
        }
    }

    /// The rest of a string of such a value.
    fn pass_string(&mut self) {
        loop {
            self.at += plain_length(self.bytes.get(self.at..).unwrap_or_default());
            let Some(b'\\') = self.bytes.get(self.at) else { break };
            self.at += 2;
        }
        self.at += 1;
    }

    /// Steps over a value that stands inside `depth` containers.
    pub(super) fn skip(&mut self, depth: usize) -> Result<(), Bypass> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number().map(drop),
            first @ (b'{' | b'[') => {
                self.at += 1;
                if depth >= DEEPEST {
                    return Err(Bypass::Deep);
                }
                let (is_object, end) = (first == b'{', if first == b'{' { b'}' } else { b']' });
                if self.takes(end)? {
                    return Ok(());
                }
                loop {
                    if is_object {
                        self.name()?;
                    }
                    self.skip(depth + 1)?;
                    if !self.goes_on(end)? {
                        return Ok(());
                    }
                }
            }
            _ => self.literal().map(drop),
        }
    }
}

/// How much of the text stands for itself, up to a quotation mark, an escape or a control character.
fn plain_length(text: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    const TOPS: u64 = ONES << 7;
    let is_plain = |byte: &u8| !matches!(byte, ..b' ' | b'"' | b'\\');
    let (eights, rest) = text.as_chunks::<8>();
    for (at, eight) in eights.iter().enumerate() {
        // Eight bytes at a time: what is subtracted from a byte that is too small takes its top bit from the next one, so
        // that the lowest bit that is found is right, and those above it need not be.
        let eight = u64::from_le_bytes(*eight);
        let less = |bytes: u64, than: u8| bytes.wrapping_sub(ONES * u64::from(than)) & !bytes & TOPS;
        let found = less(eight, b' ') | less(eight ^ (ONES * u64::from(b'"')), 1) | less(eight ^ (ONES * u64::from(b'\\')), 1);
        if found != 0 {
            return at * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    text.len() - rest.len() + rest.iter().position(|byte| !is_plain(byte)).unwrap_or(rest.len())
}
