//! One reader of a flight.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body::Frame;

use super::{End, Failed, Flight, Head, Stage};
use crate::{
    runtime::cache::Paid,
    upstream::{Failure, Phase, Reason},
};

/// One reader's place in a flight. Dropped, it is missed by nobody.
pub struct Cursor {
    pub(super) flight: Arc<Flight>,
    pub(super) slot: usize,
    /// Whether it was the first: what stands behind the body is for it alone.
    pub(super) is_first: bool,
    /// Whether it has seen the end.
    pub(super) is_over: bool,
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({} of {:?})", self.slot, self.flight)
    }
}

impl Cursor {
    /// Ready when it is known what becomes of the call.
    ///
    /// # Errors
    ///
    /// [`Failed`] if there is no reply.
    pub fn poll_head(&self, cx: &Context<'_>) -> Poll<Result<Arc<Head>, Failed>> {
        let mut state = self.flight.state();
        match &state.stage {
            Stage::Open(head) => Poll::Ready(Ok(Arc::clone(head))),
            Stage::Failed(why) => Poll::Ready(Err(why.clone())),
            Stage::Waiting => {
                if let Some(reader) = &mut state.readers[self.slot] {
                    reader.waker = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    /// The next frame.
    pub fn poll_frame(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let mut guard = self.flight.state();
        let state = &mut *guard;
        let Some(reader) = state.readers[self.slot].as_mut().filter(|_| !self.is_over) else { return Poll::Ready(None) };
        if reader.is_cut {
            self.is_over = true;
            return Poll::Ready(Some(Err(Failure::because(Phase::Body, Reason::Timeout, Lagging))));
        }
        if let Some(frame) = state.frames.get(reader.at - state.first) {
            let frame = frame.clone();
            reader.at += 1;
            let mut pilot = None;
            if !state.is_whole {
                state.let_go();
                pilot = state.pilot();
            }
            drop(guard);
            pilot.into_iter().for_each(Waker::wake);
            return Poll::Ready(Some(Ok(Frame::data(frame))));
        }
        match &state.end {
            Some(end) => {
                self.is_over = true;
                Poll::Ready(match end {
                    End::Whole(trailers, _) => trailers.clone().filter(|_| self.is_first).map(|trailers| Ok(Frame::trailers(trailers))),
                    End::Broken(failure) => Some(Err(failure.clone())),
                })
            }
            None => {
                if !reader.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    reader.waker = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    /// How long the body is, if the head is here and says so.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match &self.flight.state().stage {
            Stage::Open(head) => head.length,
            _ => None,
        }
    }

    /// What the call took, once it is at its end.
    #[must_use]
    pub fn paid(&self) -> Option<Paid> {
        match &self.flight.state().end {
            Some(End::Whole(_, paid)) => Some(*paid),
            _ => None,
        }
    }

    /// Whether nothing more comes.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        let state = self.flight.state();
        let is_last = state.readers[self.slot].as_ref().is_some_and(|reader| !reader.is_cut && reader.at == state.next());
        is_last && matches!(&state.end, Some(End::Whole(trailers, _)) if trailers.is_none() || !self.is_first)
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        let mut guard = self.flight.state();
        let state = &mut *guard;
        // One that was cut off is gone already.
        if state.readers[self.slot].take().is_none_or(|reader| reader.is_cut) {
            return;
        }
        state.present -= 1;
        state.is_abandoned |= state.present == 0 && !(state.finishes && state.is_whole);
        if !state.is_whole {
            state.let_go();
        }
        let pilot = state.pilot();
        drop(guard);
        pilot.into_iter().for_each(Waker::wake);
    }
}

/// A reader for whom others had to wait.
#[derive(Debug)]
struct Lagging;

impl fmt::Display for Lagging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it read nothing while others waited for it")
    }
}

impl std::error::Error for Lagging {}
