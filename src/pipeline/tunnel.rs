//! Step 9 of a WebSocket: bytes both ways, as they come, until one side ends them.
//!
//! Each direction has one buffer of a fixed size. It is read into when it is empty, so a reader that is slow on one side
//! slows the other down. Frames are not looked at: close codes, pings and extensions are between client and provider.
//!
//! Ends are seen on the other side. Who has ended its sending in order is told on to the other, who then has [`LINGER`] to
//! finish; who broke off ends the other at once, behind what was read before. In a closing handshake (RFC 6455 §7.1.1)
//! the server ends the connection first, so a client that does has left.
//!
//! Cancel: dropping the future ends both connections and settles the request as *left*.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{settle::Settlement, trail::End};
use crate::upstream::{Switched, body::Progress};

/// What is read ahead of a reader, in each direction.
const BUFFER: usize = 16 << 10;

/// How long one side may still send when the other has ended.
const LINGER: Duration = Duration::from_secs(5);

/// A WebSocket that the provider has granted.
#[derive(Debug)]
pub struct Tunnel {
    provider: Switched,
    /// How long it may be silent both ways, and how long the provider may take nothing.
    idle: Duration,
    /// Counts what goes up.
    progress: Rc<Progress>,
    settlement: Settlement,
}

impl Tunnel {
    /// A tunnel to `provider`; the request is settled at its end.
    #[must_use]
    pub fn new(provider: Switched, idle: Duration, progress: Rc<Progress>, settlement: Settlement) -> Self {
        Self { provider, idle, progress, settlement }
    }

    /// Carries bytes until one side ends them. Run it once the 101 has gone down.
    pub async fn run(self: Box<Self>, client: impl AsyncRead + AsyncWrite + Unpin) {
        let Self { mut provider, idle, progress, mut settlement } = *self;
        let early = std::mem::take(&mut provider.early);
        let mut both = Both { up: Flow::new(Bytes::new()), down: Flow::new(early), first: None };
        let passed = |sent, received| {
            progress.add(sent);
            settlement.passed(received);
        };
        let end = both.carry(client, &mut provider.io, idle, passed).await;
        settlement.finish(end);
    }
}

/// Which side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Provider,
}

impl Side {
    /// What it means that this side ended the tunnel in order.
    fn ended(self) -> End {
        match self {
            Self::Client => End::Left,
            Self::Provider => End::Complete,
        }
    }

    /// What it means that this side broke off.
    fn broke(self) -> End {
        match self {
            Self::Client => End::Left,
            Self::Provider => End::Truncated("closed"),
        }
    }
}

/// Both directions.
#[derive(Debug)]
struct Both {
    up: Flow,
    down: Flow,
    /// Who ended first, and when.
    first: Option<(Side, Instant)>,
}

impl Both {
    /// Carries bytes until it is over; `passed` hears how many went up and down.
    async fn carry<C, P>(&mut self, mut client: C, mut provider: P, idle: Duration, mut passed: impl FnMut(u64, u64)) -> End
    where
        C: AsyncRead + AsyncWrite + Unpin,
        P: AsyncRead + AsyncWrite + Unpin,
    {
        let mut moved = Instant::now();
        let mut timer = pin!(tokio::time::sleep(idle));
        poll_fn(move |cx| {
            let up = self.up.poll(cx, &mut client, &mut provider);
            let down = self.down.poll(cx, &mut provider, &mut client);
            let (sent, received) = (self.up.take_count(), self.down.take_count());
            if sent + received > 0 {
                passed(sent, received);
                moved = Instant::now();
            }
            if let Some(end) = self.over(up, down) {
                return Poll::Ready(end);
            }
            loop {
                let deadline = self.deadline(moved, idle);
                // Moved on only when it fires: bytes cost no timer.
                if timer.deadline() > deadline.into() {
                    timer.as_mut().reset(deadline.into());
                }
                ready!(timer.as_mut().poll(cx));
                if Instant::now() >= deadline {
                    return Poll::Ready(self.too_late());
                }
                timer.as_mut().reset(deadline.into());
            }
        })
        .await
    }

    /// What the two directions have come to.
    fn over(&mut self, up: Poll<Result<(), Broken>>, down: Poll<Result<(), Broken>>) -> Option<End> {
        let broken = |polled: &Poll<Result<(), Broken>>, reads: Side, writes: Side| match polled {
            Poll::Ready(Err(Broken::Reading)) => Some(reads.broke()),
            Poll::Ready(Err(Broken::Writing)) => Some(writes.broke()),
            _ => None,
        };
        // What the provider said last is the better reason: a client that answers a broken connection fails too.
        let end = broken(&down, Side::Provider, Side::Client).or_else(|| broken(&up, Side::Client, Side::Provider));
        // Once one side has ended, how the other goes makes no difference.
        let first = |side: Side| self.first.map_or(side, |(side, _)| side);
        match (up, down) {
            _ if end.is_some() => Some(self.first.map_or(end?, |(side, _)| side.ended())),
            (Poll::Ready(_), Poll::Ready(_)) => Some(first(Side::Provider).ended()),
            (Poll::Ready(_), _) => self.note(Side::Client),
            (_, Poll::Ready(_)) => self.note(Side::Provider),
            _ => None,
        }
    }

    fn note(&mut self, side: Side) -> Option<End> {
        self.first.get_or_insert_with(|| (side, Instant::now()));
        None
    }

    /// What it means that nothing has come until then.
    fn too_late(&self) -> End {
        match self.first {
            Some((side, _)) => side.ended(),
            None if self.down.stuck_since.is_some() => End::Left,
            None => End::Truncated("idle_timeout"),
        }
    }

    /// When it is too late for whatever comes next.
    fn deadline(&self, moved: Instant, idle: Duration) -> Instant {
        // What waits for the client has the listener's own bound on a write.
        let stuck = self.up.stuck_since.map_or(moved, |since| since.min(moved));
        match self.first {
            Some((_, since)) => since + LINGER.min(idle),
            None => stuck + idle,
        }
    }
}

/// Which end of a direction failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    Reading,
    Writing,
}

/// One direction.
#[derive(Debug)]
struct Flow {
    /// What the sender had said before this began.
    early: Bytes,
    buffer: Box<[u8]>,
    /// What of the buffer was read and not written.
    from: usize,
    to: usize,
    count: u64,
    /// Whether something was written and may wait in a layer below.
    unflushed: bool,
    /// Since when the receiver has taken nothing of what waits for it.
    stuck_since: Option<Instant>,
    /// How the sender ended, if it did.
    ended: Option<Result<(), Broken>>,
    done: bool,
}

impl Flow {
    fn new(early: Bytes) -> Self {
        Self {
            early,
            buffer: vec![0; BUFFER].into(),
            from: 0,
            to: 0,
            count: 0,
            unflushed: false,
            stuck_since: None,
            ended: None,
            done: false,
        }
    }

    /// Bytes written since this was asked last.
    fn take_count(&mut self) -> u64 {
        std::mem::take(&mut self.count)
    }

    /// Carries what can be carried now. Ready once the sender has ended, everything was written, and the receiver was told.
    fn poll<R, W>(&mut self, cx: &mut Context<'_>, from: &mut R, to: &mut W) -> Poll<Result<(), Broken>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        while !self.done {
            let writing = self.poll_write(cx, to);
            if writing.is_pending() {
                self.stuck_since.get_or_insert_with(Instant::now);
            }
            ready!(writing).map_err(|_| Broken::Writing)?;
            self.stuck_since = None;
            match self.ended {
                Some(ended) => {
                    // Behind a broken connection nothing pretends to be an end in order.
                    ended?;
                    ready!(Pin::new(&mut *to).poll_shutdown(cx)).map_err(|_| Broken::Writing)?;
                    self.done = true;
                }
                None => match self.poll_read(cx, from) {
                    Poll::Ready(ended) => self.ended = ended,
                    Poll::Pending => {
                        ready!(self.poll_flush(cx, to)).map_err(|_| Broken::Writing)?;
                        return Poll::Pending;
                    }
                },
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what waits. Before the end of the sender is passed on, all of it has to be out.
    fn poll_write(&mut self, cx: &mut Context<'_>, to: &mut (impl AsyncWrite + Unpin)) -> Poll<io::Result<()>> {
        loop {
            let waiting = if self.early.is_empty() { &self.buffer[self.from..self.to] } else { &self.early[..] };
            if waiting.is_empty() {
                return if self.ended.is_some() { self.poll_flush(cx, to) } else { Poll::Ready(Ok(())) };
            }
            let written = ready!(Pin::new(&mut *to).poll_write(cx, waiting))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.stuck_since = None;
            self.unflushed = true;
            self.count += written as u64;
            if self.early.is_empty() { self.from += written } else { self.early.advance(written) }
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>, to: &mut (impl AsyncWrite + Unpin)) -> Poll<io::Result<()>> {
        if self.unflushed {
            ready!(Pin::new(to).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once; how the sender ended, if it did.
    fn poll_read(&mut self, cx: &mut Context<'_>, from: &mut (impl AsyncRead + Unpin)) -> Poll<Option<Result<(), Broken>>> {
        let mut buffer = ReadBuf::new(&mut self.buffer);
        let read = ready!(Pin::new(from).poll_read(cx, &mut buffer));
        (self.from, self.to) = (0, buffer.filled().len());
        Poll::Ready(match read {
            Ok(()) if self.to == 0 => Some(Ok(())),
            Ok(()) => None,
            Err(_) => {
                self.to = 0;
                Some(Err(Broken::Reading))
            }
        })
    }
}

#[cfg(test)]
mod tests;
