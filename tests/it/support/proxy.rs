//! Sidegate in this process, between a story's client and its provider.

use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use sidegate::{
    config::{self, Environment},
    server::{self, Running},
    types::Address,
};

/// The pool's key: what the provider must see in place of the caller's credentials.
pub(crate) const POOL_KEY: &str = "sk-of-the-pool-0123456789";

/// One worker, so that what a story counts is counted in one place.
const BEFORE: &str = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
providers:
  scripted:
    base_url: http://$UPSTREAM/v1
    http_version: $VERSION
    keys: [{ name: pool, value: "$KEY" }]
routes:
  - { path: /v1, targets: [scripted] }
"#;

/// A running proxy; dropping it stops it.
pub(crate) struct Sidegate {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    log: Log,
    _running: Running,
}

impl Sidegate {
    /// Before a provider that speaks HTTP/1.1.
    pub(crate) async fn before(provider: SocketAddr) -> Self {
        Self::start(&BEFORE.replace("$VERSION", "1.1"), provider).await
    }

    /// Before a provider that speaks HTTP/2 by prior knowledge.
    pub(crate) async fn before_h2(provider: SocketAddr) -> Self {
        Self::start(&BEFORE.replace("$VERSION", "2"), provider).await
    }

    /// With a config of its own, in which `$UPSTREAM` is the provider and `$KEY` the pool's key.
    pub(crate) async fn start(config: &str, provider: SocketAddr) -> Self {
        let text = config.replace("$UPSTREAM", &provider.to_string()).replace("$KEY", POOL_KEY);
        let loaded = config::from_text("proxy.yaml", &text, &Environment::default()).unwrap_or_else(|problems| panic!("{problems}"));
        let log = Log::default();
        let options = server::Options { access_log: Box::new(log.clone()) };
        let running = server::start(loaded, options).expect("it starts");
        let Address::Tcp(address) = running.address() else { panic!("a story's proxy listens on TCP") };
        Self { address: *address, admin: running.admin_address(), log, _running: running }
    }

    /// The lines of the access log so far.
    pub(crate) fn log_lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.log.0.lock().unwrap()).lines().map(str::to_owned).collect()
    }
}

/// An access log in memory. Clones are the same log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
