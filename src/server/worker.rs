//! A worker: one thread with a single-threaded runtime of its own, its own connections to clients and to providers.
//! Once a connection was handed to a worker, nothing of it ever changes threads.

use std::{
    fmt, io,
    net::IpAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tokio::{
    net::{TcpStream, UnixStream},
    sync::{OwnedSemaphorePermit, mpsc},
};

use super::{
    activity::Connections,
    connection::{self, Ended, Shared},
    drain::Drain,
    guard::Refused,
    local,
    socket::{Kind, Socket},
    tls::ListenerTls,
};
use crate::{
    pipeline::Pipeline,
    runtime::Runtime,
    telemetry::{metrics::Raised, traffic::Connected},
    upstream::{Resolver, Upstream},
};

/// A connection that was accepted, on its way to a worker.
#[derive(Debug)]
pub struct Accepted {
    /// The socket, not yet registered with any runtime.
    pub socket: AcceptedSocket,
    /// The peer; `None` on a Unix socket.
    pub peer: Option<IpAddr>,
    /// Its place among the connections that may be open.
    pub place: OwnedSemaphorePermit,
}

/// Either kind of socket.
#[derive(Debug)]
pub enum AcceptedSocket {
    /// Over TCP.
    Tcp(std::net::TcpStream),
    /// Over a socket file.
    Unix(std::os::unix::net::UnixStream),
}

/// The end of a worker that the accepting side holds. When the last is dropped, the worker ends.
#[derive(Clone, Debug)]
pub struct Worker {
    hand: mpsc::UnboundedSender<(Accepted, Load)>,
    load: Arc<AtomicUsize>,
}

/// One connection's part of a worker's load.
#[derive(Debug)]
struct Load(Arc<AtomicUsize>);

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a worker is started with.
pub struct Parts {
    /// What all workers share.
    pub runtime: Arc<Runtime>,
    /// Names to addresses.
    pub resolver: Resolver,
    /// TLS, where the listener asks for it.
    pub tls: Option<Arc<ListenerTls>>,
    /// How many workers there are.
    pub workers: usize,
    /// What ends it all.
    pub drain: Drain,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}

impl Worker {
    /// Starts worker number `index`.
    ///
    /// # Errors
    ///
    /// If the system gives no thread or no runtime.
    pub fn start(index: usize, parts: Parts) -> io::Result<(Self, thread::JoinHandle<()>)> {
        let (hand, handed) = mpsc::unbounded_channel();
        let thread = local::spawn(format!("worker-{index}"), move || run(parts, handed))?;
        Ok((Self { hand, load: Arc::default() }, thread))
    }

    /// The one with the fewest connections. A worker that has ended has none, and takes none either.
    pub fn least_loaded(workers: &[Self]) -> Option<&Self> {
        workers.iter().filter(|worker| !worker.hand.is_closed()).min_by_key(|worker| worker.load.load(Ordering::Relaxed))
    }

    /// Hands it a connection. A worker that has ended drops it, and so closes it.
    pub fn hand(&self, accepted: Accepted) {
        self.load.fetch_add(1, Ordering::Relaxed);
        drop(self.hand.send((accepted, Load(Arc::clone(&self.load)))));
    }
}

async fn run(parts: Parts, mut handed: mpsc::UnboundedReceiver<(Accepted, Load)>) {
    let Parts { runtime, resolver, tls, workers, drain } = parts;
    let upstream = Upstream::new(resolver, workers);
    let connections = Connections::default();
    tokio::task::spawn_local(upstream.clone().sweep());
    tokio::task::spawn_local(connections.clone().sweep(Arc::clone(&runtime)));
    tokio::task::spawn_local(connections.clone().drain(drain.clone()));
    let shared = Rc::new(Shared { pipeline: Pipeline::new(Arc::clone(&runtime), upstream), tls, connections, drain });
    while let Some((accepted, load)) = handed.recv().await {
        tokio::task::spawn_local(attend(accepted, load, Rc::clone(&shared), Arc::clone(&runtime)));
    }
}

/// Serves one connection; its place and its part of the load are given back at the end, however that comes.
async fn attend(accepted: Accepted, _load: Load, shared: Rc<Shared>, runtime: Arc<Runtime>) {
    let Accepted { socket, peer, place: _place } = accepted;
    let metrics = &runtime.server_metrics;
    let _open = (Raised::new(&metrics.connections), Connected::new(&runtime.traffic));
    let Ok(socket) = register(socket) else { return metrics.accept.increment(1) };
    let (listen, announced) = {
        let snapshot = runtime.snapshot.load();
        (Arc::clone(&snapshot.listen), snapshot.listen.proxy_protocol && snapshot.trust.covers(peer))
    };
    match connection::serve(socket, (peer, announced), listen, shared).await {
        Ok(()) => {}
        Err(ended) => match ended {
            Ended::Silent => &metrics.silent,
            Ended::Handshake => &metrics.handshake,
            Ended::Unannounced => &metrics.proxy_protocol,
            Ended::TooLarge => &metrics.too_large,
            Ended::Malformed => &metrics.malformed,
            Ended::Refused(Refused::BareLineFeed) => &metrics.bare_line_feed,
            Ended::Refused(Refused::Ambiguous) => &metrics.ambiguous,
        }
        .increment(1),
    }
}

fn register(socket: AcceptedSocket) -> io::Result<Socket> {
    Ok(Socket::new(match socket {
        AcceptedSocket::Tcp(socket) => Kind::Tcp(TcpStream::from_std(socket)?),
        AcceptedSocket::Unix(socket) => Kind::Unix(UnixStream::from_std(socket)?),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_has_ended_gets_no_connection() {
        let worker = |load| {
            let (hand, handed) = mpsc::unbounded_channel();
            (Worker { hand, load: Arc::new(AtomicUsize::new(load)) }, handed)
        };
        let (ended, (busy, _busy), (idle, _idle)) = (worker(0).0, worker(2), worker(1));
        let chosen = |workers: &[Worker]| Worker::least_loaded(workers).map(|worker| worker.load.load(Ordering::Relaxed));
        assert_eq!(chosen(&[ended.clone(), busy, idle]), Some(1));
        assert_eq!(chosen(&[ended]), None);
    }
}
