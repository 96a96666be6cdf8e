//! The listening socket, and handing each accepted connection to the least-loaded worker.

use std::{
    cell::Cell,
    convert::Infallible,
    future::pending,
    io,
    net::IpAddr,
    os::unix::net::{SocketAddr, UnixListener as StdUnixListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

#[cfg(target_os = "linux")]
use socket2::SockFilter;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::{
    socket_file::SocketFile,
    worker::{Accepted, AcceptedSocket, Worker},
};
use crate::{
    config::Listen,
    telemetry::ServerMetrics,
    types::{Address, Period},
};

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

/// A program of the kernel's packet filter that drops what begins a connection, and nothing else: loads the flags of TCP (RFC 9293
/// §3.1), keeps SYN and ACK of them, and drops what has the first alone. bpf(4) names the instructions.
#[cfg(target_os = "linux")]
const WITHOUT_NEWCOMERS: [SockFilter; 5] = [
    SockFilter::new(0x30, 0, 0, 13),
    SockFilter::new(0x54, 0, 0, 0x12),
    SockFilter::new(0x15, 0, 1, 0x02),
    SockFilter::new(0x06, 0, 0, 0),
    SockFilter::new(0x06, 0, 0, u32::MAX),
];

/// The socket on which clients arrive, bound and not yet registered with any runtime.
#[derive(Debug)]
pub struct Listener {
    socket: Bound,
    /// The file of a Unix socket that was made here.
    file: Option<SocketFile>,
    /// Whoever started us holds the socket too, and keeps it.
    passed: bool,
}

/// Either kind of socket.
#[derive(Debug)]
pub enum Bound {
    /// Over TCP.
    Tcp(std::net::TcpListener),
    /// Over a Unix socket.
    Unix(StdUnixListener),
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
            attune(&socket, listen)?;
            socket.bind(&(*address).into())?;
            socket.listen(BACKLOG)?;
            Ok(Listener { socket: Bound::Tcp(socket.into()), file: None, passed: false })
        }
        Address::Unix(path) => {
            let (socket, file) = SocketFile::bind(path)?;
            socket.set_nonblocking(true)?;
            Ok(Listener { socket: Bound::Unix(socket), file: Some(file), passed: false })
        }
    }
}

/// Takes a socket that somebody else has bound and keeps, such as systemd.
///
/// # Errors
///
/// If it takes no options.
pub fn adopt(socket: Bound, listen: &Listen) -> io::Result<Listener> {
    match &socket {
        Bound::Tcp(socket) => attune(&SockRef::from(socket), listen)?,
        Bound::Unix(socket) => socket.set_nonblocking(true)?,
    }
    Ok(Listener { socket, file: None, passed: true })
}

/// What connections inherit from the listener.
fn attune(socket: &Socket, listen: &Listen) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    // A client whose host or way is gone says nothing any more.
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE.0).with_interval(KEEPALIVE.1))?;
    // Linux counts a reader who leaves no room as one who acknowledges nothing, so this is as long as we would wait.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(listen.write_timeout.0))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(UNSENT)?;
    Ok(())
}

impl Listener {
    /// Where it listens: with the port that the system chose, if none was asked for.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn address(&self) -> io::Result<Address> {
        match &self.socket {
            Bound::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Bound::Unix(listener) => listener.local_addr().map(|address| Address::Unix(written(&address))),
        }
    }
}

/// The path of a socket; the name of one that has none, as systemd writes it.
fn written(address: &SocketAddr) -> PathBuf {
    #[cfg(target_os = "linux")]
    if let Some(name) = std::os::linux::net::SocketAddrExt::as_abstract_name(address) {
        return format!("@{}", name.escape_ascii()).into();
    }
    address.as_pathname().map(Path::to_owned).unwrap_or_default()
}

/// The places that connections take.
#[derive(Clone, Debug)]
pub struct Places {
    free: Arc<Semaphore>,
    all: u32,
}

impl Places {
    fn new(count: usize) -> Self {
        let all = u32::try_from(count.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        Self { free: Arc::new(Semaphore::new(all as usize)), all }
    }

    /// How many connections there are.
    #[must_use]
    pub fn taken(&self) -> usize {
        (self.all as usize).saturating_sub(self.free.available_permits())
    }

    /// Waits until there is no connection.
    pub async fn all_given_back(&self) {
        drop(self.free.acquire_many(self.all).await);
    }

    async fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).acquire_owned().await.ok()
    }
}

/// Where clients come in: the listener on the runtime that accepts, and who takes over from there.
pub struct Door<'w> {
    socket: Registered,
    file: Option<SocketFile>,
    passed: bool,
    workers: &'w [Worker],
    places: Places,
    metrics: ServerMetrics,
    /// How long a client may take nothing, which may change; and what the listener was last told.
    patience: &'w dyn Fn() -> Period,
    told: Cell<Option<Period>>,
}

enum Registered {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl<'w> Door<'w> {
    /// Lets in at most `places` clients at once.
    ///
    /// # Errors
    ///
    /// If the socket can't be registered with the runtime.
    pub fn open(
        listener: Listener,
        (workers, places): (&'w [Worker], usize),
        metrics: ServerMetrics,
        patience: &'w dyn Fn() -> Period,
    ) -> io::Result<Self> {
        let socket = match listener.socket {
            Bound::Tcp(socket) => Registered::Tcp(TcpListener::from_std(socket)?),
            Bound::Unix(socket) => Registered::Unix(UnixListener::from_std(socket)?),
        };
        let (file, passed, places, told) = (listener.file, listener.passed, Places::new(places), Cell::default());
        Ok(Self { socket, file, passed, workers, places, metrics, patience, told })
    }

    /// The places of those who were let in.
    #[must_use]
    pub fn places(&self) -> Places {
        self.places.clone()
    }

    /// Accepts connections for ever. What fails concerns one connection, or passes. Dropped between two of them, it loses none.
    pub async fn accept(&self) -> Infallible {
        loop {
            // The permit comes first: what can't be served waits in the kernel.
            let Some(place) = self.places.take().await else { return pending().await };
            match self.socket.next().await {
                Ok(accepted) => self.hand(accepted, place),
                Err(error) => self.failed(error).await,
            }
        }
    }

    /// From now on nobody begins to connect; who has begun comes in. A passed socket is not only ours to close.
    pub fn refuse_newcomers(&mut self) {
        if self.passed {
            return;
        }
        drop(self.file.take());
        #[cfg(target_os = "linux")]
        if let Registered::Tcp(socket) = &self.socket {
            // Where that can't be had, who connects in the very moment of closing is reset.
            drop(SockRef::from(socket).attach_filter(&WITHOUT_NEWCOMERS));
        }
    }

    /// Lets in all who have connected, and closes. Who waits for a place is waited for.
    pub async fn close(self) {
        while let Some(place) = self.places.take().await {
            match self.socket.next_now() {
                Ok(accepted) => self.hand(accepted, place),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => self.failed(error).await,
            }
        }
    }

    fn hand(&self, (socket, peer): (AcceptedSocket, Option<IpAddr>), place: OwnedSemaphorePermit) {
        #[cfg(target_os = "linux")]
        self.follow(&socket);
        if let Some(worker) = Worker::least_loaded(self.workers) {
            worker.hand(Accepted { socket, peer, place });
        }
    }

    /// The kernel has the same patience as the sweep, also when that has changed. That it can't be told costs nothing but time.
    #[cfg(target_os = "linux")]
    fn follow(&self, accepted: &AcceptedSocket) {
        let wanted = Some((self.patience)());
        if let (Registered::Tcp(listener), AcceptedSocket::Tcp(accepted)) = (&self.socket, accepted)
            && self.told.replace(wanted) != wanted
        {
            let patience = wanted.map(|period| period.0);
            drop(SockRef::from(listener).set_tcp_user_timeout(patience));
            drop(SockRef::from(accepted).set_tcp_user_timeout(patience));
        }
    }

    async fn failed(&self, error: io::Error) {
        // The client was gone again before we came.
        if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
            self.metrics.accept.increment(1);
            tracing::warn!(%error, "can't accept");
            tokio::time::sleep(REST).await;
        }
    }
}

impl Registered {
    async fn next(&self) -> io::Result<(AcceptedSocket, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (socket, peer) = listener.accept().await?;
                over_tcp(socket.into_std()?, peer)
            }
            Self::Unix(listener) => {
                let (socket, _) = listener.accept().await?;
                Ok((AcceptedSocket::Unix(socket.into_std()?), None))
            }
        }
    }

    /// What the kernel holds, without waiting for what it may get: asks it, and not what the runtime has heard of it.
    fn next_now(&self) -> io::Result<(AcceptedSocket, Option<IpAddr>)> {
        let accepted = match self {
            Self::Tcp(listener) => SockRef::from(listener).accept()?,
            Self::Unix(listener) => SockRef::from(listener).accept()?,
        };
        let (socket, peer) = accepted;
        socket.set_nonblocking(true)?;
        match self {
            Self::Tcp(_) => over_tcp(socket.into(), peer.as_socket().ok_or(io::ErrorKind::ConnectionAborted)?),
            Self::Unix(_) => Ok((AcceptedSocket::Unix(socket.into()), None)),
        }
    }
}

fn over_tcp(socket: std::net::TcpStream, peer: std::net::SocketAddr) -> io::Result<(AcceptedSocket, Option<IpAddr>)> {
    socket.set_nodelay(true)?;
    Ok((AcceptedSocket::Tcp(socket), Some(peer.ip().to_canonical())))
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
        let patience = Cell::new(listen.write_timeout);
        let patience_now = || patience.get();
        let _second = std::net::TcpStream::connect(address).unwrap();
        let door = Door::open(listener, (&[], 1), crate::telemetry::Metrics::default().server(), &patience_now).unwrap();
        let (AcceptedSocket::Tcp(socket), _) = door.socket.next().await.unwrap() else { panic!("no TCP") };
        let socket = SockRef::from(&socket);
        assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(
            (socket.tcp_keepalive_time().unwrap(), socket.tcp_keepalive_interval().unwrap(), socket.tcp_user_timeout().unwrap()),
            (KEEPALIVE.0, KEEPALIVE.1, Some(listen.write_timeout.0))
        );
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), UNSENT);
        #[cfg(target_os = "linux")]
        {
            patience.set(Period::secs(7));
            let (accepted, _) = door.socket.next().await.unwrap();
            door.follow(&accepted);
            let AcceptedSocket::Tcp(accepted) = accepted else { panic!("no TCP") };
            assert_eq!(SockRef::from(&accepted).tcp_user_timeout().unwrap(), Some(patience.get().0), "also when it changes");
        }
    }
}
