//! A simulated provider: OpenAI's formats without an account, a network or a bill.
//!
//! It stands beside the layers. It knows nothing of the proxy, so what it sees is what a provider would see.
//!
//! ```text
//! listen.rs      sockets, HTTP/1.1 or HTTP/2, the reset of a connection
//! answer.rs      credentials → endpoint → body → fault → reply
//! chat.rs responses.rs embeddings.rs models.rs      one endpoint each: a request in, a `Script` out
//! faults.rs      what goes wrong, by model name
//! error.rs       an error as the provider words it
//! script.rs      a reply before it is sent: whole, or as events with the token at which each is due
//! pace.rs        when its tokens come
//! body.rs        a script on its way: paced, ended, broken off, or dropped by its reader
//! exchange.rs    one request as an onlooker sees it, reported once, also on a cancel
//! text.rs tools.rs sse.rs      words, tool calls and frames, all of them from the seed
//! mock.rs demo.rs load/        `sidegate mock`, `sidegate demo` and `sidegate load`
//! ```

mod answer;
mod body;
mod chat;
pub mod demo;
mod embeddings;
mod error;
mod exchange;
pub mod faults;
mod listen;
pub mod load;
pub mod mock;
mod models;
mod pace;
mod responses;
mod script;
mod sse;
mod text;
mod tools;

use std::{
    cell::Cell,
    io,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{net::TcpListener, runtime::Builder, sync::oneshot, task::LocalSet};

use exchange::Onlooker;
pub use exchange::{Counters, End, Seen};

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
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            first_token: Duration::from_millis(200),
            tokens_per_second: 50.0,
            length: 60,
            seed: 1,
        }
    }
}

/// A simulated provider that is up. Dropping it closes its port and every connection.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    counters: Arc<Counters>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
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
        format!("http://{}/v1", self.address)
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
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts a simulated provider on a thread of its own; it listens when this returns.
///
/// # Errors
/// The address can't be bound, or the system has no thread or descriptor left.
pub fn start(options: Options) -> io::Result<Running> {
    start_observed(options, |_| {})
}

/// As [`start`], and `observer` is told of every request when it has ended.
///
/// It is called on the provider's only thread, so it must not block.
///
/// # Errors
/// As [`start`].
pub fn start_observed(options: Options, observer: impl FnMut(Seen) + Send + 'static) -> io::Result<Running> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _context = runtime.enter();
        let listener = std::net::TcpListener::bind(options.address)?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)?
    };
    let address = listener.local_addr()?;
    let counters = Arc::new(Counters::default());
    let (stop, stopped) = oneshot::channel();
    let thread = {
        let counters = Arc::clone(&counters);
        thread::Builder::new().name("simulator".to_owned()).spawn(move || {
            let onlooker = Onlooker::new(counters, observer);
            let provider = Rc::new(Provider { options, onlooker, turns: Cell::new(0) });
            // The set of tasks is dropped before the runtime: every open reply ends here.
            runtime.block_on(LocalSet::new().run_until(listen::serve(listener, provider, stopped)));
        })?
    };
    Ok(Running { address, counters, stop: Some(stop), thread: Some(thread) })
}

/// What all requests to one simulated provider share; it never leaves the provider's thread.
struct Provider {
    options: Options,
    onlooker: Onlooker,
    /// Requests to models that fail by turns, so far.
    turns: Cell<u64>,
}
