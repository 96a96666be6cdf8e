//! An HTTP/1.1 connection.

use std::{io, net::SocketAddr};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

/// One connection with what was read from it and not yet looked at.
pub(crate) struct H1 {
    stream: TcpStream,
    buffer: BytesMut,
}

/// What a reply's head says.
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The peer takes no further request here.
    pub(crate) closes: bool,
    /// What the other side calls the request, in `x-request-id`.
    pub(crate) id: Option<String>,
    /// What it says of the cache, in `x-sidegate-cache`; empty where it says nothing.
    pub(crate) cached: String,
    chunked: bool,
    length: usize,
}

impl Reply {
    fn of(head: &str) -> Option<Self> {
        let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        let mut reply = Self { status, closes: false, id: None, cached: String::new(), chunked: false, length: 0 };
        for (name, value) in head.lines().filter_map(|line| line.split_once(':')) {
            match (name.to_ascii_lowercase().as_str(), value.trim()) {
                ("connection", value) => reply.closes |= value.eq_ignore_ascii_case("close"),
                ("x-request-id", value) => reply.id = Some(value.to_owned()),
                ("x-sidegate-cache", value) => value.clone_into(&mut reply.cached),
                ("transfer-encoding", value) => reply.chunked = value.eq_ignore_ascii_case("chunked"),
                ("content-length", value) => reply.length = value.parse().ok()?,
                _ => {}
            }
        }
        Some(reply)
    }
}

impl H1 {
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        Self::open(to).await.expect("somebody listens")
    }

    /// A connection, where somebody listens.
    pub(crate) async fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: BytesMut::new() })
    }

    /// Whether the peer has closed it, as far as is known without asking the peer.
    pub(crate) fn is_closed(&self) -> bool {
        !matches!(self.stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends a whole request, unless the connection is dead.
    pub(crate) async fn ask(&mut self, method: &str, path: &str, body: &str) -> io::Result<()> {
        self.ask_with(method, path, "", body).await
    }

    /// The same with more fields, each with its end of line.
    pub(crate) async fn ask_with(&mut self, method: &str, path: &str, fields: &str, body: &str) -> io::Result<()> {
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}");
        self.stream.write_all([&head, "\r\n", fields, "\r\n", body].concat().as_bytes()).await
    }

    /// Reads a reply's head, whatever it says.
    pub(crate) async fn reply(&mut self) -> io::Result<Reply> {
        let head = self.until(b"\r\n\r\n").await?;
        Reply::of(&String::from_utf8_lossy(&head)).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Reads a body that is no stream, of whatever framing.
    pub(crate) async fn body(&mut self, reply: &Reply) -> io::Result<BytesMut> {
        let mut body = BytesMut::new();
        self.body_into(reply, &mut body).await?;
        Ok(body)
    }

    /// The same; what came before an error is in `body`.
    pub(crate) async fn body_into(&mut self, reply: &Reply, body: &mut BytesMut) -> io::Result<()> {
        if reply.chunked {
            while let Some(chunk) = self.chunk().await? {
                body.extend_from_slice(&chunk);
            }
            return Ok(());
        }
        while self.buffer.len() < reply.length {
            if let Err(error) = self.fill().await {
                body.extend_from_slice(&self.buffer);
                return Err(error);
            }
        }
        body.unsplit(self.buffer.split_to(reply.length));
        Ok(())
    }

    /// Sends these bytes, whatever they are.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// A connection whose kernel holds little for a reader who does not read.
    pub(crate) async fn connect_with_small_buffer(to: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a fresh socket takes options");
        Self { stream: socket.connect(to).await.expect("somebody listens"), buffer: BytesMut::new() }
    }

    /// Sends a request's head that declares `length` bytes, and no body.
    pub(crate) async fn post(&mut self, path: &str, length: u64) {
        let head = format!("POST {path} HTTP/1.1\r\nHost: sidegate.test\r\nContent-Type: audio/wav\r\nContent-Length: {length}\r\n\r\n");
        self.stream.write_all(head.as_bytes()).await.expect("a head is sent");
    }

    /// Sends `length` bytes.
    pub(crate) async fn upload(&mut self, length: u64) {
        let block = vec![b'u'; 64 << 10];
        let mut left = length;
        while left > 0 {
            let part = left.min(block.len() as u64);
            self.stream.write_all(&block[..part as usize]).await.expect("an upload goes on");
            left -= part;
        }
    }

    /// Reads a head that must say 200; the declared length of its body, 0 if there is none.
    pub(crate) async fn head(&mut self) -> io::Result<u64> {
        let head = self.until(b"\r\n\r\n").await?;
        let head = String::from_utf8_lossy(&head).into_owned();
        assert!(head.starts_with("HTTP/1.1 200 "), "not a 200: {head}");
        let length = head.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        Ok(length.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0))
    }

    /// Reads and forgets this many bytes.
    pub(crate) async fn discard(&mut self, mut length: u64) -> io::Result<()> {
        loop {
            let part = length.min(self.buffer.len() as u64);
            self.buffer.advance(part as usize);
            length -= part;
            if length == 0 {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    /// The next chunk of a chunked body; nothing at its end.
    pub(crate) async fn chunk(&mut self) -> io::Result<Option<BytesMut>> {
        let line = self.until(b"\r\n").await?;
        let size = std::str::from_utf8(&line).ok().and_then(|line| usize::from_str_radix(line.trim(), 16).ok());
        let size = size.ok_or(io::ErrorKind::InvalidData)?;
        while self.buffer.len() < size + 2 {
            self.fill().await?;
        }
        let body = self.buffer.split_to(size);
        self.buffer.advance(2);
        Ok((size > 0).then_some(body))
    }

    async fn until(&mut self, mark: &[u8]) -> io::Result<BytesMut> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                return Ok(self.buffer.split_to(at + mark.len()));
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        self.buffer.reserve(64 << 10);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
