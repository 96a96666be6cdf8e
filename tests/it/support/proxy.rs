//! Sidegate in this process, between a story's client and its provider.

use std::{
    io::{self, Write},
    net::SocketAddr,
    num::NonZeroUsize,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use sidegate::{
    config::{self, Config, Environment, Loaded},
    runtime::reload::{Report, Status, Trigger},
    server::{
        self, Running,
        drain::{Drain, Phase},
    },
    types::Address,
};

use super::{Client, client::Reply, eventually, within};

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
    breaker: off
routes:
  - { path: /v1, targets: [scripted] }
"#;

/// Each request is sent once: what a story scripts is what happens.
const ONCE: &str = "retry: { attempts: 1 }\n";

/// A running proxy; dropping it stops it.
pub(crate) struct Sidegate {
    /// Where it listens, if that is TCP.
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    log: Log,
    running: Running,
    _last_words: LastWords,
}

impl Sidegate {
    /// Before a provider that speaks HTTP/1.1.
    pub(crate) async fn before(provider: SocketAddr) -> Self {
        Self::start(&(BEFORE.replace("$VERSION", "1.1") + ONCE), provider).await
    }

    /// The same, with the case of field names kept.
    pub(crate) async fn that_keeps_case_before(provider: SocketAddr) -> Self {
        let config = BEFORE.replace("$VERSION", "1.1").replace("workers: 1", "workers: 1, keep_case: true");
        Self::start(&(config + ONCE), provider).await
    }

    /// Before a provider that speaks HTTP/2 by prior knowledge.
    pub(crate) async fn before_h2(provider: SocketAddr) -> Self {
        Self::start(&(BEFORE.replace("$VERSION", "2") + ONCE), provider).await
    }

    /// Whatever its key was told is forgotten: the next reply is about itself.
    pub(crate) async fn forgets(&self, status: u16) {
        if status >= 400 {
            self.change_key("pool", "reset").await;
        }
    }

    /// The same as [`Self::before`] with more sections.
    pub(crate) async fn with(sections: &str, provider: SocketAddr) -> Self {
        let once = if sections.contains("retry:") { "" } else { ONCE };
        Self::start(&(BEFORE.replace("$VERSION", "1.1") + sections + "\n" + once), provider).await
    }

    /// With a config of its own, in which `$UPSTREAM` is the provider and `$KEY` the pool's key.
    pub(crate) async fn start(config: &str, provider: SocketAddr) -> Self {
        Self::start_changed(config, provider, |_| {})
    }

    /// The same, with what only a running proxy can come to: no text may say it.
    pub(crate) fn start_changed(config: &str, provider: SocketAddr, change: impl FnOnce(&mut Loaded)) -> Self {
        let text = config.replace("$UPSTREAM", &provider.to_string()).replace("$KEY", POOL_KEY);
        let mut loaded = config::from_text("proxy.yaml", &text, &Environment::default()).unwrap_or_else(|problems| panic!("{problems}"));
        change(&mut loaded);
        Self::run(loaded)
    }

    /// With a config of its own, in which `$KEY` is the pool's key, and these variables of the environment.
    pub(crate) fn start_in(config: &str, environment: &Environment) -> Self {
        let text = config.replace("$KEY", POOL_KEY);
        Self::run(config::from_text("proxy.yaml", &text, environment).unwrap_or_else(|problems| panic!("{problems}")))
    }

    /// With the config of a file, which it watches or not.
    pub(crate) fn from_file(path: &Path, watch: bool) -> Self {
        Self::run_with(config::load(path, &Environment::default()).unwrap_or_else(|problems| panic!("{problems}")), watch)
    }

    /// With the config of an example, which stands somewhere else and asks another provider, and with what else is changed in it.
    pub(crate) fn like(example: &Path, provider: SocketAddr, change: impl FnOnce(&mut Config)) -> Self {
        let environment = Environment::from([("OPENAI_API_KEY", POOL_KEY)]);
        let mut loaded = config::load(example, &environment).unwrap_or_else(|problems| panic!("{problems}"));
        loaded.config.listen.address = "127.0.0.1:0".parse().unwrap();
        loaded.config.listen.workers = NonZeroUsize::new(1);
        loaded.config.admin.address = "127.0.0.1:0".parse().unwrap();
        for openai in loaded.config.providers.values_mut() {
            openai.base_url = Some(format!("http://{provider}/v1").parse().unwrap());
        }
        change(&mut loaded.config);
        Self::run_with(loaded, false)
    }

    /// What an operator's word does.
    pub(crate) fn reload(&self) -> Arc<Report> {
        self.running.reloader().reload(Trigger::Admin)
    }

    /// What it says of its reloads.
    pub(crate) fn reloads(&self) -> Status {
        self.running.reloader().status()
    }

    fn run(loaded: Loaded) -> Self {
        Self::run_with(loaded, true)
    }

    fn run_with(loaded: Loaded, watch: bool) -> Self {
        let log = Log::default();
        let options = server::Options { access_log: Box::new(log.clone()), watch, ..server::Options::default() };
        let running = server::start(loaded, options).expect("it starts");
        let address = match running.address() {
            Address::Tcp(address) => *address,
            Address::Unix(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        Self { address, admin: running.admin_address(), _last_words: LastWords(log.clone()), log, running }
    }

    /// What ends it in order.
    pub(crate) fn drain(&self) -> &Drain {
        self.running.drain()
    }

    /// Waits until a drain has come this far.
    pub(crate) async fn reaches(&self, phase: Phase) {
        within(&format!("the drain is {phase:?}"), self.drain().reached(phase)).await;
    }

    /// The lines of the access log so far.
    pub(crate) fn log_lines(&self) -> Vec<String> {
        self.log.lines()
    }

    /// The first `count` lines of the access log, once they are there, and no more than those.
    pub(crate) async fn log(&self, count: usize) -> Vec<Value> {
        let lines = eventually("the access log", || self.log_lines(), |lines| lines.len() >= count).await;
        assert_eq!(lines.len(), count, "more lines than requests: {lines:#?}");
        lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    /// Stops it; every line of its access log.
    pub(crate) fn stop(self) -> Vec<String> {
        self.running.stop();
        self.log.lines()
    }

    /// Asks the admin listener.
    pub(crate) async fn ask_admin(&self, path: &str) -> Reply {
        let mut client = Client::connect(self.admin).await;
        client.send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin)).await;
        client.reply("GET").await
    }

    /// The value of one series, as it is written: `name{label="value"}`. A series that is not there is 0.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let page = self.ask_admin("/metrics").await.text();
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap_or_else(|_| panic!("{series} is {value}")))
    }

    /// Waits until a series has this value.
    pub(crate) async fn metric_becomes(&self, series: &str, wanted: f64) {
        let reached = async {
            while self.metric(series).await != wanted {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        within(&format!("{series} becomes {wanted}"), reached).await;
    }
}

/// An access log in memory. Clones are the same log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.0.lock().unwrap()).lines().map(str::to_owned).collect()
    }
}

/// A story that waits in vain says nothing of what was answered meanwhile; this does.
struct LastWords(Log);

impl Drop for LastWords {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lines().iter().for_each(|line| eprintln!("the access log: {line}"));
        }
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
