//! The body of a reply that others have had, or have as well: played again from the store, or followed as it comes.
//!
//! Cancel: it is dropped with its connection, and its request ends as *left*.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::StatusCode;
use http_body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::super::trail::{End, Trail};
use crate::{
    runtime::cache::{
        Entry, Paid,
        flight::{Cursor, Head},
    },
    upstream::Failure,
};

/// How much faster a stream is played again than it came, and the longest pause.
const PACE: (u32, Duration) = (4, Duration::from_millis(50));

/// Where an answer comes from that no call was made for.
#[derive(Debug)]
pub enum Source {
    /// The store.
    Stored {
        /// What is stored.
        entry: Arc<Entry>,
        /// How long it has been there.
        age: Duration,
        /// How long it still answers; nothing if its time is over.
        left: Option<Duration>,
    },
    /// A call that somebody else has made.
    Flying {
        /// The place among its readers.
        cursor: Cursor,
        /// Its head.
        head: Arc<Head>,
    },
}

impl Source {
    /// What answers in place of an error, and how old it is.
    #[must_use]
    pub fn stale((entry, age): (Arc<Entry>, Duration)) -> Self {
        Self::Stored { entry, age, left: None }
    }
}

/// One reader's reply.
pub struct Played {
    from: From,
    /// Its end, where it is a request's own: the first reader's call has one elsewhere.
    ending: Option<Ending>,
    /// Bytes that it still owes, where its head said how many: hyper takes no more than those.
    owed: Option<u64>,
}

enum From {
    Stored { entry: Arc<Entry>, at: usize, next: usize, pause: Option<Pin<Box<Sleep>>> },
    Flying(Cursor),
}

struct Ending {
    trail: Trail,
    status: StatusCode,
    overhead: Duration,
    bytes: u64,
}

impl fmt::Debug for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Played")
    }
}

impl Played {
    /// What the first reader reads of its own call.
    #[must_use]
    pub fn of_first(cursor: Cursor) -> Self {
        let owed = cursor.length();
        Self { from: From::Flying(cursor), ending: None, owed }
    }

    /// What is read of what somebody else has paid for.
    #[must_use]
    pub fn new(source: Source, (status, overhead): (StatusCode, Duration), trail: Trail) -> Self {
        let (from, owed) = match source {
            Source::Stored { entry, .. } => {
                let length = entry.body.len() as u64;
                (From::Stored { entry, at: 0, next: 0, pause: None }, Some(length))
            }
            Source::Flying { cursor, head } => (From::Flying(cursor), head.length),
        };
        let mut played = Self { from, ending: Some(Ending { trail, status, overhead, bytes: 0 }), owed };
        if played.owed == Some(0) {
            played.end(End::Complete);
        }
        played
    }

    pub(in super::super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let item = match &mut self.from {
            From::Stored { entry, at, next, pause } => ready!(play(entry, (at, next), pause, cx)).map(|data| Ok(Frame::data(data))),
            From::Flying(cursor) => ready!(cursor.poll_frame(cx)),
        };
        match &item {
            Some(Ok(frame)) => {
                // Trailers have nothing behind them.
                if let Some(data) = frame.data_ref() {
                    self.passed(data.len() as u64);
                }
                if frame.is_trailers() || self.is_end_stream() {
                    self.end(End::Complete);
                }
            }
            Some(Err(failure)) => self.end(End::Truncated(failure.name())),
            None => self.end(End::Complete),
        }
        Poll::Ready(item)
    }

    fn passed(&mut self, bytes: u64) {
        if let Some(ending) = &mut self.ending {
            ending.bytes += bytes;
        }
        self.owed = self.owed.map(|owed| owed.saturating_sub(bytes));
        if self.owed == Some(0) {
            self.end(End::Complete);
        }
    }

    pub(in super::super) fn is_end_stream(&self) -> bool {
        match &self.from {
            From::Stored { entry, at, .. } => *at == entry.body.len(),
            From::Flying(cursor) => cursor.is_at_end(),
        }
    }

    pub(in super::super) fn size_hint(&self) -> SizeHint {
        self.owed.map_or_else(SizeHint::new, SizeHint::with_exact)
    }

    fn paid(&self) -> Option<Paid> {
        match &self.from {
            From::Stored { entry, .. } => Some(Paid { usage: entry.usage, cost: entry.cost }),
            From::Flying(cursor) => cursor.paid(),
        }
    }

    /// The request is over.
    fn end(&mut self, end: End) {
        let Some(Ending { mut trail, status, overhead, bytes }) = self.ending.take() else { return };
        trail.saved(self.paid(), (status, end, bytes));
        trail.end((status, end), bytes, overhead, Instant::now());
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        if let Some(ending) = &self.ending {
            let end = ending.trail.dropped();
            self.end(end);
        }
    }
}

/// The next part of what is stored: as much as is at hand, or a frame when its time has come.
fn play(
    entry: &Entry,
    (at, next): (&mut usize, &mut usize),
    pause: &mut Option<Pin<Box<Sleep>>>,
    cx: &mut Context<'_>,
) -> Poll<Option<Bytes>> {
    if *at == entry.body.len() {
        return Poll::Ready(None);
    }
    if let Some(paused) = pause {
        ready!(paused.as_mut().poll(cx));
        *pause = None;
    }
    let frame = entry.pauses.get(*next);
    let end = frame.map_or(entry.body.len(), |frame| (frame.at as usize).clamp(*at, entry.body.len()));
    let part = entry.body.part(*at..end);
    *at += part.len();
    if let Some(frame) = frame.filter(|_| *at == end) {
        *next += 1;
        let after = (Duration::from_millis(frame.after_ms.into()) / PACE.0).min(PACE.1);
        *pause = Some(after).filter(|after| !after.is_zero()).map(|after| Box::pin(sleep(after)));
    }
    Poll::Ready(Some(part))
}
