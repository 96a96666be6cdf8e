//! A simulated provider: OpenAI's formats without an account, a network or a bill.
//!
//! It stands beside the layers. It knows nothing of the proxy, so what it sees is what a provider would see.
//!
//! ```text
//! listen.rs tls.rs   sockets, HTTP/1.1 or HTTP/2, the reset of a connection
//! dialect.rs         which dialect a request speaks, and where its key stands
//! answer.rs          dialect → key → body → limits → fault → endpoint → reply
//! openai/            OpenAI's endpoints, and Azure's: an `Ask` in, a `Script` out
//! anthropic/ gemini/ theirs, each with its words for an error
//! realtime/          the WebSocket
//! keys.rs tally.rs   what a key may do by its name, whose it is, what it has asked for
//! limits.rs          what an account may ask for in a minute
//! store.rs           what an account has made: files, batches, threads
//! faults.rs          what goes wrong, by model name or by chance
//! error.rs           an error, in words that each dialect renders
//! ask.rs multipart.rs          a body as it was asked for
//! memo.rs            replies that were thought of before
//! script.rs          a reply before it is sent: whole, or as events with the token at which each is due
//! reply.rs           its head, with the fields of each dialect
//! pace.rs            when its tokens come
//! body.rs            a script on its way: paced, ended, broken off, or dropped by its reader
//! exchange.rs        one request as an onlooker sees it, reported once, also on a cancel
//! control.rs switches.rs       the admin paths: counts, and what is to go wrong from now on
//! text.rs base64.rs  words from the seed, and a way to send bytes as text
//! mock.rs demo.rs load/        `sidegate mock`, `sidegate demo` and `sidegate load`
//! ```

mod answer;
mod anthropic;
mod ask;
mod base64;
mod body;
mod control;
pub mod demo;
mod dialect;
mod error;
mod exchange;
pub mod faults;
mod gemini;
mod keys;
mod limits;
mod listen;
pub mod load;
mod memo;
pub mod mock;
mod multipart;
mod openai;
mod pace;
mod realtime;
mod reply;
mod script;
mod store;
mod switches;
mod tally;
mod text;
mod tls;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{net::TcpListener, runtime::Builder, sync::oneshot, task::LocalSet};
use tokio_rustls::TlsAcceptor;

use crate::types::Dialect;
use exchange::Onlooker;
pub use exchange::{Counters, End, Seen};
pub use limits::{Limits, Quota};

/// How the simulated provider behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub address: SocketAddr,
    /// From the end of a request to the first token of its reply.
    pub first_token: Duration,
    /// The pace of all tokens behind the first one, at least 0.001. `f64::INFINITY` sends them at once.
    pub tokens_per_second: f64,
    /// Tokens in a reply, unless the request asks for fewer.
    pub length: usize,
    /// Equal seeds and equal requests make equal replies.
    pub seed: u64,
    /// The dialect of every request; `None` lets path and fields tell.
    pub dialect: Option<Dialect>,
    /// What each account may ask for in a minute.
    pub limits: Limits,
    /// Accounts with limits of their own, by the name that their keys say.
    pub quotas: Vec<Quota>,
    /// Within which time an account that has nothing left has all it can hold.
    pub bucket: Duration,
    /// What goes wrong by chance.
    pub faults: Vec<faults::Rate>,
    /// TLS instead of plain sockets.
    pub tls: Option<Tls>,
    /// Threads that serve, at least one.
    pub workers: usize,
}

/// A certificate and its key, both as files in PEM.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate, with the chain behind it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            first_token: Duration::from_millis(200),
            tokens_per_second: 50.0,
            length: 60,
            seed: 1,
            dialect: None,
            limits: Limits::default(),
            quotas: Vec::new(),
            bucket: limits::DEEP,
            faults: Vec::new(),
            tls: None,
            workers: 1,
        }
    }
}

/// A simulated provider that is up. Dropping it closes its port and every connection.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    scheme: &'static str,
    counters: Arc<Counters>,
    workers: Vec<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What an SDK wants as its base URL.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("{}://{}/v1", self.scheme, self.address)
    }

    /// What has been counted since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Closes the port and every connection, and returns when both are gone.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let (stops, threads): (Vec<_>, Vec<_>) = self.workers.drain(..).unzip();
        drop(stops);
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

/// Starts a simulated provider on threads of its own; it listens when this returns.
///
/// # Errors
/// The address can't be bound, the certificate can't be used, or the system has no thread or descriptor left.
pub fn start(options: Options) -> io::Result<Running> {
    begin(options, |counters| Onlooker::new(counters, None))
}

/// As [`start`], and `observer` is told of every request when it has ended.
///
/// It is called on the provider's threads, one at a time, so it must not block.
///
/// # Errors
/// As [`start`].
pub fn start_observed(options: Options, observer: impl FnMut(Seen) + Send + 'static) -> io::Result<Running> {
    begin(options, |counters| Onlooker::new(counters, Some(Box::new(observer))))
}

fn begin(options: Options, onlooker: impl FnOnce(Arc<Counters>) -> Onlooker) -> io::Result<Running> {
    let listener = std::net::TcpListener::bind(options.address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let tls = options.tls.as_ref().map(|tls| tls::acceptor(&tls.certificate, &tls.key)).transpose()?;
    let counters = Arc::new(Counters::default());
    let scheme = if tls.is_some() { "https" } else { "http" };
    let count = options.workers.max(1);
    let provider = Arc::new(Provider {
        keys: keys::Keys::new(options.quotas.clone()),
        options,
        onlooker: onlooker(Arc::clone(&counters)),
        switches: switches::Switches::default(),
        store: store::Store::default(),
        memo: memo::Memo::default(),
        requests: AtomicU64::new(0),
        turns: AtomicU64::new(0),
    });
    let mut running = Running { address, scheme, counters, workers: Vec::with_capacity(count) };
    for _ in 0..count {
        running.workers.push(worker(listener.try_clone()?, tls.clone(), Arc::clone(&provider))?);
    }
    Ok(running)
}

/// A thread that serves until its sender is dropped.
fn worker(
    listener: std::net::TcpListener,
    tls: Option<TlsAcceptor>,
    provider: Arc<Provider>,
) -> io::Result<(oneshot::Sender<()>, JoinHandle<()>)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _context = runtime.enter();
        TcpListener::from_std(listener)?
    };
    let (stop, stopped) = oneshot::channel();
    let thread = thread::Builder::new().name("simulator".to_owned()).spawn(move || {
        // The set of tasks is dropped before the runtime: every open reply ends here.
        runtime.block_on(LocalSet::new().run_until(listen::serve(listener, tls, provider, stopped)));
    })?;
    Ok((stop, thread))
}

/// What all requests to one simulated provider share.
struct Provider {
    options: Options,
    onlooker: Onlooker,
    keys: keys::Keys,
    switches: switches::Switches,
    store: store::Store,
    memo: memo::Memo,
    /// Requests that chance has looked at, so far.
    requests: AtomicU64,
    /// Requests to models that fail by turns, so far.
    turns: AtomicU64,
}
