//! Looks at the raw bytes of HTTP/1 requests before hyper does, and refuses what the parsed head no longer shows.
//!
//! hyper repairs some messages silently: of a length beside a chunked body it forgets the length; it takes a bare line
//! feed for the end of a line, and cuts a fragment off the target. Two servers that repair the same message in two ways
//! can be played against each other (RFC 9112 §11.2), so nothing is repaired here.
//!
//! The guard follows the framing of the byte stream, line by line, and steps over bodies. On a violation it
//! overwrites the byte at hand with NUL, which hyper's parser refuses in its turn: the answer (400) goes out in
//! order behind those of earlier requests, and the connection closes. A pure state machine: bytes in, bytes out, the
//! same wherever the reads happen to split them.
//!
//! Behind a head with an `Upgrade` field the bytes may be no HTTP any more, which only the answer tells. Until then none of
//! them goes on: neither would the guard know how to read them, nor may hyper take them for a request.

#[cfg(test)]
mod tests;

/// A line that is longer is left to hyper, whose bound on a head is lower than this.
const LONGEST_LINE: usize = 1 << 20;

/// Where in a request the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Between requests, or in a request line.
    RequestLine,
    Field,
    Body {
        left: u64,
    },
    ChunkSize,
    ChunkData {
        left: u64,
    },
    ChunkEnd,
    Trailer,
    /// Behind a head that asks for an upgrade, until it is answered.
    Held,
    /// Beyond what is followed here, or refused: hyper ends it.
    Over,
}

/// Why a line may not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A line ends without a carriage return.
    BareLineFeed,
    /// Two servers could find two different requests in it.
    Ambiguous,
}

/// Follows one connection.
#[derive(Debug)]
pub struct Guard {
    at: At,
    /// The head of a line whose end has not come yet.
    line: Vec<u8>,
    chunked: bool,
    length: Option<u64>,
    upgrade: bool,
    refused: Option<Refused>,
}

impl Default for Guard {
    fn default() -> Self {
        Self { at: At::RequestLine, line: Vec::new(), chunked: false, length: None, upgrade: false, refused: None }
    }
}

impl Guard {
    /// Whether a request's head has begun and not ended.
    #[must_use]
    pub fn in_head(&self) -> bool {
        self.at == At::Field || self.at == At::RequestLine && !self.line.is_empty()
    }

    /// Whether something was refused: nothing that follows on this connection may be read.
    #[must_use]
    pub fn has_refused(&self) -> bool {
        self.at == At::Over
    }

    /// Whether what follows has to wait for the answer to a request that asks for an upgrade.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.at == At::Held
    }

    /// Whether nothing may be read: it was refused, or has to wait.
    #[must_use]
    pub fn stands(&self) -> bool {
        matches!(self.at, At::Over | At::Held)
    }

    /// The upgrade was not granted: what follows is the next request.
    pub fn resume(&mut self) {
        self.at = At::RequestLine;
    }

    /// Why something was refused, if it was.
    #[must_use]
    pub fn refused(&self) -> Option<Refused> {
        self.refused
    }

    /// Looks at the next bytes of the connection and overwrites one if they may not go on. Returns how many of them may be
    /// read now: the rest has to wait, and comes here again.
    pub fn inspect(&mut self, bytes: &mut [u8]) -> usize {
        let mut from = 0;
        while from < bytes.len() {
            from = match self.at {
                At::Over => break,
                At::Held => return from,
                At::Body { left } => self.skip(from, left, bytes.len(), |left| At::Body { left }, At::RequestLine),
                At::ChunkData { left } => self.skip(from, left, bytes.len(), |left| At::ChunkData { left }, At::ChunkEnd),
                At::RequestLine | At::Field | At::ChunkSize | At::ChunkEnd | At::Trailer => self.line(bytes, from),
            };
        }
        bytes.len()
    }

    fn skip(&mut self, from: usize, left: u64, end: usize, within: impl Fn(u64) -> At, after: At) -> usize {
        let here = (end - from) as u64;
        self.at = if left > here { within(left - here) } else { after };
        from + left.min(here) as usize
    }

    /// Takes one line, or keeps its beginning until the rest comes. Returns where the next one starts.
    fn line(&mut self, bytes: &mut [u8], from: usize) -> usize {
        let Some(length) = memchr::memchr(b'\n', &bytes[from..]) else {
            if self.line.len() + bytes.len() - from > LONGEST_LINE {
                self.at = At::Over;
            } else {
                self.line.extend_from_slice(&bytes[from..]);
            }
            return bytes.len();
        };
        let end = from + length;
        let next = if self.line.is_empty() {
            self.judge(&bytes[from..end])
        } else {
            let mut line = std::mem::take(&mut self.line);
            line.extend_from_slice(&bytes[from..end]);
            self.judge(&line)
        };
        self.at = next.unwrap_or_else(|refused| {
            // hyper refuses a bare line feed in a chunk's head by itself, but takes NUL there for a part of an extension.
            if (self.at, refused) != (At::ChunkSize, Refused::BareLineFeed) {
                bytes[end] = 0;
            }
            self.refused = Some(refused);
            At::Over
        });
        end + 1
    }

    /// Where a line, without its line feed, leads.
    fn judge(&mut self, line: &[u8]) -> Result<At, Refused> {
        // RFC 9112 §2.2: a recipient may take a bare line feed for a line's end; two recipients may differ.
        let line = line.strip_suffix(b"\r").ok_or(Refused::BareLineFeed)?;
        match self.at {
            // RFC 9112 §2.2: an empty line before a request is ignored.
            At::RequestLine if line.is_empty() => Ok(At::RequestLine),
            At::RequestLine => {
                (self.chunked, self.length, self.upgrade) = (false, None, false);
                // RFC 9112 §3.2: no form of a target has a fragment.
                if memchr::memchr(b'#', line).is_some() { Err(Refused::Ambiguous) } else { Ok(At::Field) }
            }
            At::Field if line.is_empty() => Ok(match (self.chunked, self.length) {
                (true, _) => At::ChunkSize,
                (false, Some(left @ 1..)) => At::Body { left },
                (false, _) if self.upgrade => At::Held,
                (false, _) => At::RequestLine,
            }),
            At::Field => self.field(line).map(|()| At::Field),
            At::ChunkSize => chunk_size(line).map(|left| if left == 0 { At::Trailer } else { At::ChunkData { left } }),
            At::ChunkEnd => {
                if line.is_empty() {
                    Ok(At::ChunkSize)
                } else {
                    Err(Refused::Ambiguous)
                }
            }
            At::Trailer => Ok(if line.is_empty() { At::RequestLine } else { At::Trailer }),
            At::Body { .. } | At::ChunkData { .. } | At::Held | At::Over => Ok(self.at),
        }
    }

    /// RFC 9112 §6.3: a length beside a transfer coding is the classic of request smuggling.
    fn field(&mut self, line: &[u8]) -> Result<(), Refused> {
        // Most names begin with another letter.
        if !matches!(line, [b'c' | b'C' | b't' | b'T', ..] | [b'u' | b'U', b'p' | b'P', ..]) {
            return Ok(());
        }
        let Some(colon) = memchr::memchr(b':', line) else { return Ok(()) };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.chunked = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            // A value that is no number is refused by hyper; what follows is never read as a request.
            self.length = Some(std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX));
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            self.upgrade = true;
        }
        if self.chunked && self.length.is_some() { Err(Refused::Ambiguous) } else { Ok(()) }
    }
}

/// `1a` or `1a;name=value` (RFC 9112 §7.1): hexadecimal digits and nothing around them, no control bytes behind.
fn chunk_size(line: &[u8]) -> Result<u64, Refused> {
    let (digits, extension) = line.split_at(memchr::memchr(b';', line).unwrap_or(line.len()));
    if extension.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') || digits.is_empty() || digits.len() > 16 {
        return Err(Refused::Ambiguous);
    }
    digits.iter().try_fold(0, |size: u64, digit| Ok(size << 4 | u64::from(char::from(*digit).to_digit(16).ok_or(Refused::Ambiguous)?)))
}
