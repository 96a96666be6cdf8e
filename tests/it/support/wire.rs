//! Reads HTTP/1 messages off a socket and keeps every byte as it came. Deliberately not hyper: what is
//! under test must not be its own judge.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// A name and a value, byte for byte, the value without the optional white space around it.
pub(crate) type Field = (Vec<u8>, Vec<u8>);

/// A start line and its fields in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) line: Vec<u8>,
    pub(crate) fields: Vec<Field>,
}

impl Head {
    /// Takes a head apart; `raw` may end with the empty line or before it.
    pub(crate) fn parse(raw: &[u8]) -> Self {
        let text = raw.strip_suffix(b"\r\n\r\n").unwrap_or(raw);
        let mut lines = split_lines(text);
        let line = lines.next().unwrap_or_default().to_vec();
        Self { line, fields: lines.map(split_field).collect() }
    }

    /// Every value of a field, in order; names compare without case.
    pub(crate) fn all(&self, name: &str) -> Vec<&[u8]> {
        self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value.as_slice()).collect()
    }

    /// The first value of a field as text.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.all(name).first().map(|value| String::from_utf8_lossy(value).into_owned())
    }

    fn length(&self) -> Option<usize> {
        self.get("content-length")?.parse().ok()
    }

    fn is_chunked(&self) -> bool {
        self.get("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    }

    /// How the body of a request with this head ends (RFC 9112 §6.3).
    pub(crate) fn request_framing(&self) -> Framing {
        if self.is_chunked() { Framing::Chunked } else { self.length().map_or(Framing::None, Framing::Length) }
    }

    /// How the body of a reply with this head to `method` ends (RFC 9112 §6.3).
    pub(crate) fn reply_framing(&self, method: &str) -> Framing {
        let bodiless = matches!(self.status(), 100..=199 | 204 | 304);
        match (bodiless || method == "HEAD", self.is_chunked(), self.length()) {
            (true, _, _) => Framing::None,
            (_, true, _) => Framing::Chunked,
            (_, _, Some(length)) => Framing::Length(length),
            _ => Framing::Close,
        }
    }

    /// The status of a reply's line; 0 where there is none.
    pub(crate) fn status(&self) -> u16 {
        self.line.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).unwrap_or(0)
    }
}

fn split_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

fn split_field(line: &[u8]) -> Field {
    let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
    let value = line.get(colon + 1..).unwrap_or_default();
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    (line[..colon].to_vec(), value[start..end].to_vec())
}

/// What says where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    Length(usize),
    Chunked,
    Close,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    /// As its framing promised.
    Complete,
    /// The connection ended first, or the framing broke.
    #[default]
    Truncated,
}

/// A body as it came and as it was meant.
#[derive(Clone, Default)]
pub(crate) struct Body {
    /// With chunk sizes and all.
    pub(crate) raw: Vec<u8>,
    /// Without them.
    pub(crate) bytes: Vec<u8>,
    pub(crate) trailers: Vec<Field>,
    pub(crate) end: End,
}

/// A socket with what was read from it and not yet asked for.
pub(crate) struct Wire<S = TcpStream> {
    pub(crate) stream: S,
    pub(crate) buffer: BytesMut,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        // Small writes must not wait for each other, or a script's steps would arrive as one.
        stream.set_nodelay(true).expect("a fresh socket takes options");
        Self::over(stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Over TLS, or over a Unix socket.
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads once; `Ok(0)` is the end.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(64 * 1024);
        self.stream.read_buf(&mut self.buffer).await
    }

    /// Whether another byte comes before the end.
    pub(crate) async fn has_more(&mut self) -> bool {
        !self.buffer.is_empty() || matches!(self.fill().await, Ok(1..))
    }

    /// Reads and forgets until the peer ends the connection.
    pub(crate) async fn until_left(&mut self) {
        while self.has_more().await {
            self.buffer.clear();
        }
    }

    /// Everything up to and with `mark`.
    pub(crate) async fn until(&mut self, mark: &[u8]) -> io::Result<Vec<u8>> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.buffer[searched..].windows(mark.len()).position(|window| window == mark) {
                return Ok(self.buffer.split_to(searched + at + mark.len()).to_vec());
            }
            searched = (self.buffer.len() + 1).saturating_sub(mark.len());
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    pub(crate) async fn head(&mut self) -> io::Result<Head> {
        self.until(b"\r\n\r\n").await.map(|raw| Head::parse(&raw))
    }

    /// Reads a whole body; what goes wrong on the way is its [`End`].
    pub(crate) async fn body(&mut self, framing: Framing) -> Body {
        let mut body = Body::default();
        let outcome = match framing {
            Framing::None => Ok(()),
            Framing::Length(length) => self.take(length, &mut body).await,
            Framing::Chunked => self.chunks(&mut body).await,
            Framing::Close => self.rest(&mut body).await,
        };
        body.end = if outcome.is_ok() { End::Complete } else { End::Truncated };
        body
    }

    async fn take(&mut self, mut length: usize, body: &mut Body) -> io::Result<()> {
        while length > 0 {
            if self.buffer.is_empty() && self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let part = self.buffer.split_to(self.buffer.len().min(length));
            length -= part.len();
            body.raw.extend_from_slice(&part);
            body.bytes.extend_from_slice(&part);
        }
        Ok(())
    }

    async fn rest(&mut self, body: &mut Body) -> io::Result<()> {
        loop {
            body.raw.extend_from_slice(&self.buffer);
            body.bytes.extend_from_slice(&self.buffer);
            self.buffer.clear();
            if self.fill().await? == 0 {
                return Ok(());
            }
        }
    }

    async fn chunks(&mut self, body: &mut Body) -> io::Result<()> {
        loop {
            let line = self.until(b"\r\n").await?;
            body.raw.extend_from_slice(&line);
            let digits = line.split(|byte| matches!(byte, b';' | b'\r' | b' ')).next().unwrap_or_default();
            let size = std::str::from_utf8(digits).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
            match size.ok_or(io::ErrorKind::InvalidData)? {
                0 => return self.trailers(body).await,
                size => self.take(size, body).await?,
            }
            let end = self.until(b"\r\n").await?;
            body.raw.extend_from_slice(&end);
            if end.len() != 2 {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }

    async fn trailers(&mut self, body: &mut Body) -> io::Result<()> {
        loop {
            let line = self.until(b"\r\n").await?;
            body.raw.extend_from_slice(&line);
            match line.as_slice() {
                b"\r\n" => return Ok(()),
                line => body.trailers.push(split_field(line.strip_suffix(b"\r\n").unwrap_or(line))),
            }
        }
    }

    /// Waits for a request's head, and for its body if its length is declared, and takes none of it.
    pub(crate) async fn peek(&mut self) -> io::Result<(Head, Vec<u8>)> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                let head = Head::parse(&self.buffer[..end]);
                let body = &self.buffer[end + 4..];
                if !matches!(head.request_framing(), Framing::Length(length) if body.len() < length) {
                    return Ok((head, body.to_vec()));
                }
            }
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Throws away what was read so far, up to `length` bytes, and says how many they were.
    pub(crate) fn discard(&mut self, length: usize) -> usize {
        let length = length.min(self.buffer.len());
        self.buffer.advance(length);
        length
    }
}
