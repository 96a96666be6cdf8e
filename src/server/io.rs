//! The byte stream of one connection as hyper sees it: bytes that were read to tell the protocol come first, and HTTP/1
//! bytes pass the guard.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{activity::Activity, guard::Guard};

/// A connection's bytes.
#[derive(Debug)]
pub struct Stream<S> {
    socket: S,
    /// What was read before hyper took over.
    early: BytesMut,
    guard: Option<Guard>,
    activity: Rc<Activity>,
}

impl<S> Stream<S> {
    /// `early` first, then the socket. With `guarded`, what is read is HTTP/1.
    pub fn new(socket: S, early: BytesMut, guarded: bool, activity: Rc<Activity>) -> Self {
        Self { socket, early, guard: guarded.then(Guard::default), activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        if this.guard.as_ref().is_some_and(Guard::has_refused) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "malformed HTTP/1")));
        }
        if this.early.is_empty() {
            ready!(Pin::new(&mut this.socket).poll_read(cx, buffer))?;
        } else {
            let taken = this.early.len().min(buffer.remaining());
            buffer.put_slice(&this.early[..taken]);
            this.early.advance(taken);
        }
        if let Some(guard) = &mut this.guard {
            guard.inspect(&mut buffer.filled_mut()[before..]);
            this.activity.in_head(guard.in_head());
            this.activity.refuse(guard.refused());
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
