//! The load: kept-alive connections that ask again and again, and streams whose events come one at a time.

use std::{
    cell::Cell,
    io,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use memchr::memmem;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::MissedTickBehavior,
};

use crate::provider::{self, DONE, END, Provider, REPLY};

/// Bytes of every request's body.
pub(crate) const BODY: usize = 213;

/// By this the provider tells that a stream is wanted.
pub(crate) const STREAM: &[u8] = b"\"stream\":true";

/// By this the provider tells that all of a stream is wanted at once. To others it says the same.
pub(crate) const RECORDED: &[u8] = b"\"stream\": true";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wanted {
    Reply,
    /// A stream whose events are written one at a time.
    Stream,
    /// A stream that is there at once.
    Recorded,
}

/// What an SDK sends, in one write.
fn request(wanted: Wanted) -> Vec<u8> {
    let stream = match wanted {
        Wanted::Reply => b"\"stream\":false",
        Wanted::Stream => STREAM,
        Wanted::Recorded => RECORDED,
    };
    let stream = String::from_utf8_lossy(stream);
    let start = format!(r#"{{"model":"gpt-4o-mini",{stream},"messages":[{{"role":"user","content":""#);
    let end = r#""}],"temperature":0.7}"#;
    let filling = "a".repeat(BODY - start.len() - end.len());
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: OpenAI/Python 1.99.1\r\nAccept: application/json\r\n\
         Content-Type: application/json\r\nAuthorization: Bearer sk-of-the-caller\r\nContent-Length: {BODY}\r\n\r\n"
    );
    [head, start, filling, end.to_owned()].concat().into_bytes()
}

/// One connection of a client.
struct Client {
    socket: TcpStream,
    received: Vec<u8>,
}

impl Client {
    async fn connect(to: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?.connect(to).await?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, received: Vec::with_capacity(8 << 10) })
    }

    /// One request and the whole of its reply, or of its stream.
    async fn ask(&mut self, request: &[u8], wanted: Wanted) -> io::Result<()> {
        self.socket.write_all(request).await?;
        self.received.clear();
        loop {
            self.fill().await?;
            if let Some(at) = memmem::find(&self.received, b"\r\n\r\n")
                && self.is_whole(at + 4, wanted)
            {
                break;
            }
        }
        self.is_good()
    }

    /// Whether all has come of a reply whose head has this length.
    fn is_whole(&self, head: usize, wanted: Wanted) -> bool {
        let (head, body) = self.received.split_at(head);
        if wanted == Wanted::Reply {
            return body.len() >= REPLY;
        }
        // A stream that has been stored has a length; it never ends in the middle of a chunk.
        body.ends_with(if memmem::find(head, b"chunked").is_some() { END } else { DONE })
    }

    /// The next event, whole: to the end of its chunk.
    async fn event(&mut self) -> io::Result<()> {
        while !self.received.ends_with(b"\n\n\r\n") {
            self.fill().await?;
        }
        self.received.clear();
        Ok(())
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.socket.read_buf(&mut self.received).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn is_good(&self) -> io::Result<()> {
        if self.received.starts_with(b"HTTP/1.1 200 ") {
            return Ok(());
        }
        Err(io::Error::other(String::from_utf8_lossy(&self.received).into_owned()))
    }
}

/// Asks once on a fresh connection.
pub(crate) async fn ask_once(to: SocketAddr) -> io::Result<()> {
    Client::connect(to).await?.ask(&request(Wanted::Reply), Wanted::Reply).await
}

/// Connections that are kept alive from one run to the next.
pub(crate) struct Requests {
    clients: Vec<Client>,
    request: Rc<[u8]>,
    wanted: Wanted,
}

impl Requests {
    pub(crate) async fn over(connections: usize, to: SocketAddr, wanted: Wanted) -> io::Result<Self> {
        let mut clients = Vec::new();
        for _ in 0..connections {
            clients.push(Client::connect(to).await?);
        }
        Ok(Self { clients, request: request(wanted).into(), wanted })
    }

    /// `count` requests, each connection as fast as it is answered.
    pub(crate) async fn run(&mut self, count: usize) -> io::Result<()> {
        let left = Rc::new(Cell::new(count));
        let mut asking = JoinSet::new();
        for mut client in self.clients.drain(..) {
            let (left, request, wanted) = (Rc::clone(&left), Rc::clone(&self.request), self.wanted);
            asking.spawn_local(async move {
                while left.get() > 0 {
                    left.set(left.get() - 1);
                    client.ask(&request, wanted).await?;
                }
                Ok::<_, io::Error>(client)
            });
        }
        for client in asking.join_all().await {
            self.clients.push(client?);
        }
        Ok(())
    }

    /// `count` requests, `rate` a second over all connections: how long each took.
    pub(crate) async fn paced(&mut self, count: usize, rate: f64) -> io::Result<Vec<Duration>> {
        let (each, connections) = (count / self.clients.len(), self.clients.len());
        let gap = Duration::from_secs_f64(connections as f64 / rate);
        let mut asking = JoinSet::new();
        for (n, mut client) in self.clients.drain(..).enumerate() {
            let (request, wanted) = (Rc::clone(&self.request), self.wanted);
            asking.spawn_local(async move {
                let mut took = Vec::with_capacity(each);
                let first = tokio::time::Instant::now() + gap.mul_f64(n as f64 / connections as f64);
                let mut beats = tokio::time::interval_at(first, gap);
                beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
                for _ in 0..each {
                    beats.tick().await;
                    let asked = Instant::now();
                    client.ask(&request, wanted).await?;
                    took.push(asked.elapsed());
                }
                Ok::<_, io::Error>((client, took))
            });
        }
        let mut all = Vec::with_capacity(count);
        for result in asking.join_all().await {
            let (client, took) = result?;
            self.clients.push(client);
            all.extend(took);
        }
        Ok(all)
    }
}

/// Open streams, both of their ends.
pub(crate) struct Streams {
    clients: Vec<Client>,
    writers: Vec<TcpStream>,
    event: Vec<u8>,
}

impl Streams {
    /// `count` streams, each of which has received one event.
    pub(crate) async fn open(count: usize, to: SocketAddr, provider: &Provider) -> io::Result<Self> {
        let (request, event) = (request(Wanted::Stream), provider::event());
        let (mut clients, mut writers) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let mut client = Client::connect(to).await?;
            client.socket.write_all(&request).await?;
            // A proxy that refuses tells the client, and nothing comes to the provider.
            let mut writer = tokio::select! {
                writer = provider.next_stream() => writer,
                refused = client.refusal() => return Err(refused),
            };
            writer.write_all(&event).await?;
            client.event().await?;
            clients.push(client);
            writers.push(writer);
        }
        Ok(Self { clients, writers, event })
    }

    /// As many events on every stream. The next is written only when the last has arrived everywhere, so that each is a
    /// read and a write of its own for whoever relays it.
    pub(crate) async fn beat(&mut self, events: usize) -> io::Result<()> {
        for _ in 0..events {
            for writer in &mut self.writers {
                writer.write_all(&self.event).await?;
            }
            for client in &mut self.clients {
                client.event().await?;
            }
        }
        Ok(())
    }
}

impl Client {
    /// Waits for a head that is no success.
    async fn refusal(&mut self) -> io::Error {
        loop {
            if let Err(error) = self.fill().await {
                return error;
            }
            if let Err(refused) = self.is_good() {
                return refused;
            }
        }
    }
}
