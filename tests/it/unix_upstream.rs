//! Providers behind a Unix socket.

use sidegate::config::Environment;
use tokio::{
    io::copy_bidirectional,
    net::{TcpStream, UnixListener},
};

use crate::support::{Client, H2Provider, H2Script, Provider, Script, Sidegate};

const CONFIG: &str = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
providers:
  scripted:
    base_url: unix:$SOCKET:/inner/v1
    http_version: $VERSION
    keys: [{ name: pool, value: "$KEY" }]
    breaker: off
routes:
  - { path: /v1, targets: [scripted] }
retry: { attempts: 1 }
"#;

/// A socket before a provider.
struct Socket {
    folder: tempfile::TempDir,
}

impl Socket {
    fn none() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn before(provider: std::net::SocketAddr) -> Self {
        let socket = Self::none();
        socket.lead_to(provider);
        socket
    }

    fn lead_to(&self, provider: std::net::SocketAddr) {
        let listener = UnixListener::bind(self.path()).unwrap();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                tokio::spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(provider).await {
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("vllm.sock")
    }

    fn sidegate(&self, version: &str) -> Sidegate {
        let config = CONFIG.replace("$SOCKET", self.path().to_str().unwrap()).replace("$VERSION", version);
        // A proxy of the environment has no part in it.
        Sidegate::start_in(&config, &Environment::from([("ALL_PROXY", "http://127.0.0.1:1")]))
    }
}

async fn ask(sidegate: &Sidegate) -> (u16, String) {
    let mut client = Client::connect(sidegate.address).await;
    client.post("/v1/chat/completions", r#"{"model":"llama"}"#).await;
    let reply = client.reply("POST").await;
    (reply.status(), reply.text())
}

#[tokio::test]
async fn requests_go_over_one_connection_to_the_socket_with_localhost_as_host() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let socket = Socket::before(provider.address);
    let sidegate = socket.sidegate("auto");
    for _ in 0..3 {
        assert_eq!(ask(&sidegate).await, (200, "served".to_owned()));
    }
    let request = String::from_utf8(provider.request().await.bytes()).unwrap();
    assert!(request.starts_with("POST /inner/v1/chat/completions HTTP/1.1\n"), "{request}");
    assert!(request.to_lowercase().contains("\nhost: localhost\n"), "{request}");
    assert_eq!(provider.connections(), 1);
}

#[tokio::test]
async fn http_2_goes_over_a_socket_too() {
    let mut provider = H2Provider::always(h2::server::Builder::new(), H2Script::ok("served")).await;
    let socket = Socket::before(provider.address);
    let sidegate = socket.sidegate("2");
    assert_eq!(ask(&sidegate).await, (200, "served".to_owned()));
    let head = provider.request().await.head;
    assert_eq!(head.uri, "http://localhost/inner/v1/chat/completions");
}

#[tokio::test]
async fn a_socket_that_is_not_there_or_that_nobody_listens_at_is_a_502_until_somebody_does() {
    let socket = Socket::none();
    let sidegate = socket.sidegate("1.1");
    assert_eq!(ask(&sidegate).await.0, 502);
    drop(UnixListener::bind(socket.path()).unwrap());
    assert_eq!(ask(&sidegate).await.0, 502);
    for line in sidegate.log(2).await {
        assert_eq!(line["error"], "upstream_unavailable");
    }
    std::fs::remove_file(socket.path()).unwrap();
    let provider = Provider::always(Script::ok("served")).await;
    socket.lead_to(provider.address);
    assert_eq!(ask(&sidegate).await, (200, "served".to_owned()));
}
