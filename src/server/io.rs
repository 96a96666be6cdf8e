//! The byte stream of one connection as hyper sees it: bytes that were read to tell the protocol come first, and HTTP/1
//! bytes pass the guard. Once the connection was upgraded they pass as they are.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{activity::Activity, guard::Guard};

/// A connection's bytes.
#[derive(Debug)]
pub struct Stream<S> {
    socket: S,
    /// What was read and has not been handed out: before hyper took over, or behind a request that asks for an upgrade.
    early: BytesMut,
    guard: Option<Guard>,
    activity: Rc<Activity>,
}

impl<S> Stream<S> {
    /// `early` first, then the socket. With `guarded`, what is read is HTTP/1.
    pub fn new(socket: S, early: BytesMut, guarded: bool, activity: Rc<Activity>) -> Self {
        Self { socket, early, guard: guarded.then(Guard::default), activity }
    }

    /// HTTP is over on this connection: what follows are bytes. `read` are those that hyper has taken and not used.
    #[must_use]
    pub fn upgraded(mut self, read: &Bytes) -> Self {
        self.guard = None;
        if !read.is_empty() {
            self.put_back(read);
        }
        self
    }

    /// These bytes come again, before all others.
    fn put_back(&mut self, bytes: &[u8]) {
        let behind = std::mem::replace(&mut self.early, BytesMut::from(bytes));
        self.early.unsplit(behind);
    }
}

impl<S: AsyncRead + Unpin> Stream<S> {
    /// While the guard lets nothing through. What the client sends meanwhile is taken once, so that its end is seen, and kept.
    fn poll_held(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.guard.as_ref().is_some_and(Guard::has_refused) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "malformed HTTP/1")));
        }
        if self.activity.poll_released(cx).is_ready() {
            if let Some(guard) = &mut self.guard {
                guard.resume();
            }
            return Pin::new(self).poll_read(cx, buffer);
        }
        if self.early.is_empty() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.socket).poll_read(cx, buffer))?;
            if buffer.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
            self.early.extend_from_slice(&buffer.filled()[before..]);
            buffer.set_filled(before);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        if this.guard.as_ref().is_some_and(Guard::stands) {
            return this.poll_held(cx, buffer);
        }
        if this.early.is_empty() {
            ready!(Pin::new(&mut this.socket).poll_read(cx, buffer))?;
        } else {
            let taken = this.early.len().min(buffer.remaining());
            buffer.put_slice(&this.early[..taken]);
            this.early.advance(taken);
        }
        if let Some(guard) = &mut this.guard {
            let end = before + guard.inspect(&mut buffer.filled_mut()[before..]);
            this.activity.in_head(guard.in_head());
            this.activity.refuse(guard.refused());
            if guard.holds() {
                this.activity.hold();
                this.put_back(&buffer.filled()[end..]);
                buffer.set_filled(end);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffers: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, task::Waker};

    use proptest::prelude::*;

    use super::{super::activity::Connections, *};

    /// Gives what it holds, a part a read, and then has nothing more.
    struct Parts(VecDeque<Vec<u8>>);

    impl Parts {
        fn cut(bytes: &[u8], sizes: &[usize]) -> Self {
            let mut rest = bytes;
            let mut parts = VecDeque::new();
            for size in sizes.iter().copied().cycle() {
                if rest.is_empty() || sizes.is_empty() {
                    break;
                }
                let (part, behind) = rest.split_at(size.min(rest.len()));
                parts.push_back(part.to_vec());
                rest = behind;
            }
            parts.extend(Some(rest.to_vec()).filter(|rest| !rest.is_empty()));
            Self(parts)
        }
    }

    impl AsyncRead for Parts {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let Some(mut part) = self.0.pop_front() else { return Poll::Pending };
            let rest = part.split_off(part.len().min(buffer.remaining()));
            buffer.put_slice(&part);
            if !rest.is_empty() {
                self.0.push_front(rest);
            }
            Poll::Ready(Ok(()))
        }
    }

    /// Everything that can be read now, `room` bytes at a time.
    fn read(stream: &mut Stream<Parts>, room: usize) -> Vec<u8> {
        let mut read = Vec::new();
        loop {
            let mut storage = vec![0; room];
            let mut buffer = ReadBuf::new(&mut storage);
            match Pin::new(&mut *stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer) {
                Poll::Ready(result) => {
                    result.unwrap();
                    assert!(!buffer.filled().is_empty(), "an end that nobody made");
                    read.extend_from_slice(buffer.filled());
                }
                Poll::Pending => return read,
            }
        }
    }

    const BEFORE: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const ASK: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

    proptest! {
        #[test]
        fn behind_a_request_for_an_upgrade_no_byte_goes_early_and_none_is_lost(
            sizes in prop::collection::vec(1_usize..90, 0..8),
            room in 1_usize..300,
            (told, granted) in (0_usize..60, any::<bool>()),
            noise in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let http = [BEFORE, ASK].concat();
            // What is no request may only follow where no request is looked for.
            let behind = if granted { noise } else { [BEFORE, ASK].concat().into_bytes() };
            let all = [http.as_bytes(), &behind].concat();
            let activity = Connections::default().add(Rc::default());
            let early = BytesMut::from(&all[..told]);
            let mut stream = Stream::new(Parts::cut(&all[told..], &sizes), early, true, Rc::clone(&activity));
            prop_assert_eq!(read(&mut stream, room), http.as_bytes());
            prop_assert!(activity.is_held());
            if granted {
                stream = stream.upgraded(&Bytes::new());
            } else {
                activity.release();
            }
            prop_assert_eq!(read(&mut stream, room), behind);
        }
    }

    #[test]
    fn what_hyper_has_taken_comes_first() {
        let activity = Connections::default().add(Rc::default());
        let stream = Stream::new(Parts::cut(b"third", &[]), BytesMut::from("second "), true, activity);
        assert_eq!(read(&mut stream.upgraded(&Bytes::from_static(b"first ")), 4), b"first second third");
    }
}
