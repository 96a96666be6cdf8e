//! The provider over HTTP/1.1, by hand.

use std::{
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Behaviour, FLOOD, Seen, Told, beats, beats_of, event};

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
static BLOCK: [u8; 64 << 10] = [b'b'; 64 << 10];

/// Serves a connection until either side is done with it.
pub(super) async fn converse(stream: TcpStream, seen: Arc<Seen>) {
    let mut connection = Connection { stream, buffer: BytesMut::new(), seen };
    // An error is a peer that left, which the marks tell where it matters.
    while matches!(connection.exchange().await, Ok(true)) {}
    connection.seen.ended.fetch_add(1, Relaxed);
}

struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
    seen: Arc<Seen>,
}

impl Connection {
    /// One request and its reply; whether another may follow.
    async fn exchange(&mut self) -> io::Result<bool> {
        let Some((behaviour, length)) = self.head().await? else { return Ok(false) };
        if !matches!(behaviour, Behaviour::HangUploading(_)) {
            self.discard(length).await?;
        }
        match behaviour {
            Behaviour::Ok => self.stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await?,
            Behaviour::Count => self.number(length).await?,
            Behaviour::Echo(number) => self.number(number).await?,
            Behaviour::Told(told) => self.told(told).await?,
            Behaviour::Bytes(count) => self.bytes(count).await?,
            Behaviour::Events(count) => self.events(count).await?,
            Behaviour::Flood => self.flood().await?,
            Behaviour::Hang(number) | Behaviour::HangUploading(number) => self.hang(number).await,
            Behaviour::HangMidStream(number) => {
                self.stream.write_all(CHUNKED).await?;
                self.chunk(event().as_bytes()).await?;
                self.hang(number).await;
            }
        }
        Ok(!matches!(behaviour, Behaviour::Hang(_) | Behaviour::HangMidStream(_) | Behaviour::HangUploading(_)))
    }

    /// What is wanted, and the length of the body; nothing at the end of the connection.
    async fn head(&mut self) -> io::Result<Option<(Behaviour, u64)>> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&self.buffer.split_to(end)).into_owned();
        let behaviour = Behaviour::of(head.split(' ').nth(1).unwrap_or_default());
        let field = |wanted: &str| {
            let mut fields = head.lines().filter_map(|line| line.split_once(':'));
            fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
        };
        self.seen.came(behaviour, field("authorization"));
        Ok(Some((behaviour, field("content-length").and_then(|value| value.parse().ok()).unwrap_or(0))))
    }

    async fn discard(&mut self, mut length: u64) -> io::Result<()> {
        loop {
            let part = length.min(self.buffer.len() as u64);
            let _ = self.buffer.split_to(part as usize);
            length -= part;
            if length == 0 {
                return Ok(());
            }
            self.buffer.reserve(64 << 10);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn bytes(&mut self, count: u64) -> io::Result<()> {
        self.stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {count}\r\n\r\n").as_bytes()).await?;
        let mut left = count;
        while left > 0 {
            let part = left.min(BLOCK.len() as u64);
            self.stream.write_all(&BLOCK[..part as usize]).await?;
            left -= part;
        }
        Ok(())
    }

    async fn events(&mut self, count: u64) -> io::Result<()> {
        self.stream.write_all(CHUNKED).await?;
        let mut beats = beats();
        for _ in 0..count {
            beats.tick().await;
            self.chunk(event().as_bytes()).await?;
        }
        self.stream.write_all(b"0\r\n\r\n").await
    }

    async fn number(&mut self, number: u64) -> io::Result<()> {
        let number = number.to_string();
        self.stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{number}", number.len()).as_bytes()).await
    }

    async fn told(&mut self, told: Told) -> io::Result<()> {
        self.stream.write_all(CHUNKED).await?;
        let mut beats = beats_of(told.gap);
        for number in 0.. {
            beats.tick().await;
            let last = told.is_last(number, &self.seen);
            self.chunk(Told::event(told.id, number, last).as_bytes()).await?;
            if last {
                break;
            }
        }
        self.stream.write_all(b"0\r\n\r\n").await
    }

    async fn flood(&mut self) -> io::Result<()> {
        self.stream.write_all(CHUNKED).await?;
        // Small chunks in large writes: the provider's own cost is not what is measured.
        let chunk = [format!("{:x}\r\n", FLOOD.len()).as_bytes(), &FLOOD, b"\r\n"].concat();
        let many = chunk.repeat(200);
        loop {
            self.stream.write_all(&many).await?;
            self.seen.flooded.fetch_add(200 * FLOOD.len() as u64, Relaxed);
        }
    }

    async fn chunk(&mut self, body: &[u8]) -> io::Result<()> {
        let chunk = [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat();
        self.stream.write_all(&chunk).await
    }

    async fn hang(&mut self, number: u64) {
        let mark = self.seen.mark(number);
        mark.reached.add_permits(1);
        while matches!(self.stream.read_buf(&mut self.buffer).await, Ok(1..)) {
            self.buffer.clear();
        }
        mark.is_gone();
    }
}
