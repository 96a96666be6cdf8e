//! Layer 5: what faces the network. [`start`] brings a config to life: a thread for each worker, one control thread for
//! accepting, admin, DNS and certificates, and one that writes the access log, since writing may block.

pub mod activity;
pub mod admin;
pub mod connection;
pub mod guard;
pub mod io;
pub mod listener;
pub mod local;
pub mod proxy_protocol;
pub mod renewals;
pub mod socket;
pub mod tls;
pub mod watch;
pub mod worker;

use std::{
    fmt,
    io::{Error, Result, Write},
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use self::{listener::Listener, renewals::Renewals, tls::ListenerTls, watch::Watching, worker::Worker};
use crate::{
    config::Loaded,
    runtime::{self, Held, Registry, Reloader, Runtime, compile::Ground},
    telemetry::{AccessLog, Metrics, log::Seldom},
    types::Address,
    upstream::{dns, dns::Lookups},
};

/// How often metric samples are folded into buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// What is the process's to say, not the config's.
pub struct Options {
    /// Where the access log goes.
    pub access_log: Box<dyn Write + Send>,
    /// Whether files are watched. Without it the config and certificates change when they are told to.
    pub watch: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { access_log: Box::new(std::io::stdout()), watch: true }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Options")
    }
}

/// A proxy that serves. Dropping it ends it.
#[derive(Debug)]
pub struct Running {
    address: Address,
    admin_address: SocketAddr,
    access_log: AccessLog,
    reloader: Reloader,
    _watching: Option<Watching>,
    stop: Option<oneshot::Sender<()>>,
    control: Option<JoinHandle<()>>,
    workers: Vec<JoinHandle<()>>,
    log_writer: Option<JoinHandle<()>>,
}

impl Running {
    /// Where applications connect.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Where operators connect.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Reloads its config.
    #[must_use]
    pub fn reloader(&self) -> &Reloader {
        &self.reloader
    }

    /// Ends it: no new connections, those that are open are closed, and every line of the access log is written.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The control thread holds the workers' ends: with it they end, and drop their requests, which settles them.
        drop(self.stop.take());
        let threads = self.control.take().into_iter().chain(self.workers.drain(..));
        threads.for_each(|thread| drop(thread.join()));
        self.access_log.close();
        if let Some(writer) = self.log_writer.take() {
            drop(writer.join());
        }
    }
}

/// Starts serving. Returns when both addresses are bound.
///
/// # Errors
///
/// If the config can't be put in force, an address can't be bound, or the system gives no thread.
pub fn start(loaded: Loaded, options: Options) -> Result<Running> {
    let (listen, admin) = (loaded.config.listen.clone(), loaded.config.admin.clone());
    let (resolver, lookups) = dns::resolver(loaded.config.dns.clone());
    let tls = listen.tls.clone().map(ListenerTls::new).transpose().map_err(Error::other)?.map(Arc::new);
    let metrics = Metrics::default();
    let server_metrics = metrics.server();
    let registry = Registry::default();
    let ground = Ground { metrics: &metrics, registry: &registry, before: None };
    let snapshot = runtime::compile(loaded.clone(), ground).map_err(Error::other)?;
    server_metrics.generation.set(snapshot.generation as f64);

    let listener = listener::bind(&listen).map_err(|error| at("listen.address", &listen.address, &error))?;
    let admin = bind_admin(admin.address)?;
    let (address, admin_address) = (listener.address()?, admin.local_addr()?);

    let (access_log, log_writer) = AccessLog::start(options.access_log, server_metrics.clone())?;
    let held = Held::default();
    let runtime = Arc::new(Runtime {
        snapshot: ArcSwap::from_pointee(snapshot),
        registry,
        metrics,
        server_metrics,
        traffic: Arc::default(),
        access_log: access_log.clone(),
        held,
        failures: Seldom::default(),
    });
    let count = listen.workers.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let started = (0..count).map(|index| {
        let parts = worker::Parts { runtime: Arc::clone(&runtime), resolver: resolver.clone(), tls: tls.clone(), workers: count };
        Worker::start(index, parts)
    });
    let (workers, threads): (Vec<_>, Vec<_>) = started.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let (stop, stopped) = oneshot::channel();
    let reloader = Reloader::new(Arc::clone(&runtime), loaded);
    let renewals = Renewals::new(Arc::clone(&runtime), tls);
    let watching = options.watch.then(|| watch::start(reloader.clone(), renewals)).transpose()?;
    let served = Control { listener, places: listen.connections.get(), workers, admin, reloader: reloader.clone(), lookups, runtime };
    let control = local::spawn("control".to_owned(), move || served.run(stopped))?;
    tracing::info!(%address, admin = %admin_address, workers = count, "listening");
    Ok(Running {
        address,
        admin_address,
        access_log,
        reloader,
        _watching: watching,
        stop: Some(stop),
        control: Some(control),
        workers: threads,
        log_writer: Some(log_writer),
    })
}

fn bind_admin(address: SocketAddr) -> Result<TcpListener> {
    let socket = TcpListener::bind(address).map_err(|error| at("admin.address", &address, &error))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn at(field: &str, address: &impl fmt::Display, error: &Error) -> Error {
    Error::new(error.kind(), format!("{field}: can't listen on {address}: {error}"))
}

/// What the control thread does.
struct Control {
    listener: Listener,
    places: usize,
    workers: Vec<Worker>,
    admin: TcpListener,
    reloader: Reloader,
    lookups: Lookups,
    runtime: Arc<Runtime>,
}

impl Control {
    async fn run(self, stopped: oneshot::Receiver<()>) {
        let Self { listener, places, workers, admin, reloader, lookups, runtime } = self;
        tokio::task::spawn_local(lookups.run());
        tokio::task::spawn_local(admin::serve(admin, Arc::clone(&runtime), reloader));
        tokio::task::spawn_local(upkeep(Arc::clone(&runtime)));
        tokio::select! {
            result = listener.accept(workers, places, runtime.server_metrics.clone()) => drop(result),
            _ = stopped => {}
        }
    }
}

async fn upkeep(runtime: Arc<Runtime>) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        runtime.refresh();
        runtime.metrics.run_upkeep();
    }
}
