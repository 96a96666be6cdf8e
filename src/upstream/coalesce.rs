//! Small frames that are there at the same time go on as one.
//!
//! A body of one-byte chunks would become as many DATA frames, and a careful HTTP/2 peer takes a flood of tiny frames for
//! an attack: the `h2` crate ends the connection, with all its other streams, after some 100 that were not read yet.
//! hyper hands over one chunk at a time, so a small frame waits for one turn of the scheduler, in which the next may come
//! out of what was read already. It never waits for the peer: a live stream is as live as before.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

/// Frames below this are joined: those that the `h2` crate counts.
const SMALL: usize = 256;

/// What was joined goes on at this length, that of a DATA frame which every peer takes (RFC 9113 §4.2).
const FULL: usize = 16 << 10;

type Polled<E> = Option<Result<Frame<Bytes>, E>>;

/// A body whose small frames are joined.
#[derive(Debug)]
pub struct Coalesced<B: Body> {
    body: B,
    joined: BytesMut,
    /// Whether a turn has passed since the last frame was joined.
    waited: bool,
    /// What was met behind the joined frames and is none of them.
    next: Option<Polled<B::Error>>,
}

impl<B: Body<Data = Bytes> + Unpin> Coalesced<B> {
    /// Joins small frames of `body`.
    #[must_use]
    pub fn new(body: B) -> Self {
        Self { body, joined: BytesMut::new(), waited: false, next: None }
    }

    fn flush(&mut self) -> Poll<Polled<B::Error>> {
        self.waited = false;
        Poll::Ready(Some(Ok(Frame::data(self.joined.split().freeze()))))
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Coalesced<B>
where
    B::Error: Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Polled<B::Error>> {
        let this = &mut *self;
        if let Some(next) = this.next.take() {
            // hyper answers an error with a reset, which throws away what has not been sent: so what came before it gets a
            // turn to go out.
            if matches!(next, Some(Err(_))) && !std::mem::replace(&mut this.waited, true) {
                this.next = Some(next);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(next);
        }
        loop {
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) if frame.data_ref().is_some_and(|data| data.len() < SMALL) => {
                    this.joined.extend(frame.into_data().ok());
                    this.waited = false;
                    if this.joined.len() >= FULL {
                        return this.flush();
                    }
                }
                Poll::Pending if this.joined.is_empty() => return Poll::Pending,
                Poll::Pending if this.waited => return this.flush(),
                Poll::Pending => {
                    this.waited = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(Some(Err(error))) if this.joined.is_empty() => {
                    this.next = Some(Some(Err(error)));
                    this.waited = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(other) if this.joined.is_empty() => return Poll::Ready(other),
                Poll::Ready(other) => {
                    this.next = Some(other);
                    return this.flush();
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.next {
            Some(next) => next.is_none(),
            None => self.joined.is_empty() && self.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let met = match &self.next {
            Some(Some(Ok(frame))) => frame.data_ref().map_or(0, Bytes::len),
            _ => 0,
        };
        let held = (self.joined.len() + met) as u64;
        self.body.size_hint().exact().map_or_else(SizeHint::new, |left| SizeHint::with_exact(left + held))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, convert::Infallible, task::Waker};

    use proptest::prelude::*;

    use super::*;

    /// Plays what it is given; `None` is a moment in which nothing is there.
    struct Script(VecDeque<Option<Bytes>>);

    impl Body for Script {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Polled<Infallible>> {
            match self.0.pop_front() {
                None => Poll::Ready(None),
                Some(None) => Poll::Pending,
                Some(Some(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            }
        }
    }

    /// The frames that come out; a moment of nothing is an empty one.
    fn play(script: Vec<Option<Bytes>>) -> Vec<Bytes> {
        let mut body = Coalesced::new(Script(script.into()));
        let mut cx = Context::from_waker(Waker::noop());
        let mut frames = Vec::new();
        loop {
            match Pin::new(&mut body).poll_frame(&mut cx) {
                Poll::Ready(None) => return frames,
                Poll::Ready(Some(frame)) => frames.push(frame.unwrap().into_data().unwrap()),
                Poll::Pending => frames.push(Bytes::new()),
            }
        }
    }

    #[test]
    fn what_comes_within_a_turn_is_one_frame_and_what_comes_later_another() {
        let text = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
        assert_eq!(play(vec![text("a"), text("b"), None, text("c"), None, None, text("d")]), ["", "", "abc", "d"]);
        assert_eq!(play(vec![None, text("a"), None, None, None, text("b")]), ["", "", "a", "", "b"]);
        let large = Bytes::from(vec![b'x'; 20_000]);
        assert_eq!(play(vec![text("a"), Some(large.clone()), text("b")]), [Bytes::from("a"), large, Bytes::from("b")]);
    }

    /// One frame, and then it breaks off.
    struct Broken(Option<Bytes>);

    impl Body for Broken {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Polled<&'static str>> {
            Poll::Ready(Some(self.0.take().map(Frame::data).ok_or("broken")))
        }
    }

    #[test]
    fn what_came_before_an_error_has_a_turn_to_go_out() {
        for length in [1, SMALL, FULL] {
            let mut body = Coalesced::new(Broken(Some(Bytes::from(vec![b'x'; length]))));
            let mut poll = || Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()));
            let Poll::Ready(Some(Ok(frame))) = poll() else { panic!("no frame of {length}") };
            assert_eq!(frame.data_ref().unwrap().len(), length);
            assert!(poll().is_pending(), "the error came at once behind {length}");
            let Poll::Ready(Some(Err("broken"))) = poll() else { panic!("no error behind {length}") };
        }
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_or_moved(sizes in prop::collection::vec(prop::option::of(1_usize..3_000), 0..60)) {
            let mut byte = 0_u8;
            let script: Vec<_> = sizes.iter().map(|size| size.map(|size| (0..size).map(|_| { byte = byte.wrapping_add(1); byte }).collect())).collect();
            let whole: Vec<u8> = script.iter().flatten().flat_map(|data: &Bytes| data.to_vec()).collect();
            let frames = play(script);
            prop_assert!(frames.iter().all(|frame| frame.len() < FULL + SMALL));
            prop_assert_eq!(frames.concat(), whole);
        }
    }
}
