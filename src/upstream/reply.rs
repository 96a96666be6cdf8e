//! What comes down.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{Failure, Phase, Reason, body::poll_data, coarse::CoarseTimer, pool::Hold};

/// What a body yields.
type Item = Result<Frame<Bytes>, Failure>;

/// The body of a reply. It gives its connection back when the last byte is through, and ends the exchange when dropped before.
pub struct ReplyBody {
    incoming: Incoming,
    /// The connection or stream; gone once it was given back.
    hold: Option<Hold>,
    /// How long the provider may be silent while we listen. The time in which the client does not read does not count: then
    /// nobody polls, and the next poll finds what arrived meanwhile.
    idle: Duration,
    timer: CoarseTimer,
    /// Whether its end is known to have come. It is asked for several times a frame.
    over: bool,
    /// What was read of it and put back. Few replies are looked at before they go down.
    ahead: VecDeque<Item>,
}

impl std::fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReplyBody({:?})", self.incoming)
    }
}

impl ReplyBody {
    /// Without a `hold` nothing depends on its end.
    pub(super) fn new(incoming: Incoming, hold: Option<Hold>, timer: CoarseTimer, idle: Duration) -> Self {
        timer.stop();
        let mut body = Self { over: incoming.is_end_stream(), incoming, hold, idle, timer, ahead: VecDeque::new() };
        if body.over {
            body.give_back();
        }
        body
    }

    /// Puts back what was read of it: it comes again, in this order, before what has not come yet.
    pub fn put_back(&mut self, read: VecDeque<Item>) {
        self.ahead = read;
    }

    /// Whether all of it was read and put back, so that it holds no connection.
    #[must_use]
    pub fn is_at_hand(&self) -> bool {
        self.over
    }

    fn give_back(&mut self) {
        if let Some(hold) = self.hold.take() {
            hold.give_back();
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = &mut *self;
        if let Some(read) = this.ahead.pop_front() {
            return Poll::Ready(Some(read));
        }
        match poll_data(&mut this.incoming, cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.timer.stop();
                this.over = this.incoming.is_end_stream();
                if this.over {
                    this.give_back();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.hold = None;
                Poll::Ready(Some(Err(Failure::from_hyper(Phase::Body, error))))
            }
            Poll::Ready(None) => {
                this.over = true;
                this.give_back();
                Poll::Ready(None)
            }
            Poll::Pending if this.timer.poll(this.idle, cx).is_ready() => {
                this.hold = None;
                Poll::Ready(Some(Err(Failure::new(Phase::Body, Reason::Timeout))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.over && self.ahead.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.incoming.size_hint();
        if self.ahead.is_empty() {
            return hint;
        }
        let read: u64 = self.ahead.iter().filter_map(|frame| frame.as_ref().ok()?.data_ref()).map(|data| data.len() as u64).sum();
        // What is put back may end in a failure: then less comes than was promised, which is for the reader to notice.
        let mut whole = SizeHint::new();
        whole.set_lower(hint.lower() + read);
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + read);
        }
        whole
    }
}
