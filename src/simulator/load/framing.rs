//! Where a body ends: by its length, by its last chunk, or with the connection.

/// The framing of one body and how far it has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framing(State);

#[derive(Clone, Copy, Debug)]
enum State {
    /// So many bytes are to come.
    Length(u64),
    UntilClose,
    /// In the line with a chunk's size (RFC 9112 §7.1).
    Size {
        size: u64,
        digits: u8,
        /// Behind the digits: an extension that means nothing here.
        extension: bool,
    },
    /// Inside a chunk.
    Chunk(u64),
    /// In the line end behind a chunk.
    ChunkEnd,
    /// Behind the last chunk, with the length of the line so far: an empty one ends the body.
    Trailer(u64),
    Over,
}

const NEXT_SIZE: State = State::Size { size: 0, digits: 0, extension: false };

impl Framing {
    pub(super) fn of_length(length: u64) -> Self {
        Self(if length == 0 { State::Over } else { State::Length(length) })
    }

    pub(super) fn chunked() -> Self {
        Self(NEXT_SIZE)
    }

    pub(super) fn until_close() -> Self {
        Self(State::UntilClose)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.0, State::Over)
    }

    pub(super) fn ends_with_the_connection(&self) -> bool {
        matches!(self.0, State::UntilClose)
    }

    /// Splits off the next part of the body, which may be empty; nothing where the framing is broken.
    pub(super) fn next<'a>(&mut self, bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        match self.0 {
            State::Length(left) => {
                let (part, rest, left) = split(bytes, left);
                *self = Self::of_length(left);
                Some((part, rest))
            }
            State::Chunk(left) => {
                let (part, rest, left) = split(bytes, left);
                self.0 = if left == 0 { State::ChunkEnd } else { State::Chunk(left) };
                Some((part, rest))
            }
            State::UntilClose => Some((bytes, &[])),
            State::Over => Some((&[], bytes)),
            State::Size { .. } | State::ChunkEnd | State::Trailer(_) => {
                let Some((first, rest)) = bytes.split_first() else { return Some((&[], bytes)) };
                self.0 = self.0.behind(*first)?;
                Some((&[], rest))
            }
        }
    }
}

impl State {
    /// The state behind one byte of what stands between chunks.
    fn behind(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Size { digits: 0, .. }, b'\n' | b'\r' | b';') => None,
            (Self::Size { size: 0, .. }, b'\n') => Some(Self::Trailer(0)),
            (Self::Size { size, .. }, b'\n') => Some(Self::Chunk(size)),
            (Self::Size { extension: true, .. }, _) => Some(self),
            (Self::Size { size, digits, .. }, b';' | b'\r' | b' ' | b'\t') => Some(Self::Size { size, digits, extension: true }),
            (Self::Size { size, digits, .. }, digit) => {
                let value = char::from(digit).to_digit(16)?;
                // Sixteen digits fill the number.
                (digits < 16).then(|| Self::Size { size: size << 4 | u64::from(value), digits: digits + 1, extension: false })
            }
            (Self::ChunkEnd, b'\n') => Some(NEXT_SIZE),
            (Self::ChunkEnd, b'\r') => Some(self),
            (Self::ChunkEnd, _) => None,
            (Self::Trailer(0), b'\n') => Some(Self::Over),
            (Self::Trailer(_), b'\n') => Some(Self::Trailer(0)),
            (Self::Trailer(_), b'\r') => Some(self),
            (Self::Trailer(length), _) => Some(Self::Trailer(length.saturating_add(1))),
            _ => Some(self),
        }
    }
}

/// The first `left` bytes, the others, and what is still to come.
fn split(bytes: &[u8], left: u64) -> (&[u8], &[u8], u64) {
    let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    let (part, rest) = bytes.split_at(length);
    (part, rest, left - length as u64)
}
