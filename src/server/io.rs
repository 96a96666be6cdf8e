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
            self.put_back(&read.clone());
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
