//! A provider may answer before it has read the whole request, and close: a refusal for want of a key or of room. Then
//! writing fails while the answer is still to be read.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection on which nobody hears that the peer takes no more: a write then waits, and whoever reads finds the answer
/// or the end of the connection. hyper reads on while a write waits, and forgets both at the first failed write.
#[derive(Debug)]
pub(super) struct Patient<I>(pub(super) I);

/// Nothing wakes such a write. The reader must be waiting too, and ends the connection.
fn patiently<T>(polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
    match polled {
        Poll::Ready(Err(error)) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Poll::Pending,
        polled => polled,
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Patient<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Patient<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        patiently(Pin::new(&mut self.0).poll_write(cx, bytes))
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        patiently(Pin::new(&mut self.0).poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        patiently(Pin::new(&mut self.0).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
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
        let mut io = Patient(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
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
