//! The connections of one worker to one endpoint.
//!
//! HTTP/1 connections are kept in a stack, so that the warmest is used next and the rest can grow old. HTTP/2
//! connections are kept in a list, and the one with the fewest streams takes the next. Whoever finds nothing free
//! waits in line while a connection is dialled; a dial belongs to the pool, not to who asked for it, so a client that
//! leaves wastes no handshake. When the name of the endpoint has other addresses, connections to the old ones get no request
//! more.

use std::{
    cell::{Cell, RefCell},
    net::IpAddr,
    rc::{Rc, Weak},
    sync::Arc,
    time::{Duration, Instant},
};

use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;

use super::{
    Endpoint, Failure, Phase, Reason, Resolver, Upload,
    addresses::Newest,
    connect::{Connected, Io, Offer, Protocol, Stream, connect, known_protocol},
    endpoint::Open,
    http2,
    line::{Line, Place, Turn},
    patient::Patient,
};

/// The most that is read from a provider ahead of the client, for each HTTP/1 connection.
const READ_BUFFER: usize = 64 << 10;

/// An HTTP/1 connection in use.
pub(super) struct Http1 {
    pub(super) sender: SendRequest<Upload>,
    /// Whether it has carried an exchange before.
    pub(super) used: bool,
    created: Instant,
    pub(super) address: Option<IpAddr>,
    pool: Weak<Pool>,
    _driver: Driver,
    _place: Place,
}

impl Http1 {
    /// One that is in no pool, and gets into none.
    pub(super) fn alone(sender: SendRequest<Upload>, driver: Driver, place: Place) -> Self {
        Self { sender, used: false, created: Instant::now(), address: None, pool: Weak::new(), _driver: driver, _place: place }
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
pub(super) fn http1(endpoint: &Endpoint) -> hyper::client::conn::http1::Builder {
    let mut builder = hyper::client::conn::http1::Builder::new();
    // hyper parses up to 100 fields without an allocation; any other bound costs a large one for each head.
    builder.preserve_header_case(endpoint.keep_case).max_buf_size(READ_BUFFER);
    builder
}

/// A connection that was just made.
enum Dialled {
    Http1(SendRequest<Upload>, Driver),
    Http2(Rc<http2::Connection>),
}

pub(super) struct IdleHttp1 {
    pub(super) connection: Http1,
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
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) resolver: Resolver,
    /// This worker's share of the endpoint's connections.
    pub(super) max: usize,
    /// Learned from the first connection where the config leaves it open.
    protocol: Cell<Option<Protocol>>,
    pub(super) idle: RefCell<Vec<IdleHttp1>>,
    pub(super) multiplexed: RefCell<Vec<Rc<http2::Connection>>>,
    dialing: Cell<usize>,
    pub(super) line: Rc<Line>,
    pub(super) newest: Newest,
    renewals: Cell<u64>,
    renewed: Cell<Option<Instant>>,
}

impl Pool {
    pub(super) fn new(endpoint: Arc<Endpoint>, resolver: Resolver, workers: usize) -> Rc<Self> {
        let max = (endpoint.bounds.max.get() / workers).max(1);
        let protocol = Cell::new(known_protocol(&endpoint));
        let renewals = Cell::new(endpoint.renewals());
        let pool = Rc::new(Self {
            endpoint,
            renewals,
            renewed: Cell::default(),
            resolver,
            max,
            protocol,
            idle: RefCell::default(),
            multiplexed: RefCell::default(),
            dialing: Cell::default(),
            line: Rc::default(),
            newest: Newest::default(),
        });
        pool.newest.follow(&pool.endpoint, &pool.resolver, Rc::downgrade(&pool));
        pool
    }

    /// Waits for the next connection or stream to become free, within the `connect` timeout.
    pub(super) async fn checkout(self: &Rc<Self>) -> Result<Hold, Failure> {
        let deadline = tokio::time::Instant::now() + self.endpoint.connect_timeout();
        let turn = Turn::of(&self.line);
        loop {
            let told = self.line.join();
            self.dial_if_wanted();
            match tokio::time::timeout_at(deadline, told).await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(failure))) => return Err(failure),
                Ok(Err(_)) | Err(_) => return Err(Failure::new(Phase::Connect, self.why_late())),
            }
            if let Some(hold) = self.take(Instant::now()) {
                turn.used();
                return Ok(hold);
            }
        }
    }

    /// Why nobody was served in time: the provider does not take the connection, or ours are all in use.
    fn why_late(&self) -> Reason {
        if self.dialing.get() == 0 && self.line.taken() >= self.max { Reason::Full } else { Reason::Timeout }
    }

    /// A connection or stream that is free now.
    pub(super) fn take(self: &Rc<Self>, now: Instant) -> Option<Hold> {
        if self.protocol.get() == Some(Protocol::Http2) {
            self.take_stream().map(Hold::Http2)
        } else {
            self.take_idle(now).map(Hold::Http1)
        }
    }

    fn take_idle(&self, now: Instant) -> Option<Http1> {
        let mut idle = self.idle.borrow_mut();
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
            || self.renewed.get().is_some_and(|renewed| idle.connection.created <= renewed)
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
        if connection.used && (self.endpoint.is_retired() || !self.newest.holds(connection.address)) {
            return;
        }
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
                Ok((dialled, address)) => pool.admit(dialled, address, place),
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

    /// It serves at least who waits for it, wherever it leads.
    fn admit(self: &Rc<Self>, dialled: Dialled, address: Option<IpAddr>, place: Place) {
        let protocol = match dialled {
            Dialled::Http1(sender, driver) => {
                let pool = Rc::downgrade(self);
                self.keep(Http1 { sender, used: false, created: Instant::now(), address, pool, _driver: driver, _place: place });
                Protocol::Http1
            }
            Dialled::Http2(connection) => {
                connection.settle(place);
                connection.address.set(address);
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

    async fn dial(&self) -> Result<(Dialled, Option<IpAddr>), Failure> {
        let dialling = async {
            let Connected { stream, protocol, address } = connect(&self.endpoint, &self.resolver, Offer::Configured).await?;
            let dialled = match stream {
                Stream::Plain(io) => self.speak(io, protocol).await,
                Stream::Tls(io) => self.speak(io, protocol).await,
                Stream::Unix(io) => self.speak(io, protocol).await,
            };
            Ok((dialled?, address))
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
        let (mut sender, driver) = http1(&self.endpoint).handshake(TokioIo::new(Patient::new(io))).await?;
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

    /// Closes what has been unused or has lived for too long, and lets what was agreed on under other certificates end
    /// with the exchanges that it carries.
    pub(super) fn sweep(&self, now: Instant) {
        let renewals = self.endpoint.renewals();
        let renewed = self.renewals.replace(renewals) != renewals;
        if renewed {
            self.renewed.set(Some(now));
        }
        // What still runs from before may dial once more, but nothing waits for another request.
        let retired = self.endpoint.is_retired();
        self.idle.borrow_mut().retain(|idle| !retired && !idle.connection.sender.is_closed() && !self.is_stale(idle, now));
        let bounds = &self.endpoint.bounds;
        let mut multiplexed = self.multiplexed.borrow_mut();
        for connection in multiplexed.iter() {
            let unused = connection.in_flight() == 0 && now.saturating_duration_since(connection.unused_since.get()) >= bounds.idle.0;
            if unused || renewed || retired || connection.age(now) >= bounds.max_age.0 {
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
