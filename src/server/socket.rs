//! A client's socket, shared by the two that need it: hyper, which reads and writes, and a watch, which sees the client
//! leave also while nobody reads.
//!
//! hyper reads only when it wants bytes. While a request is answered and more bytes wait behind it, or while an upload
//! waits for its provider, hyper never comes to the end of what was sent. The kernel says that the other side has closed
//! without being read, and the runtime hears of it anyway: the watch costs no call to the system.

use std::{
    cell::Cell,
    io,
    mem::MaybeUninit,
    net::Shutdown,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::{TcpStream, UnixStream},
};

use super::activity::Writes;

/// Either kind of socket, on the runtime that serves it.
#[derive(Debug)]
pub enum Kind {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a socket file.
    Unix(UnixStream),
}

/// A client's socket. Clones are the same one, which closes with the last of them.
#[derive(Clone, Debug)]
pub struct Socket {
    shared: Rc<Shared>,
    writes: Rc<Writes>,
}

#[derive(Debug)]
struct Shared {
    kind: Kind,
    /// Whether the last read found nothing and waits.
    reader_waits: Cell<bool>,
}

/// Calls what both kinds have in common.
macro_rules! either {
    ($socket:expr, $inner:ident => $call:expr) => {
        match &$socket.shared.kind {
            Kind::Tcp($inner) => $call,
            Kind::Unix($inner) => $call,
        }
    };
}

impl Socket {
    /// Makes it shareable.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { shared: Rc::new(Shared { kind, reader_waits: Cell::new(false) }), writes: Rc::default() }
    }

    /// Whether what is written moves.
    #[must_use]
    pub fn writes(&self) -> Rc<Writes> {
        Rc::clone(&self.writes)
    }

    /// Waits until the client has closed its sending side, or the connection broke. Bytes that nobody has read yet don't
    /// hide it. A client that closes its sending side alone, and still reads, can't be told from one that has left.
    pub async fn left(&self) {
        // The runtime reports the other side's close under every interest in reading. Under this one it reports nothing
        // else, since urgent bytes were not asked for when the socket was registered.
        #[cfg(target_os = "linux")]
        drop(either!(self, socket => socket.ready(Interest::PRIORITY).await));
        // Elsewhere there is no such interest: the client is seen to leave when hyper reads.
        #[cfg(not(target_os = "linux"))]
        std::future::pending::<()>().await;
    }

    /// Lets the connection end with a reset, which throws away what has not been acknowledged: for a client that could take
    /// an end in order for the end of its reply.
    pub fn break_off(&self) {
        // Where there is no such thing, as on a Unix socket, it ends in order.
        if let Kind::Tcp(socket) = &self.shared.kind {
            drop(SockRef::from(socket).set_linger(Some(Duration::ZERO)));
        }
    }

    /// Whether bytes are here that nobody has read: asks the kernel, since the runtime may not have heard of them yet.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        either!(self, socket => SockRef::from(socket).peek(&mut [MaybeUninit::uninit()])).is_ok_and(|bytes| bytes > 0)
    }

    /// Whether somebody has tried to read since this was asked last, and waits for more: then that read sees the client leave.
    #[must_use]
    pub fn reader_waits(&self) -> bool {
        self.shared.reader_waits.replace(false)
    }

    /// The kernel has no more for now: says so without asking it, which spares the next poll a call that would fail.
    fn exhausted(&self, interest: Interest) {
        let none = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        drop(either!(self, socket => socket.try_io(interest, none)));
    }

    /// Writes, and notes whether anything moved: below TLS, whose own buffer would hide it.
    fn poll_sent(&self, cx: &mut Context<'_>, offered: usize, send: impl Fn() -> io::Result<usize>) -> Poll<io::Result<usize>> {
        let sent = self.poll_send(cx, offered, send);
        self.writes.note(sent.is_ready());
        sent
    }

    fn poll_send(&self, cx: &mut Context<'_>, offered: usize, send: impl Fn() -> io::Result<usize>) -> Poll<io::Result<usize>> {
        loop {
            ready!(either!(self, socket => socket.poll_write_ready(cx)))?;
            match send() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => {
                    if sent.as_ref().is_ok_and(|sent| (1..offered).contains(sent)) {
                        self.exhausted(Interest::WRITABLE);
                    }
                    return Poll::Ready(sent);
                }
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = buffer.remaining();
        loop {
            let readiness = either!(self, socket => socket.poll_read_ready(cx));
            self.shared.reader_waits.set(readiness.is_pending());
            ready!(readiness)?;
            match either!(self, socket => socket.try_read_buf(buffer)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => {
                    if read.as_ref().is_ok_and(|read| (1..room).contains(read)) {
                        self.exhausted(Interest::READABLE);
                    }
                    return Poll::Ready(read.map(drop));
                }
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_sent(cx, bytes.len(), || either!(self, socket => socket.try_write(bytes)))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, buffers: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let offered = buffers.iter().map(|buffer| buffer.len()).sum();
        self.poll_sent(cx, offered, || either!(self, socket => socket.try_write_vectored(buffers)))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(either!(self, socket => SockRef::from(socket).shutdown(Shutdown::Write)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[tokio::test]
    async fn what_is_here_and_unread_is_seen_before_the_runtime_hears_of_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        let socket = Socket::new(Kind::Tcp(TcpStream::from_std(accepted).unwrap()));
        assert!(!socket.has_unread(), "nothing has come");
        client.write_all(b"GET").unwrap();
        assert!(socket.has_unread() && socket.has_unread(), "looking takes nothing");
        drop(client.shutdown(Shutdown::Write));
        let mut read = [0; 3];
        either!(socket, socket => (&mut &*SockRef::from(socket)).read_exact(&mut read)).unwrap();
        assert!(!socket.has_unread(), "an end is nothing to read");
    }
}
