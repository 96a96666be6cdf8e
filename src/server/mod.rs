//! Layer 5: what faces the network. [`start`] brings a config to life: a thread for each worker, one control thread for
//! accepting, admin and DNS, and two that may have to wait for a disk: one writes the access log, one watches files.
//!
//! | what | files |
//! | --- | --- |
//! | a connection's way in | [`listener`] (at a [`socket_file`], perhaps), [`worker`], [`connection`] |
//! | what is told by its first bytes | [`proxy_protocol`], [`tls`], [`certified`], [`protocol`], [`guard`] |
//! | its bytes, and when it is closed | [`socket`], [`io`], [`activity`]; [`streams`] of HTTP/2 |
//! | the end of the process | [`drain`], [`signals`] and [`systemd`] beside it |
//! | what changes while it runs | [`watch`], [`renewals`] |
//! | for operators | [`admin`]; `export` sends spans |
//! | for tokens | `jwks` fetches the keys of their issuer |
//! | threads | [`local`] |

pub mod activity;
pub mod admin;
pub mod certified;
pub mod connection;
pub mod drain;
mod export;
pub mod guard;
pub mod io;
mod jwks;
pub mod listener;
pub mod local;
mod nobody;
pub mod protocol;
pub mod proxy_protocol;
pub mod renewals;
pub mod signals;
pub mod socket;
pub mod socket_file;
pub mod streams;
pub mod systemd;
pub mod tls;
pub mod watch;
pub mod worker;

use std::{
    fmt,
    io::{Error, Result, Write},
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    sync::{Arc, atomic::AtomicBool},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use self::{
    drain::Drain, export::Exporter, listener::Listener, renewals::Renewals, systemd::Passed, tls::ListenerTls, watch::Watching,
    worker::Worker,
};
use crate::{
    config::{Config, Loaded},
    runtime::{self, Cache, Held, Registry, Reloader, Runtime, compile::Ground, reload::Fit},
    telemetry::{
        AccessLog, Metrics,
        decisions::Ring,
        log::{Ration, Seldom},
        trace::{Span, Spans},
    },
    types::Address,
    upstream::{Resolver, dns, dns::Lookups},
};

/// In how many turns of the upkeep what is stored and over is swept.
const SWEEP: usize = 30;

/// How often metric samples are folded into buckets. Until then each takes eight bytes.
const UPKEEP: Duration = Duration::from_secs(1);

/// How long the collector has for what waits when the process ends.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// What is the process's to say, not the config's.
pub struct Options {
    /// Where the access log goes.
    pub access_log: Box<dyn Write + Send>,
    /// Whether files are watched. Without it the config and certificates change when they are told to.
    pub watch: bool,
    /// Sockets that whoever started the process has bound for it.
    pub passed: Passed,
}

impl Default for Options {
    fn default() -> Self {
        Self { access_log: Box::new(std::io::stdout()), watch: true, passed: Passed::default() }
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
    drain: Drain,
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

    /// What ends it in order.
    #[must_use]
    pub fn drain(&self) -> &Drain {
        &self.drain
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
    let (config, listen) = (loaded.config.clone(), loaded.config.listen.clone());
    let (resolver, lookups) = dns::resolver(loaded.config.dns.clone());
    let tls = listen.tls.clone().map(ListenerTls::new).transpose().map_err(Error::other)?.map(Arc::new);
    let metrics = Metrics::default();
    let server_metrics = metrics.server();
    let registry = Registry::default();
    let ground = Ground { metrics: &metrics, registry: &registry, before: None };
    let snapshot = runtime::compile(loaded.clone(), ground).map_err(Error::other)?;
    server_metrics.generation.set(snapshot.generation as f64);

    let (listener, admin, fit) = bind(&config, options.passed)?;
    let (address, admin_address) = (listener.address()?, admin.local_addr()?);

    let (access_log, log_writer) = AccessLog::start(options.access_log, server_metrics.clone())?;
    let held = Held::default();
    let (spans, waiting) = Spans::new(metrics.spans());
    let runtime = Arc::new(Runtime {
        snapshot: ArcSwap::from_pointee(snapshot),
        registry,
        metrics,
        server_metrics,
        traffic: Arc::default(),
        access_log: access_log.clone(),
        spans,
        held,
        failures: Seldom::default(),
        cooled: Seldom::default(),
        slow: Ration::default(),
        cache: Cache::new(config.cache_bounds()),
        decisions: Ring::new(config.log.decisions),
        began: Instant::now(),
        estimator: Default::default(),
        cut: AtomicBool::new(false),
    });
    let drain = Drain::default();
    let count = listen.workers.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let started = (0..count).map(|index| {
        let (runtime, resolver, tls, drain) = (Arc::clone(&runtime), resolver.clone(), tls.clone(), drain.clone());
        Worker::start(index, worker::Parts { runtime, resolver, tls, workers: count, drain })
    });
    let (workers, threads): (Vec<_>, Vec<_>) = started.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let (stop, stopped) = oneshot::channel();
    let reloader = Reloader::new(Arc::clone(&runtime), loaded, fit);
    let renewals = Renewals::new(Arc::clone(&runtime), tls);
    let watching = options.watch.then(|| watch::start(reloader.clone(), renewals)).transpose()?;
    let accepting = (listener, workers, listen.connections.get());
    let (spans, reloading) = ((waiting, resolver), reloader.clone());
    let served = Control { accepting, admin, reloader: reloading, lookups, spans, runtime, drain: drain.clone() };
    let control = local::spawn("control".to_owned(), move || served.run(stopped))?;
    tracing::info!(%address, admin = %admin_address, workers = count, "listening");
    Ok(Running {
        address,
        admin_address,
        access_log,
        drain,
        reloader,
        _watching: watching,
        stop: Some(stop),
        control: Some(control),
        workers: threads,
        log_writer: Some(log_writer),
    })
}

/// Both listeners, each as it was passed or else as the config says; and which configs go with those that were passed.
fn bind(config: &Config, passed: Passed) -> Result<(Listener, TcpListener, Fit)> {
    let Config { listen, admin, .. } = config;
    let given = passed.listen.is_some();
    let listener = match passed.listen {
        Some(socket) => listener::adopt(socket, listen)?,
        None => listener::bind(listen).map_err(|error| at("listen.address", &listen.address, &error))?,
    };
    let passed_admin = passed.admin.as_ref().map(TcpListener::local_addr).transpose()?.map(|address| address.ip());
    let passed_listen = given.then(|| listener.address()).transpose()?;
    let fit = move |config: &Config| systemd::allows(config, passed_listen.as_ref(), passed_admin);
    fit(config)?;
    let admin = match passed.admin {
        Some(socket) => socket,
        None => TcpListener::bind(admin.address).map_err(|error| at("admin.address", &admin.address, &error))?,
    };
    admin.set_nonblocking(true)?;
    Ok((listener, admin, Box::new(move |config| fit(config).map_err(|error| error.to_string()))))
}

fn at(field: &str, address: &impl fmt::Display, error: &Error) -> Error {
    Error::new(error.kind(), format!("{field}: can't listen on {address}: {error}"))
}

/// What the control thread does.
struct Control {
    accepting: (Listener, Vec<Worker>, usize),
    admin: TcpListener,
    reloader: Reloader,
    lookups: Lookups,
    /// Those for the collector, and how its name and an issuer's are looked up.
    spans: (mpsc::Receiver<Span>, Resolver),
    runtime: Arc<Runtime>,
    drain: Drain,
}

impl Control {
    async fn run(self, stopped: oneshot::Receiver<()>) {
        let Self { accepting: (listener, workers, places), admin, reloader, lookups, spans: (waiting, resolver), runtime, drain } = self;
        let (last_call, called) = oneshot::channel();
        let exporter = tokio::task::spawn_local(Exporter::new(waiting, Arc::clone(&runtime), resolver.clone()).run(called));
        tokio::task::spawn_local(jwks::keep(Arc::clone(&runtime), resolver));
        tokio::task::spawn_local(lookups.run());
        let parts = admin::Parts { runtime: Arc::clone(&runtime), reloader, drain: drain.clone() };
        tokio::task::spawn_local(admin::serve(admin, parts));
        tokio::task::spawn_local(upkeep(Arc::clone(&runtime)));
        tokio::select! {
            result = drain::attend(drain, listener, (workers, places), &runtime) => drop(result),
            _ = stopped => {}
        }
        drop(last_call);
        drop(timeout(LAST_SPANS, exporter).await);
    }
}

async fn upkeep(runtime: Arc<Runtime>) {
    for turn in 0.. {
        tokio::time::sleep(UPKEEP).await;
        runtime.refresh();
        runtime.registry.sweep(turn, runtime.moment());
        if turn % SWEEP == SWEEP - 1 {
            runtime.cache.store.sweep(runtime.moment());
        }
        runtime.metrics.run_upkeep();
    }
}
