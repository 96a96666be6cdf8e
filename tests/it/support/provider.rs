//! A scripted HTTP/1 provider over raw TCP: it records what it is sent, byte for byte, and plays scripts.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::AbortHandle,
};

use super::{
    Script,
    programme::{Asker, Programme},
    script::Step,
    show,
    wire::{Body, End, Head, Wire},
    within,
};

/// A request as the provider saw it.
#[derive(Clone, Default)]
pub(crate) struct Request {
    pub(crate) head: Head,
    pub(crate) body: Body,
}

impl Request {
    /// Everything of it, for finding what must be nowhere.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = [self.head.line.as_slice(), b"\n"].concat();
        for (name, value) in &self.head.fields {
            bytes.extend([name.as_slice(), b": ", value, b"\n"].concat());
        }
        // With the chunks and trailers as they came.
        bytes.extend_from_slice(&self.body.raw);
        bytes
    }

    /// The key that it carries, as OpenAI's dialect has it or as Google's.
    pub(crate) fn key(&self) -> String {
        key_of(&self.head)
    }

    /// The model that its body names.
    pub(crate) fn model(&self) -> String {
        model_of(&self.body.bytes)
    }
}

fn key_of(head: &Head) -> String {
    head.get("authorization").or(head.get("x-goog-api-key")).unwrap_or_default().trim_start_matches("Bearer ").to_owned()
}

fn model_of(body: &[u8]) -> String {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    json["model"].as_str().unwrap_or_default().to_owned()
}

/// Plays the scripts that it is given, first come first served over all connections. Dropping it fails the
/// test if a script was left over, a request came without one, or something went wrong on the way.
pub(crate) struct Provider {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    requests: mpsc::UnboundedReceiver<Request>,
    departures: mpsc::UnboundedReceiver<Instant>,
    accepting: AbortHandle,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        Self::at("127.0.0.1", 0).await.expect("a free port")
    }

    /// At this very place, if nobody else is there.
    pub(crate) async fn at(ip: &str, port: u16) -> Option<Self> {
        Some(Self::on(TcpListener::bind((ip, port)).await.ok()?))
    }

    /// Where somebody listens already.
    pub(crate) fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("a bound socket has an address");
        let (requests_in, requests) = mpsc::unbounded_channel();
        let (departures_in, departures) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared { requests: requests_in, departures: departures_in, ..Shared::new() });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Self { address, shared, requests, departures, accepting }
    }

    /// A provider that answers every request alike.
    pub(crate) async fn always(script: Script) -> Self {
        let provider = Self::start().await;
        provider.otherwise(script);
        provider
    }

    /// Requests without a script of their own get this one.
    pub(crate) fn otherwise(&self, script: Script) {
        self.shared.programme.otherwise(script);
    }

    /// The next request without a script of its own gets this one.
    pub(crate) fn script(&self, script: Script) {
        self.shared.programme.add(script);
    }

    /// Every request with this key gets this one, before all other scripts.
    pub(crate) fn for_key(&self, key: &str, script: Script) {
        self.shared.programme.rule(Asker { key: Some(key.to_owned()), model: None }, script);
    }

    /// Every request for this model does.
    pub(crate) fn for_model(&self, model: &str, script: Script) {
        self.shared.programme.rule(Asker { key: None, model: Some(model.to_owned()) }, script);
    }

    /// Every request with this key for this model does.
    pub(crate) fn for_key_and_model(&self, key: &str, model: &str, script: Script) {
        self.shared.programme.rule(Asker { key: Some(key.to_owned()), model: Some(model.to_owned()) }, script);
    }

    /// It no longer matters who asks.
    pub(crate) fn forget_rules(&self) {
        self.shared.programme.forget_rules();
    }

    /// The requests since it was last asked for one or for all of them. One that was answered after its body was read
    /// is among them.
    pub(crate) fn new_requests(&mut self) -> Vec<Request> {
        std::iter::from_fn(|| self.requests.try_recv().ok()).collect()
    }

    /// The keys of [`Self::new_requests`].
    pub(crate) fn new_keys(&mut self) -> Vec<String> {
        self.new_requests().iter().map(Request::key).collect()
    }

    /// Takes back the scripts that no request has come for; whether there were any.
    pub(crate) fn forget_scripts(&self) -> bool {
        self.shared.programme.forget()
    }

    /// The next request, once it is here as far as its script reads it.
    pub(crate) async fn request(&mut self) -> Request {
        within("a request at the provider", self.requests.recv()).await.expect("the provider is alive")
    }

    /// When the peer of the next `until_left` or `flood` was gone.
    pub(crate) async fn departure(&mut self) -> Instant {
        within("the provider's peer leaves", self.departures.recv()).await.expect("the provider is alive")
    }

    /// Connections taken so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Relaxed)
    }

    /// Requests of which at least a byte has come.
    pub(crate) fn asked(&self) -> usize {
        self.shared.asked.load(Relaxed)
    }

    /// Bytes that all `flood` steps have got rid of.
    pub(crate) fn flooded(&self) -> u64 {
        self.shared.flooded.load(Relaxed)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.accepting.abort();
        self.shared.programme.ends_well();
    }
}

struct Shared {
    programme: Programme<Script>,
    requests: mpsc::UnboundedSender<Request>,
    departures: mpsc::UnboundedSender<Instant>,
    connections: AtomicUsize,
    asked: AtomicUsize,
    flooded: AtomicU64,
}

impl Shared {
    fn new() -> Self {
        Self {
            programme: Programme::default(),
            requests: mpsc::unbounded_channel().0,
            departures: mpsc::unbounded_channel().0,
            connections: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            flooded: AtomicU64::new(0),
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Relaxed);
        let (conversation, shared) = (tokio::spawn(converse(stream, Arc::clone(&shared))), Arc::clone(&shared));
        tokio::spawn(async move {
            if conversation.await.is_err_and(|error| error.is_panic()) {
                shared.programme.complain("a panic, shown above".to_owned());
            }
        });
    }
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    let mut wire = Wire::new(stream);
    while wire.has_more().await {
        shared.asked.fetch_add(1, Relaxed);
        let script = if shared.programme.has_rules() {
            // Who leaves before the end of a request has asked for nothing.
            let Ok((head, body)) = wire.peek().await else { return };
            shared.programme.next_for(&key_of(&head), &model_of(&body))
        } else {
            shared.programme.next()
        };
        let Some(script) = script else {
            return shared.programme.complain(format!("a request without a script: {}", show(&wire.buffer)));
        };
        let exchange = Exchange { wire: &mut wire, shared: &shared, request: Request::default(), told: false };
        match exchange.play(script).await {
            Ok(After::Keep) => {}
            Ok(After::Close) => return,
            Err(what) => return shared.programme.complain(what),
        }
    }
}

/// What becomes of the connection.
#[derive(PartialEq, Eq)]
enum After {
    Keep,
    Close,
}

struct Exchange<'a> {
    wire: &'a mut Wire,
    shared: &'a Shared,
    request: Request,
    /// Whether the story has been told of the request.
    told: bool,
}

impl Exchange<'_> {
    async fn play(mut self, script: Script) -> Result<After, String> {
        for step in script.steps {
            if self.step(step).await? == After::Close {
                return Ok(After::Close);
            }
        }
        self.tell();
        Ok(After::Keep)
    }

    async fn step(&mut self, step: Step) -> Result<After, String> {
        match step {
            Step::ReadHead => {
                self.request.head = self.wire.head().await.map_err(|error| format!("reading a head: {error}"))?;
            }
            Step::ReadBody => {
                self.request.body = self.wire.body(self.request.head.request_framing()).await;
                self.tell();
                if self.request.body.end == End::Truncated {
                    return Err(format!("a body that breaks off: {}", show(&self.request.body.raw)));
                }
            }
            Step::Write(bytes) => self.write(&bytes).await?,
            Step::Offer(bytes) => {
                if self.wire.write(&bytes).await.is_err() {
                    self.tell();
                    return Ok(After::Close);
                }
            }
            Step::Drip(bytes) => {
                for byte in bytes.chunks(1) {
                    self.write(byte).await?;
                    tokio::task::yield_now().await;
                }
            }
            Step::Flood(bytes) => {
                self.tell();
                self.flood(&bytes).await;
                return Ok(self.left());
            }
            Step::Wait(gate) => gate.pass().await,
            Step::Tell(gate) => gate.open(),
            Step::UntilLeft => {
                self.tell();
                self.wire.until_left().await;
                return Ok(self.left());
            }
            Step::Reset => {
                self.tell();
                socket2::SockRef::from(&self.wire.stream).set_linger(Some(Duration::ZERO)).expect("an open socket takes options");
                return Ok(After::Close);
            }
            Step::Close => {
                self.tell();
                return Ok(After::Close);
            }
        }
        Ok(After::Keep)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.wire.write(bytes).await.map_err(|error| format!("the peer left during {}: {error}", show(bytes)))
    }

    /// Ends when the peer has closed: seen by a failed write, or by its half of the connection ending while
    /// no write is possible.
    async fn flood(&mut self, bytes: &Bytes) {
        let Wire { stream, buffer } = &mut *self.wire;
        let (mut read, mut write) = stream.split();
        let writing = async {
            while tokio::io::AsyncWriteExt::write_all(&mut write, bytes).await.is_ok() {
                self.shared.flooded.fetch_add(bytes.len() as u64, Relaxed);
            }
        };
        let leaving = async { while matches!(tokio::io::AsyncReadExt::read_buf(&mut read, buffer).await, Ok(1..)) {} };
        tokio::select! { () = writing => {}, () = leaving => {} }
    }

    fn left(&self) -> After {
        // No one listens any more when the test is over.
        let _ = self.shared.departures.send(Instant::now());
        After::Close
    }

    fn tell(&mut self) {
        if !std::mem::replace(&mut self.told, true) {
            let _ = self.shared.requests.send(self.request.clone());
        }
    }
}
