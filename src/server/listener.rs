//! The listening socket, and handing each accepted connection to the least-loaded worker.

use std::{
    io,
    net::IpAddr,
    os::unix::{
        fs::FileTypeExt,
        net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::Semaphore,
};

use super::worker::{Accepted, AcceptedSocket, Worker};
use crate::{config::Listen, telemetry::ServerMetrics, types::Address};

/// Connections that the kernel holds for us while we are busy. With the customary 128, 2,000 clients that come at once
/// lose some; with this none.
const BACKLOG: i32 = 4_096;

/// How long accepting rests when the process is out of file descriptors or memory.
const REST: Duration = Duration::from_millis(50);

/// After how long without traffic the kernel asks whether a client is still there, and how often from then on.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// What the kernel takes ahead of what the client's window allows, for each connection. It would take megabytes: a reader
/// who stalls would cost that, and its provider would go on for so much longer before it is slowed down.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 << 10;

/// The socket on which clients arrive, bound and not yet registered with any runtime.
#[derive(Debug)]
pub enum Listener {
    /// Over TCP.
    Tcp(std::net::TcpListener),
    /// Over a socket file, which is removed at the end.
    Unix(StdUnixListener, SocketFile),
}

/// The same, on the runtime that accepts.
enum Registered {
    Tcp(TcpListener),
    Unix(UnixListener, #[expect(dead_code, reason = "its Drop removes the file")] SocketFile),
}

/// Removes the socket's file when the listener ends.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

/// Binds the address.
///
/// # Errors
///
/// If the address is taken or may not be bound.
pub fn bind(listen: &Listen) -> io::Result<Listener> {
    match &listen.address {
        Address::Tcp(address) => {
            let socket = Socket::new(Domain::for_address(*address), Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            socket.set_nonblocking(true)?;
            // A client whose host or way is gone says nothing any more. Connections inherit this from the listener.
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE.0).with_interval(KEEPALIVE.1))?;
            // Linux counts a reader who leaves no room as one who acknowledges nothing, so this is as long as we would wait.
            #[cfg(target_os = "linux")]
            socket.set_tcp_user_timeout(Some(listen.write_timeout.0))?;
            #[cfg(target_os = "linux")]
            socket.set_tcp_notsent_lowat(UNSENT)?;
            socket.bind(&(*address).into())?;
            socket.listen(BACKLOG)?;
            Ok(Listener::Tcp(socket.into()))
        }
        Address::Unix(path) => {
            remove_stale(path)?;
            let socket = StdUnixListener::bind(path)?;
            let file = SocketFile(path.clone());
            socket.set_nonblocking(true)?;
            Ok(Listener::Unix(socket, file))
        }
    }
}

/// A socket file that nobody listens on was left by a process that could not clean up.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket && StdUnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

impl Listener {
    /// Where it listens: with the port that the system chose, if none was asked for.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Self::Unix(_, file) => Ok(Address::Unix(file.0.clone())),
        }
    }

    fn register(self) -> io::Result<Registered> {
        match self {
            Self::Tcp(listener) => TcpListener::from_std(listener).map(Registered::Tcp),
            Self::Unix(listener, file) => UnixListener::from_std(listener).map(|listener| Registered::Unix(listener, file)),
        }
    }

    /// Accepts connections for ever, at most `places` at once.
    ///
    /// # Errors
    ///
    /// If the socket can't be registered with the runtime. What fails later concerns one connection, or passes.
    pub async fn accept(self, workers: Vec<Worker>, places: usize, metrics: ServerMetrics) -> io::Result<()> {
        let registered = self.register()?;
        let places = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        loop {
            // The permit comes first: what can't be served waits in the kernel.
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            match registered.next().await {
                Ok((socket, peer)) => {
                    if let Some(worker) = Worker::least_loaded(&workers) {
                        worker.hand(Accepted { socket, peer, place });
                    }
                }
                // The client was gone again before we came.
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {}
                Err(error) => {
                    metrics.accept.increment(1);
                    tracing::warn!(%error, "can't accept");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }
}

impl Registered {
    async fn next(&self) -> io::Result<(AcceptedSocket, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (socket, peer) = listener.accept().await?;
                socket.set_nodelay(true)?;
                Ok((AcceptedSocket::Tcp(socket.into_std()?), Some(peer.ip().to_canonical())))
            }
            Self::Unix(listener, _) => {
                let (socket, _) = listener.accept().await?;
                Ok((AcceptedSocket::Unix(socket.into_std()?), None))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;

    use super::*;

    #[tokio::test]
    async fn the_kernel_notices_who_vanishes_and_takes_little_for_who_stalls() {
        let listen = Listen { address: "127.0.0.1:0".parse().unwrap(), ..Listen::default() };
        let listener = bind(&listen).unwrap();
        let Ok(Address::Tcp(address)) = listener.address() else { panic!("no TCP") };
        let _client = std::net::TcpStream::connect(address).unwrap();
        let (AcceptedSocket::Tcp(socket), _) = listener.register().unwrap().next().await.unwrap() else { panic!("no TCP") };
        let socket = SockRef::from(&socket);
        assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(
            (socket.tcp_keepalive_time().unwrap(), socket.tcp_keepalive_interval().unwrap(), socket.tcp_user_timeout().unwrap()),
            (KEEPALIVE.0, KEEPALIVE.1, Some(listen.write_timeout.0))
        );
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), UNSENT);
    }
}
