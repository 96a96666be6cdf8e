//! A provider may answer before it has read the whole request, and close: a refusal for want of a key or of room. Then
//! writing fails while the answer is still to be read.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::interim::Interim;

/// A connection on which nobody hears that the peer takes no more: a write then waits, and whoever reads finds the answer
/// or the end of the connection. hyper reads on while a write waits, and forgets both at the first failed write.
///
/// It bounds the interim replies too, since all that is read passes here.
#[derive(Debug)]
pub(super) struct Patient<I> {
    io: I,
    interim: Interim,
}

impl<I> Patient<I> {
    pub(super) fn new(io: I) -> Self {
        Self { io, interim: Interim::default() }
    }

    pub(super) fn into_inner(self) -> I {
        self.io
    }
}

/// Nothing wakes such a write. The reader must be waiting too, and ends the connection.
fn patiently<T>(polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
    match polled {
        Poll::Ready(Err(error)) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Poll::Pending,
        polled => polled,
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Patient<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        Poll::Ready(self.interim.inspect(&buffer.filled()[before..]).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Patient<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.interim.asked();
        patiently(Pin::new(&mut self.io).poll_write(cx, bytes))
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.interim.asked();
        patiently(Pin::new(&mut self.io).poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        patiently(Pin::new(&mut self.io).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[tokio::test]
    async fn an_answer_is_read_from_a_peer_that_takes_no_more() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut io = Patient::new(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
        let (mut peer, _) = listener.accept().await.unwrap();
        io.write_all(b"never read, so closing is a reset").await.unwrap();
        peer.readable().await.unwrap();
        peer.write_all(b"too large").await.unwrap();
        drop(peer);

        let (mut read, mut write) = tokio::io::split(io);
        let mut answer = String::new();
        tokio::select! {
            biased;
            result = async { loop { if let Err(error) = write.write_all(&[0; 1 << 16]).await { return error } } } => panic!("{result}"),
            _ = read.read_to_string(&mut answer) => {}
        }
        assert_eq!(answer, "too large");
    }
}
