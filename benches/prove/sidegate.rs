//! Sidegate as its own process.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use crate::process::Process;

/// The running binary; dropping it ends it.
pub(crate) struct Sidegate {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) process: Process,
    _config: TempDir,
}

impl Sidegate {
    /// Starts it before a provider that speaks HTTP `version`, with a worker for each processor.
    pub(crate) async fn before(provider: SocketAddr, version: &str) -> Self {
        Self::start(provider, version, "").await
    }

    /// With one worker: all requests share its connections.
    pub(crate) async fn with_one_worker_before(provider: SocketAddr, version: &str) -> Self {
        Self::start(provider, version, ", workers: 1").await
    }

    /// Before whoever has this name, by the word of a name server; no answer of it counts for less than a second.
    pub(crate) async fn before_name(host: &str, port: u16, server: SocketAddr) -> Self {
        let dns = format!("dns: {{ servers: [\"{server}\"], min_ttl: 1s }}\n");
        Self::start_with(&format!("{host}:{port}"), "1.1", "", &dns).await
    }

    /// With TLS: `certificate.pem` and `key.pem` of this folder.
    pub(crate) async fn with_tls_before(provider: SocketAddr, folder: &Path) -> Self {
        let folder = folder.display();
        Self::start(provider, "1.1", &format!(", tls: {{ certificate: {folder}/certificate.pem, key: {folder}/key.pem }}")).await
    }

    async fn start(provider: SocketAddr, version: &str, listen: &str) -> Self {
        Self::start_with(&provider.to_string(), version, listen, "").await
    }

    async fn start_with(provider: &str, version: &str, listen: &str, more: &str) -> Self {
        Self::of(listen, &format!(
            "{more}\
             providers:\n  scripted:\n    base_url: http://{provider}/v1\n    http_version: {version}\n    keys: [{{ value: sk-of-the-pool, name: only }}]\n\
             routes:\n  - {{ path: /v1, targets: [scripted] }}\n"
        ))
        .await
    }

    /// With this config, which says nothing of listeners; `listen` is what the clients' one has beside its address.
    pub(crate) async fn of(listen: &str, rest: &str) -> Self {
        let (address, admin) = (free_port(), free_port());
        let config = tempfile::tempdir().expect("a temporary directory");
        let file = config.path().join("proxy.yaml");
        let text = format!("listen: {{ address: \"{address}\"{listen} }}\nadmin: {{ address: \"{admin}\" }}\n{rest}");
        fs::write(&file, text).expect("a config file");
        let mut process = Process::start(&[program(), "--config".to_owned(), file.display().to_string()], config.path(), false);
        process.listens_at(address).await;
        Self { address, admin, process, _config: config }
    }
}

/// The binary of this build, or of another: `--sidegate=FILE`.
pub(crate) fn program() -> String {
    crate::flag("sidegate", env!("CARGO_BIN_EXE_sidegate").to_owned())
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound socket has an address")
}

/// Both ends of a thousand connections live in this process; its child inherits the limit.
pub(crate) fn raise_the_limit_of_open_files() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .expect("a limit may be raised up to its maximum");
}
