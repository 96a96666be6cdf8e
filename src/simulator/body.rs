//! A reply's body on its way: each event its own frame, in its time.

use std::{
    error::Error,
    fmt, iter,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    exchange::{End, Exchange},
    pace::Pace,
    script::{Event, Events, Script},
};

/// hyper drops what it has not flushed when a body fails; this much later it has flushed.
const BREAK_DELAY: Duration = Duration::from_millis(5);

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// As it should.
    Clean,
    /// Half-way, and its framing says that all is well: only a missing terminator tells.
    Unfinished,
    /// Half-way, by an error of the connection.
    BrokenOff(BrokenOff),
    /// Half-way, and then nothing more, until the reader leaves.
    Stalled,
}

/// The error of a body that is broken off. Over HTTP/2 both are a `RST_STREAM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BrokenOff {
    /// The connection is closed before the last chunk.
    Truncated,
    /// The connection is reset.
    Reset,
}

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken off as the model's name asks: {self:?}")
    }
}

impl Error for BrokenOff {}

/// A body. It owns its exchange: whoever drops it before its end has cancelled.
pub(super) struct Body {
    events: iter::Peekable<Events>,
    /// Bytes in all, where the head declares them.
    length: Option<u64>,
    pace: Pace,
    start: Instant,
    timer: Pin<Box<Sleep>>,
    ending: Ending,
    exchange: Exchange,
}

impl Body {
    /// A body whose head leaves now: the head of a stream comes with its first token, that of a whole reply with its last one.
    pub(super) fn new(script: Script, pace: Pace, ending: Ending, exchange: Exchange) -> Self {
        let pace = if let Script::Whole { .. } = script { Pace::AT_ONCE } else { pace };
        let (events, length) = frames(script, ending);
        let start = Instant::now();
        Self { events: events.peekable(), length, pace, start, timer: Box::pin(sleep_until(start)), ending, exchange }
    }

    /// Resolves at `due`; at once, without a look at the timer, where that has passed.
    fn poll_due(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if due <= Instant::now() {
            return Poll::Ready(());
        }
        if self.timer.deadline() != due {
            self.timer.as_mut().reset(due);
        }
        self.timer.as_mut().poll(cx)
    }

    /// What follows the last frame.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.ending {
            Ending::Clean => {
                self.exchange.finish(End::Complete);
                Poll::Ready(None)
            }
            Ending::Unfinished => {
                self.exchange.finish(End::Broken);
                Poll::Ready(None)
            }
            // Nothing wakes it: the connection's end drops it.
            Ending::Stalled => Poll::Pending,
            Ending::BrokenOff(how) => {
                let at = self.timer.deadline();
                ready!(self.poll_due(at, cx));
                self.exchange.finish(End::Broken);
                Poll::Ready(Some(Err(how)))
            }
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let Some(at) = self.events.peek().map(|event| event.at) else { return self.poll_end(cx) };
        let due = self.start + self.pace.until_token(at);
        ready!(self.poll_due(due, cx));
        let Some(Event { at, frame }) = self.events.next() else { return self.poll_end(cx) };
        self.exchange.note(|seen| seen.tokens = at);
        if self.events.peek().is_none() {
            match self.ending {
                // hyper asks no more once the declared length is there.
                Ending::Clean if self.length.is_some() => self.exchange.finish(End::Complete),
                Ending::BrokenOff(_) => self.timer.as_mut().reset(Instant::now() + BREAK_DELAY),
                Ending::Clean | Ending::Unfinished | Ending::Stalled => {}
            }
        }
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// The frames of a script as far as its ending lets them go, and the length that the head declares.
fn frames(script: Script, ending: Ending) -> (Events, Option<u64>) {
    let broken = ending != Ending::Clean;
    match script {
        Script::Whole { mut content, tokens, .. } => {
            let length = content.len();
            if broken {
                content.truncate(length / 2);
            }
            let event = Event { at: tokens, frame: content };
            // Only a body without a declared length can end early and look well framed.
            let declared = (ending != Ending::Unfinished).then_some(length as u64);
            (Box::new(iter::once(event)), declared)
        }
        Script::Stream { events, tokens, .. } if broken => (Box::new(events.take_while(move |event| event.at <= tokens / 2)), None),
        Script::Stream { events, .. } => (events, None),
    }
}
