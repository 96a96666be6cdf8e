//! The connections of one worker to one endpoint.
//!
//! HTTP/1 connections are kept in a stack, so that the warmest is used next and the rest can grow old. HTTP/2
//! connections are kept in a list, and the one with the fewest streams takes the next. Whoever finds nothing free
//! waits in line while a connection is dialled; a dial belongs to the pool, not to who asked for it, so a client that
//! leaves wastes no handshake.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    sync::Arc,
    time::{Duration, Instant},
};

use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;

use super::{
    Endpoint, Failure, Phase, Reason, Resolver, Upload,
    connect::{Io, Offer, Protocol, Stream, connect, known_protocol},
    endpoint::Open,
    http2,
    line::{Line, Place, Turn},
    patient::Patient,
    switch::Own,
};

/// The most that is read from a provider ahead of the client, for each HTTP/1 connection.
const READ_BUFFER: usize = 64 << 10;

/// The most fields in a reply's head.
const MAX_HEADERS: usize = 128;

/// An HTTP/1 connection in use.
pub(super) struct Http1 {
    pub(super) sender: SendRequest<Upload>,
    /// Whether it has carried an exchange before.
    pub(super) used: bool,
    created: Instant,
    pool: Weak<Pool>,
    _driver: Driver,
    _place: Place,
}

impl Http1 {
    /// One that is in no pool, and gets into none.
    pub(super) fn alone(sender: SendRequest<Upload>, driver: Driver, place: Place) -> Self {
        Self { sender, used: false, created: Instant::now(), pool: Weak::new(), _driver: driver, _place: place }
    }
}

/// The task that runs an HTTP/1 connection, ended by `Drop`: hyper would first finish an upload that may never end.
pub(super) struct Driver(pub(super) AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How every HTTP/1 connection is spoken on.
pub(super) fn http1() -> hyper::client::conn::http1::Builder {
    let mut builder = hyper::client::conn::http1::Builder::new();
    builder.preserve_header_case(true).max_headers(MAX_HEADERS).max_buf_size(READ_BUFFER);
    builder
}

/// A connection that was just made.
enum Dialled {
    Http1(SendRequest<Upload>, Driver),
    Http2(Rc<http2::Connection>),
}

struct IdleHttp1 {
    connection: Http1,
    since: Instant,
}

/// What an exchange holds: a whole HTTP/1 connection or one HTTP/2 stream. Dropping it ends the exchange.
pub(super) enum Hold {
    Http1(Http1),
    Http2(http2::Slot),
}

impl Hold {
    /// The exchange is complete: the connection may carry the next.
    pub(super) fn give_back(self) {
        if let Self::Http1(connection) = self
            && let Some(pool) = connection.pool.upgrade()
        {
            pool.put_back(connection);
        }
    }
}

/// The connections of one worker to one endpoint.
pub(super) struct Pool {
    endpoint: Arc<Endpoint>,
    resolver: Resolver,
    /// This worker's share of the endpoint's connections.
    max: usize,
    /// Learned from the first connection where the config leaves it open.
    protocol: Cell<Option<Protocol>>,
    idle: RefCell<Vec<IdleHttp1>>,
    multiplexed: RefCell<Vec<Rc<http2::Connection>>>,
    dialing: Cell<usize>,
    line: Rc<Line>,
}

impl Pool {
    pub(super) fn new(endpoint: Arc<Endpoint>, resolver: Resolver, workers: usize) -> Rc<Self> {
        let max = (endpoint.bounds.max.get() / workers).max(1);
        let protocol = Cell::new(known_protocol(&endpoint));
        Rc::new(Self {
            endpoint,
            resolver,
            max,
            protocol,
            idle: RefCell::default(),
            multiplexed: RefCell::default(),
            dialing: Cell::default(),
            line: Rc::default(),
        })
    }

    /// A connection or stream that is free, or the next to become so within the `connect` timeout.
    pub(super) async fn checkout(self: &Rc<Self>) -> Result<Hold, Failure> {
        if let Some(hold) = self.take() {
            return Ok(hold);
        }
        let deadline = tokio::time::Instant::now() + self.endpoint.connect_timeout();
        let turn = Turn::of(&self.line);
        loop {
            let told = self.line.join();
            self.dial_if_wanted();
            match tokio::time::timeout_at(deadline, told).await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(failure))) => return Err(failure),
                Ok(Err(_)) | Err(_) => return Err(Failure::new(Phase::Connect, Reason::Timeout)),
            }
            if let Some(hold) = self.take() {
                turn.used();
                return Ok(hold);
            }
        }
    }

    fn take(self: &Rc<Self>) -> Option<Hold> {
        if self.protocol.get() == Some(Protocol::Http2) { self.take_stream().map(Hold::Http2) } else { self.take_idle().map(Hold::Http1) }
    }

    fn take_idle(&self) -> Option<Http1> {
        let mut idle = self.idle.borrow_mut();
        let now = Instant::now();
        while let Some(candidate) = idle.pop() {
            if candidate.connection.sender.is_ready() && !self.is_stale(&candidate, now) {
                return Some(candidate.connection);
            }
        }
        None
    }

    fn take_stream(self: &Rc<Self>) -> Option<http2::Slot> {
        let cap = self.endpoint.bounds.streams.get();
        let mut multiplexed = self.multiplexed.borrow_mut();
        multiplexed.retain(|connection| !connection.is_done());
        let free = multiplexed.iter().filter(|connection| connection.room(cap) > 0);
        free.min_by_key(|connection| connection.in_flight()).map(|connection| http2::Slot::take(connection, &self.line))
    }

    fn is_stale(&self, idle: &IdleHttp1, now: Instant) -> bool {
        let bounds = &self.endpoint.bounds;
        now.saturating_duration_since(idle.since) >= bounds.idle.0
            || now.saturating_duration_since(idle.connection.created) >= bounds.max_age.0
    }

    fn put_back(self: &Rc<Self>, mut connection: Http1) {
        connection.used = true;
        if connection.sender.is_ready() {
            return self.keep(connection);
        }
        // hyper has not yet seen that the exchange is over; or the reply came early and the upload still goes on, which
        // takes as long as the client likes, but not for ever.
        let pool = Rc::clone(self);
        tokio::task::spawn_local(async move {
            if let Ok(Ok(())) = tokio::time::timeout(pool.idle_timeout(), connection.sender.ready()).await {
                pool.keep(connection);
            }
        });
    }

    fn keep(&self, connection: Http1) {
        self.idle.borrow_mut().push(IdleHttp1 { connection, since: Instant::now() });
        self.line.tell_one(Ok(()));
    }

    /// One dial for each who waits on HTTP/1. On HTTP/2, or while the protocol is unknown, one at a time: its streams may serve them all.
    fn dial_if_wanted(self: &Rc<Self>) {
        let dialing = self.dialing.get();
        let wanted = match self.protocol.get() {
            Some(Protocol::Http1) => dialing < self.line.len(),
            _ => dialing == 0,
        };
        if !wanted {
            return;
        }
        let Some(place) = Place::take(&self.line, self.max) else { return };
        self.dialing.set(dialing + 1);
        let pool = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let dialled = pool.dial().await;
            pool.dialing.set(pool.dialing.get() - 1);
            match dialled {
                Ok(dialled) => pool.admit(dialled, place),
                Err(failure) => {
                    pool.endpoint.observer.failed();
                    // On HTTP/1 the dial was meant for one, else for all who wait.
                    match pool.protocol.get() {
                        Some(Protocol::Http1) => pool.line.tell_one(Err(failure)),
                        _ => pool.line.tell_all(&Err(failure)),
                    }
                    // Only now: the place is for who comes next, not for a second try.
                    drop(place);
                }
            }
        });
    }

    fn admit(self: &Rc<Self>, dialled: Dialled, place: Place) {
        let protocol = match dialled {
            Dialled::Http1(sender, driver) => {
                let pool = Rc::downgrade(self);
                self.keep(Http1 { sender, used: false, created: Instant::now(), pool, _driver: driver, _place: place });
                Protocol::Http1
            }
            Dialled::Http2(connection) => {
                connection.settle(place);
                self.multiplexed.borrow_mut().push(connection);
                Protocol::Http2
            }
        };
        let before = self.protocol.replace(Some(protocol));
        // One who waits has heard of an HTTP/1 connection; anything else is news for all.
        if (before, protocol) != (Some(Protocol::Http1), Protocol::Http1) {
            self.line.tell_all(&Ok(()));
        }
    }

    /// A connection for one exchange alone, which may become something else than HTTP.
    pub(super) async fn dial_own(&self) -> Result<Own, Failure> {
        let deadline = tokio::time::Instant::now() + self.endpoint.connect_timeout();
        let dialling = async {
            let place = self.place_of_its_own().await?;
            let own = match connect(&self.endpoint, &self.resolver, Offer::Http1).await? {
                (Stream::Plain(io), _) => Own::over(io, place, Open::count(&self.endpoint.observer)).await,
                (Stream::Tls(io), _) => Own::over(io, place, Open::count(&self.endpoint.observer)).await,
            };
            own.map_err(|error| Failure::because(Phase::Connect, Reason::Closed, error))
        };
        let dialled = tokio::time::timeout_at(deadline, dialling).await;
        dialled.unwrap_or_else(|_| Err(Failure::new(Phase::Connect, Reason::Timeout))).inspect_err(|_| self.endpoint.observer.failed())
    }

    /// A place for one more connection: a free one, that of the connection that is longest unused, or the next to become free.
    async fn place_of_its_own(&self) -> Result<Place, Failure> {
        let turn = Turn::of(&self.line);
        loop {
            if let Some(place) = Place::take(&self.line, self.max) {
                turn.used();
                return Ok(place);
            }
            let unused = { Some(&mut *self.idle.borrow_mut()).filter(|idle| !idle.is_empty()).map(|idle| idle.remove(0)) };
            if unused.is_none() {
                self.line.join().await.map_err(|_| Failure::new(Phase::Connect, Reason::Timeout))??;
            }
        }
    }

    async fn dial(&self) -> Result<Dialled, Failure> {
        let dialling = async {
            match connect(&self.endpoint, &self.resolver, Offer::Configured).await? {
                (Stream::Plain(io), protocol) => self.speak(io, protocol).await,
                (Stream::Tls(io), protocol) => self.speak(io, protocol).await,
            }
        };
        let dialled = tokio::time::timeout(self.endpoint.connect_timeout(), dialling).await;
        dialled.unwrap_or_else(|_| Err(Failure::new(Phase::Connect, Reason::Timeout)))
    }

    async fn speak(&self, io: impl Io + 'static, protocol: Protocol) -> Result<Dialled, Failure> {
        match protocol {
            Protocol::Http1 => {
                let spoken = self.speak_http1(io).await;
                spoken.map_err(|error| Failure::because(Phase::Connect, Reason::Closed, error))
            }
            Protocol::Http2 => {
                let (connection, running) = http2::handshake(io, &self.line).await?;
                self.drive(running);
                Ok(Dialled::Http2(connection))
            }
        }
    }

    async fn speak_http1(&self, io: impl Io + 'static) -> hyper::Result<Dialled> {
        let (mut sender, driver) = http1().handshake(TokioIo::new(Patient::new(io))).await?;
        let driver = Driver(self.drive(driver));
        sender.ready().await?;
        Ok(Dialled::Http1(sender, driver))
    }

    /// Runs a connection to its end as a task of its own. Errors reach the exchange that they hit; between exchanges they
    /// only mean that the connection is gone.
    fn drive(&self, driver: impl Future<Output = hyper::Result<()>> + 'static) -> AbortHandle {
        let open = Open::count(&self.endpoint.observer);
        let driving = async move {
            drop(driver.await);
            drop(open);
        };
        tokio::task::spawn_local(driving).abort_handle()
    }

    /// Closes what has been unused or has lived for too long.
    pub(super) fn sweep(&self, now: Instant) {
        self.idle.borrow_mut().retain(|idle| !idle.connection.sender.is_closed() && !self.is_stale(idle, now));
        let bounds = &self.endpoint.bounds;
        let mut multiplexed = self.multiplexed.borrow_mut();
        for connection in multiplexed.iter() {
            let unused = connection.in_flight() == 0 && now.saturating_duration_since(connection.unused_since.get()) >= bounds.idle.0;
            if unused || connection.age(now) >= bounds.max_age.0 {
                connection.retire();
            }
        }
        multiplexed.retain(|connection| !connection.is_done());
    }

    /// Whether it holds nothing and nobody needs it.
    pub(super) fn is_unused(&self) -> bool {
        self.line.taken() == 0 && self.dialing.get() == 0 && self.line.len() == 0
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        self.endpoint.timeouts.idle.0
    }
}
