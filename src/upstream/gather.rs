//! Puts small parts of an upload together before they become frames of HTTP/2.
//!
//! A provider may take many small frames for an attack and end the connection with all its streams: the `h2` crate does
//! at about a hundred that nobody has read yet. A client that writes its body in chunks of a few bytes would thus end
//! other clients' requests. So a small part waits for one turn of the scheduler, in which the client's connection can hand
//! over what it has read already. A part that nothing follows goes on after that turn: it never waits for the client.

use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::Frame;

/// Parts from this size on are frames of their own: the `h2` crate counts smaller ones.
const SMALL: usize = 256;

/// What is gathered goes on at this size, the usual frame of HTTP/2 (RFC 9113 §6.5.2).
const ENOUGH: usize = 16 << 10;

type Part<E> = Option<Result<Frame<Bytes>, E>>;

/// What was gathered, and what comes behind it.
#[derive(Debug)]
pub(super) struct Gather<E> {
    gathered: BytesMut,
    /// Whether a turn has passed since the last part.
    waited: bool,
    behind: Option<Part<E>>,
}

impl<E> Default for Gather<E> {
    fn default() -> Self {
        Self { gathered: BytesMut::new(), waited: false, behind: None }
    }
}

impl<E> Gather<E> {
    /// Bytes taken and not yet handed on.
    pub(super) fn len(&self) -> usize {
        let behind = self.behind.iter().flatten().flatten().filter_map(Frame::data_ref).map(Bytes::len);
        self.gathered.len() + behind.sum::<usize>()
    }

    /// Whether it holds anything that is still to be handed on.
    pub(super) fn holds(&self) -> bool {
        !self.gathered.is_empty() || self.behind.is_some()
    }

    /// The next frame, made of as many parts of `next` as are there.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, mut next: impl FnMut(&mut Context<'_>) -> Poll<Part<E>>) -> Poll<Part<E>> {
        if let Some(behind) = self.behind.take() {
            return Poll::Ready(behind);
        }
        loop {
            let polled = next(cx);
            if polled.is_pending() && !self.gathered.is_empty() {
                if std::mem::replace(&mut self.waited, true) {
                    return self.flush();
                }
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match ready!(polled) {
                Some(Ok(frame)) if frame.data_ref().is_some_and(|data| data.len() < SMALL) => {
                    self.gathered.extend(frame.into_data().ok());
                    self.waited = false;
                    if self.gathered.len() >= ENOUGH {
                        return self.flush();
                    }
                }
                other if self.gathered.is_empty() => return Poll::Ready(other),
                other => {
                    self.behind = Some(other);
                    return self.flush();
                }
            }
        }
    }

    fn flush(&mut self) -> Poll<Part<E>> {
        self.waited = false;
        Poll::Ready(Some(Ok(Frame::data(self.gathered.split().freeze()))))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, task::Waker};

    use super::*;

    /// What a client's connection hands over: a part, or nothing in this turn.
    type Turns = VecDeque<Poll<Part<&'static str>>>;

    fn part(text: &'static str) -> Poll<Part<&'static str>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(text.as_bytes())))))
    }

    /// Every frame that comes out, one poll after another, until the end; `-` for a turn without one.
    fn frames(mut turns: Turns) -> Vec<String> {
        let (mut gather, mut frames) = (Gather::default(), Vec::new());
        loop {
            match gather.poll(&mut Context::from_waker(Waker::noop()), |_| turns.pop_front().unwrap_or(Poll::Ready(None))) {
                Poll::Ready(None) => return frames,
                Poll::Pending => frames.push("-".to_owned()),
                Poll::Ready(Some(Err(error))) => frames.push(format!("error: {error}")),
                Poll::Ready(Some(Ok(frame))) => frames.push(String::from_utf8_lossy(&frame.into_data().unwrap_or_default()).into_owned()),
            }
        }
    }

    #[test]
    fn small_parts_that_follow_each_other_become_one() {
        let turns = [part("a"), Poll::Pending, part("b"), part("c"), Poll::Pending, part("d")];
        assert_eq!(frames(turns.into()), ["-", "-", "abcd"]);
    }

    #[test]
    fn a_small_part_that_nothing_follows_waits_for_one_turn_only() {
        let turns = [part("a"), Poll::Pending, Poll::Pending, Poll::Pending, part("b")];
        assert_eq!(frames(turns.into()), ["-", "a", "-", "b"]);
    }

    #[test]
    fn large_parts_are_left_alone_and_order_is_kept() {
        let large: &'static str = "x".repeat(SMALL).leak();
        assert_eq!(frames([part(large), part("a"), part(large)].into()), [large, "a", large]);
    }

    #[test]
    fn an_error_comes_behind_what_was_gathered() {
        assert_eq!(frames([part("a"), Poll::Ready(Some(Err("broken")))].into()), ["a", "error: broken"]);
    }

    #[test]
    fn gathering_ends_at_a_frames_size() {
        let turns: Turns = (0..20_000).map(|_| part("y")).collect();
        assert_eq!(frames(turns).iter().map(String::len).collect::<Vec<_>>(), [ENOUGH, 20_000 - ENOUGH]);
    }
}
