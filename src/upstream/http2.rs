//! HTTP/2 connections to a provider: the settings that survive streams of small frames, and the counting of streams.
//!
//! hyper's readiness does not mean that a stream is free, so streams are counted here. Each number below was measured
//! against the protections of the `h2` crate that a proxy for token streams runs into.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    net::IpAddr,
    pin::Pin,
    rc::Rc,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};

use super::{
    Failure, Phase, Reason, Upload,
    connect::Io,
    line::{Line, Place},
};

/// Stands for "the provider has not said yet how many streams it allows": a number no peer would choose.
const UNKNOWN: usize = 0x00ab_cdef;

/// What one stalled reader may leave unread on this connection. Events of 150 bytes take three to four times their size in
/// memory: measured for each of 500 stalled readers, 64 KiB cost up to 270 KiB, 256 KiB 730. Where streams are interleaved it
/// can be several times as much, since each unread frame keeps the whole read buffer that it came in.
const STREAM_WINDOW: u32 = 48 << 10;

/// The largest window (RFC 9113 §6.9.1). The `h2` crate charges small unread frames against half of it and ends the
/// connection when that is spent; with hyper's default, two stalled readers of 150-byte events do.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// How many cancelled streams are remembered, and for how long, so that frames still under way for them are no error.
/// With hyper's default of 50, 180 cancels within a second end the connection.
const REMEMBERED_RESETS: (usize, Duration) = (4_096, Duration::from_secs(30));

/// How many frames for streams that were forgotten all the same are forgiven over a connection's life.
const FORGIVEN_RESETS: usize = 65_536;

/// How often a quiet connection with open streams is asked whether it lives, and how long it may take to answer.
const PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// One HTTP/2 connection.
pub(super) struct Connection {
    sender: SendRequest<Upload>,
    in_flight: Cell<usize>,
    /// How many streams the provider allows.
    allowed: Cell<usize>,
    created: Instant,
    /// The address that it leads to, where one was looked up.
    pub(super) address: Cell<Option<IpAddr>>,
    /// When its last stream ended.
    pub(super) unused_since: Cell<Instant>,
    /// Gone once it takes no new stream. Then it closes when its last one ends, and another may be made in its place.
    place: RefCell<Option<Place>>,
}

impl Connection {
    pub(super) fn sender(&self) -> SendRequest<Upload> {
        self.sender.clone()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.get()
    }

    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.created)
    }

    /// Makes it one of the pool's.
    pub(super) fn settle(&self, place: Place) {
        self.place.replace(Some(place));
    }

    /// Lets it finish what it carries, and no more.
    pub(super) fn retire(&self) {
        self.place.take();
    }

    fn is_retiring(&self) -> bool {
        self.place.borrow().is_none()
    }

    pub(super) fn is_done(&self) -> bool {
        self.sender.is_closed() || self.is_retiring() && self.in_flight.get() == 0
    }

    /// Streams that may be opened now, at most `cap` in all.
    pub(super) fn room(&self, cap: usize) -> usize {
        if self.is_retiring() || self.sender.is_closed() {
            return 0;
        }
        self.allowed.get().min(cap).saturating_sub(self.in_flight.get())
    }
}

/// One stream's place on a connection, given back by `Drop`.
pub(super) struct Slot {
    pub(super) connection: Rc<Connection>,
    line: Rc<Line>,
}

impl Slot {
    pub(super) fn take(connection: &Rc<Connection>, line: &Rc<Line>) -> Self {
        connection.in_flight.set(connection.in_flight.get() + 1);
        Self { connection: Rc::clone(connection), line: Rc::clone(line) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connection.in_flight.set(self.connection.in_flight.get() - 1);
        self.connection.unused_since.set(Instant::now());
        self.line.tell_one(Ok(()));
    }
}

/// Runs hyper's tasks on the worker that owns the connection.
#[derive(Clone, Copy, Debug)]
pub struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// Runs hyper's tasks for one connection, and wakes the connection's driver after each step until the provider has
/// said how many streams it allows: its SETTINGS are read by one of these tasks, and can be asked for only in the driver.
#[derive(Clone, Default)]
struct Attentive(Rc<RefCell<Option<Waker>>>);

impl<F: Future + 'static> hyper::rt::Executor<F> for Attentive {
    fn execute(&self, future: F) {
        let driver = Rc::clone(&self.0);
        tokio::task::spawn_local(async move {
            let mut future = std::pin::pin!(future);
            poll_fn(|cx| {
                let polled = future.as_mut().poll(cx);
                if let Some(waker) = driver.borrow_mut().take() {
                    waker.wake();
                }
                polled
            })
            .await
        });
    }
}

/// What runs a connection to its end.
pub(super) type Running = Pin<Box<dyn Future<Output = hyper::Result<()>>>>;

/// Speaks HTTP/2 over `io` and waits for the provider's SETTINGS, with which it must begin (RFC 9113 §3.4): before them
/// nobody knows how many streams it allows, or whether it speaks HTTP/2 at all. Those in `line` hear when that changes.
///
/// Cancel: dropping the future closes the connection.
pub(super) async fn handshake<I: Io + 'static>(io: I, line: &Rc<Line>) -> Result<(Rc<Connection>, Running), Failure> {
    let failed = |error| Failure::because(Phase::Connect, Reason::Closed, error);
    let executor = Attentive::default();
    let (sender, driver) = Builder::new(executor.clone())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_max_send_streams(UNKNOWN)
        .max_concurrent_reset_streams(REMEMBERED_RESETS.0)
        .reset_stream_duration(REMEMBERED_RESETS.1)
        .max_local_error_reset_streams(FORGIVEN_RESETS)
        .max_header_list_size(64 << 10)
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1)
        .handshake(TokioIo::new(io))
        .await
        .map_err(failed)?;
    let now = Instant::now();
    let connection = Rc::new(Connection {
        sender,
        in_flight: Cell::new(0),
        allowed: Cell::new(UNKNOWN),
        created: now,
        address: Cell::default(),
        unused_since: Cell::new(now),
        place: RefCell::default(),
    });
    let (watched, line) = (Rc::downgrade(&connection), Rc::clone(line));
    let mut driver = Box::pin(driver);
    let mut running: Running = Box::pin(poll_fn(move |cx| {
        let polled = driver.as_mut().poll(cx);
        let allowed = driver.current_max_send_streams();
        if allowed == UNKNOWN {
            *executor.0.borrow_mut() = Some(cx.waker().clone());
        }
        if let Some(connection) = watched.upgrade() {
            if connection.allowed.replace(allowed) != allowed {
                line.tell_all(&Ok(()));
            }
            if polled.is_ready() {
                connection.retire();
            }
        }
        polled
    }));
    poll_fn(|cx| match running.as_mut().poll(cx) {
        Poll::Ready(ended) => Poll::Ready(Err(ended.map_or_else(failed, |()| Failure::new(Phase::Connect, Reason::Closed)))),
        Poll::Pending if connection.allowed.get() == UNKNOWN => Poll::Pending,
        Poll::Pending => Poll::Ready(Ok(())),
    })
    .await?;
    Ok((connection, running))
}
