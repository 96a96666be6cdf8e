//! A scripted HTTP/2 provider (plain text, prior knowledge) on the `h2` crate.

use std::{
    future::poll_fn,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server};
use http::{HeaderMap, Request};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{broadcast, mpsc},
    task::AbortHandle,
};

use super::{
    H2Script,
    h2_script::H2Step,
    programme::{Asker, Programme},
    within,
};

/// A request as the provider saw it.
pub(crate) struct H2Request {
    pub(crate) head: http::request::Parts,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
    /// Which connection it came on, counted from 1.
    pub(crate) connection: usize,
}

impl H2Request {
    /// The key that it carries as OpenAI's dialect has it.
    pub(crate) fn key(&self) -> String {
        key_of(&self.head.headers)
    }
}

fn key_of(fields: &HeaderMap) -> String {
    let value = fields.get("authorization").map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    value.unwrap_or_default().trim_start_matches("Bearer ").to_owned()
}

/// Plays scripts, first come first served over all streams. Dropping it fails the test if a script was left over,
/// a request came without one, or something went wrong on the way.
pub(crate) struct H2Provider {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    requests: mpsc::UnboundedReceiver<H2Request>,
    departures: mpsc::UnboundedReceiver<Instant>,
    accepting: AbortHandle,
}

struct Shared {
    programme: Programme<H2Script>,
    requests: mpsc::UnboundedSender<H2Request>,
    departures: mpsc::UnboundedSender<Instant>,
    going_away: broadcast::Sender<()>,
    connections: AtomicUsize,
    open_connections: AtomicUsize,
    flooded: AtomicU64,
}

impl H2Provider {
    pub(crate) async fn start(builder: server::Builder) -> Self {
        Self::at("127.0.0.1", 0, builder).await.expect("a free port")
    }

    /// At this very place, if nobody else is there.
    pub(crate) async fn at(ip: &str, port: u16, builder: server::Builder) -> Option<Self> {
        let listener = TcpListener::bind((ip, port)).await.ok()?;
        let address = listener.local_addr().expect("a bound socket has an address");
        let (requests_in, requests) = mpsc::unbounded_channel();
        let (departures_in, departures) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            programme: Programme::default(),
            requests: requests_in,
            departures: departures_in,
            going_away: broadcast::channel(1).0,
            connections: AtomicUsize::new(0),
            open_connections: AtomicUsize::new(0),
            flooded: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, builder, Arc::clone(&shared))).abort_handle();
        Some(Self { address, shared, requests, departures, accepting })
    }

    /// A provider that answers every request alike.
    pub(crate) async fn always(builder: server::Builder, script: H2Script) -> Self {
        let provider = Self::start(builder).await;
        provider.otherwise(script);
        provider
    }

    /// Requests without a script of their own get this one.
    pub(crate) fn otherwise(&self, script: H2Script) {
        self.shared.programme.otherwise(script);
    }

    /// The next request without a script of its own gets this one.
    pub(crate) fn script(&self, script: H2Script) {
        self.shared.programme.add(script);
    }

    /// Every request with this key gets this one, before all other scripts.
    pub(crate) fn for_key(&self, key: &str, script: H2Script) {
        self.shared.programme.rule(Asker { key: Some(key.to_owned()), model: None }, script);
    }

    /// The keys of the requests since it was last asked for one or for all of them.
    pub(crate) fn new_keys(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.requests.try_recv().ok()).map(|request| request.key()).collect()
    }

    /// Takes back the scripts that no request has come for; whether there were any.
    pub(crate) fn forget_scripts(&self) -> bool {
        self.shared.programme.forget()
    }

    /// Sends GOAWAY on every connection; streams that are open may end (RFC 9113 §6.8).
    pub(crate) fn go_away(&self) {
        let _ = self.shared.going_away.send(());
    }

    /// The next request, once it is here as far as its script reads it.
    pub(crate) async fn request(&mut self) -> H2Request {
        within("a request at the provider", self.requests.recv()).await.expect("the provider is alive")
    }

    /// When the peer gave the next stream up.
    pub(crate) async fn departure(&mut self) -> Instant {
        within("the provider's peer gives a stream up", self.departures.recv()).await.expect("the provider is alive")
    }

    /// Connections taken so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Relaxed)
    }

    /// Connections that have not ended.
    pub(crate) fn open_connections(&self) -> usize {
        self.shared.open_connections.load(Relaxed)
    }

    /// Bytes that all `flood` steps have got rid of.
    pub(crate) fn flooded(&self) -> u64 {
        self.shared.flooded.load(Relaxed)
    }
}

impl Drop for H2Provider {
    fn drop(&mut self) {
        self.accepting.abort();
        self.shared.programme.ends_well();
    }
}

async fn accept(listener: TcpListener, builder: server::Builder, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let connection = shared.connections.fetch_add(1, Relaxed) + 1;
        tokio::spawn(converse(stream, builder.clone(), connection, Arc::clone(&shared)));
    }
}

async fn converse(stream: TcpStream, builder: server::Builder, connection: usize, shared: Arc<Shared>) {
    stream.set_nodelay(true).expect("a fresh socket takes options");
    let mut going_away = shared.going_away.subscribe();
    let Ok(mut streams) = builder.handshake::<_, Bytes>(stream).await else {
        return shared.programme.complain("a connection that does not speak HTTP/2".to_owned());
    };
    shared.open_connections.fetch_add(1, Relaxed);
    loop {
        tokio::select! {
            Ok(()) = going_away.recv() => streams.graceful_shutdown(),
            accepted = streams.accept() => {
                // An error here is the peer's way to leave; streams that it hurts have seen it themselves.
                let Some(Ok((request, respond))) = accepted else { break };
                let Some(script) = shared.programme.next_for(&key_of(request.headers()), "") else {
                    shared.programme.complain(format!("a request without a script: {request:?}"));
                    break;
                };
                let stream = Stream::new(request, respond, connection, Arc::clone(&shared));
                let (playing, shared) = (tokio::spawn(stream.play(script)), Arc::clone(&shared));
                tokio::spawn(async move {
                    if playing.await.is_err_and(|error| error.is_panic()) {
                        shared.programme.complain("a panic, shown above".to_owned());
                    }
                });
            }
        }
    }
    shared.open_connections.fetch_sub(1, Relaxed);
}

/// One stream under way.
struct Stream {
    head: Option<http::request::Parts>,
    upload: RecvStream,
    respond: server::SendResponse<Bytes>,
    send: Option<SendStream<Bytes>>,
    connection: usize,
    shared: Arc<Shared>,
}

impl Stream {
    fn new(request: Request<RecvStream>, respond: server::SendResponse<Bytes>, connection: usize, shared: Arc<Shared>) -> Self {
        let (head, upload) = request.into_parts();
        Self { head: Some(head), upload, respond, send: None, connection, shared }
    }

    async fn play(mut self, script: H2Script) {
        for step in script.steps {
            match self.step(step).await {
                Ok(()) => {}
                Err(Gone::Left) => {
                    // No one listens any more when the test is over.
                    let _ = self.shared.departures.send(Instant::now());
                    return;
                }
                Err(Gone::Wrong(what)) => return self.shared.programme.complain(what),
            }
        }
        self.tell(Vec::new(), None);
    }

    async fn step(&mut self, step: H2Step) -> Result<(), Gone> {
        match step {
            H2Step::ReadBody => self.read_body().await,
            H2Step::Interim(reply) => self.respond.send_informational(reply).map_err(|error| Gone::wrong("an interim reply", &error)),
            H2Step::Head { reply, last } => {
                self.send = Some(self.respond.send_response(reply, last).map_err(|error| Gone::wrong("a head", &error))?);
                Ok(())
            }
            H2Step::Data { bytes, last } => self.send(bytes, last).await,
            H2Step::Flood(bytes) => {
                self.tell(Vec::new(), None);
                loop {
                    self.send(bytes.clone(), false).await?;
                    self.shared.flooded.fetch_add(bytes.len() as u64, Relaxed);
                }
            }
            H2Step::Trailers(fields) => self.stream()?.send_trailers(fields).map_err(|error| Gone::wrong("trailers", &error)),
            H2Step::Wait(gate) => {
                gate.pass().await;
                Ok(())
            }
            H2Step::Tell(gate) => {
                gate.open();
                Ok(())
            }
            H2Step::UntilLeft => {
                self.tell(Vec::new(), None);
                self.until_left().await;
                Err(Gone::Left)
            }
            H2Step::Reset(reason) => {
                self.tell(Vec::new(), None);
                match &mut self.send {
                    Some(send) => send.send_reset(reason),
                    None => self.respond.send_reset(reason),
                }
                Ok(())
            }
        }
    }

    async fn read_body(&mut self) -> Result<(), Gone> {
        let mut body = Vec::new();
        while let Some(part) = self.upload.data().await {
            let part = part.map_err(|error| Gone::wrong("reading a body", &error))?;
            let _ = self.upload.flow_control().release_capacity(part.len());
            body.extend_from_slice(&part);
        }
        let trailers = self.upload.trailers().await.map_err(|error| Gone::wrong("reading trailers", &error))?;
        self.tell(body, trailers);
        Ok(())
    }

    /// Sends as the peer's windows allow; ends with [`Gone::Left`] when the peer gives the stream up.
    async fn send(&mut self, mut bytes: Bytes, last: bool) -> Result<(), Gone> {
        let stream = self.stream()?;
        while !bytes.is_empty() {
            stream.reserve_capacity(bytes.len());
            let Some(Ok(capacity)) = poll_fn(|context| stream.poll_capacity(context)).await else { return Err(Gone::Left) };
            let part = bytes.split_to(capacity.min(bytes.len()));
            let end = last && bytes.is_empty();
            stream.send_data(part, end).map_err(|_| Gone::Left)?;
            if end {
                return Ok(());
            }
        }
        if last { stream.send_data(bytes, true).map_err(|_| Gone::Left) } else { Ok(()) }
    }

    async fn until_left(&mut self) {
        // The reason does not matter: whatever it is, the stream is over.
        let _: Result<Reason, h2::Error> = match &mut self.send {
            Some(send) => poll_fn(|context| send.poll_reset(context)).await,
            None => poll_fn(|context| self.respond.poll_reset(context)).await,
        };
    }

    fn stream(&mut self) -> Result<&mut SendStream<Bytes>, Gone> {
        self.send.as_mut().ok_or_else(|| Gone::Wrong("a script that sends a body before a head".to_owned()))
    }

    fn tell(&mut self, body: Vec<u8>, trailers: Option<HeaderMap>) {
        if let Some(head) = self.head.take() {
            let _ = self.shared.requests.send(H2Request { head, body, trailers, connection: self.connection });
        }
    }
}

/// Why a script ended early.
enum Gone {
    Left,
    Wrong(String),
}

impl Gone {
    fn wrong(during: &str, error: &h2::Error) -> Self {
        Self::Wrong(format!("{during}: {error}"))
    }
}
