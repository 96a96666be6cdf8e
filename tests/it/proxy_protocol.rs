//! A load balancer says in front of each connection where it comes from: believed from trusted peers, and from nobody else.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, UnixStream},
};

use crate::support::{
    Client, H2Client, Provider, Script, Sidegate,
    tls::{Authority, connect_with},
};

const ANY_PORT: &str = r#"address: "127.0.0.1:0""#;

/// Version 2 with the source 203.0.113.7.
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\x0a\0\0\x09\x01\xbb\0\x50";

/// Listens as `listen` says and asks those for a PROXY header whom `trusted` covers.
async fn announced(listen: &str, trusted: &str, provider: SocketAddr) -> Sidegate {
    let config = format!(
        r#"
listen: {{ workers: 1, proxy_protocol: true, {listen} }}
trust: {{ proxies: [{trusted}] }}
admin: {{ address: "127.0.0.1:0" }}
providers: {{ scripted: {{ base_url: "http://$UPSTREAM/v1", keys: [{{ value: "$KEY" }}] }} }}
routes: [{{ path: /v1, targets: [scripted] }}]
"#
    );
    Sidegate::start(&config, provider).await
}

async fn served() -> Provider {
    Provider::always(Script::ok("served")).await
}

/// The address that is recorded of the last request.
async fn recorded(sidegate: &Sidegate, requests: usize) -> Option<String> {
    sidegate.log(requests).await[requests - 1]["ip"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn the_source_that_a_trusted_peer_names_is_the_client() {
    let provider = served().await;
    let sidegate = announced(ANY_PORT, "loopback", provider.address).await;
    for (n, (header, ip)) in [
        (&b"PROXY TCP4 203.0.113.7 10.0.0.9 40000 443\r\n"[..], "203.0.113.7"),
        (b"PROXY TCP6 2001:db8::7 ::1 40000 443\r\n", "2001:db8::7"),
        (b"PROXY TCP6 ::ffff:203.0.113.7 ::1 40000 443\r\n", "203.0.113.7"),
        (BINARY, "203.0.113.7"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "127.0.0.1"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = Client::connect(sidegate.address).await;
        // Header and request in one packet.
        client.send([header, b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n"].concat()).await;
        assert_eq!(client.reply("GET").await.text(), "served");
        assert_eq!(recorded(&sidegate, n + 1).await.as_deref(), Some(ip), "{}", header.escape_ascii());
    }
}

#[tokio::test]
async fn it_comes_before_tls_and_before_http_2_and_may_come_in_pieces() {
    let (provider, authority) = (served().await, Authority::new());
    let sidegate = announced(ANY_PORT, "loopback", provider.address).await;
    let mut socket = TcpStream::connect(sidegate.address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    for byte in BINARY {
        socket.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let client = H2Client::over(socket, &h2::client::Builder::new()).await;
    assert_eq!(client.get("/v1/models").await.text(), "served");
    assert_eq!(recorded(&sidegate, 1).await.as_deref(), Some("203.0.113.7"));
    drop(sidegate);

    let (certificate, key) = authority.files("localhost");
    let tls = format!("{ANY_PORT}, tls: {{ certificate: {}, key: {} }}", certificate.display(), key.display());
    let sidegate = announced(&tls, "loopback", provider.address).await;
    let mut socket = TcpStream::connect(sidegate.address).await.unwrap();
    socket.write_all(BINARY).await.unwrap();
    let mut client = Client::over(connect_with(Arc::new(authority.client(None, &["http/1.1"])), socket).await);
    client.get("/v1/models").await;
    assert_eq!(client.reply("GET").await.text(), "served");
    assert_eq!(recorded(&sidegate, 1).await.as_deref(), Some("203.0.113.7"));
}

#[tokio::test]
async fn a_trusted_peer_that_says_nothing_or_the_wrong_thing_is_closed_and_counted() {
    let provider = served().await;
    let sidegate = announced(&format!("{ANY_PORT}, header_timeout: 100ms"), "loopback", provider.address).await;
    let refused = |reason: &str| format!("sidegate_downstream_connections_refused_total{{reason=\"{reason}\"}}");
    for (n, wrong) in [
        &b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"PROXY TCP4 203.0.113.7\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[b"PROXY UNKNOWN ", &[b'x'; 200][..]].concat(),
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = Client::connect(sidegate.address).await;
        client.send(wrong).await;
        assert!(client.is_closed().await, "{}", wrong.escape_ascii());
        sidegate.metric_becomes(&refused("proxy_protocol"), (n + 1) as f64).await;
    }
    // Half a header is not waited for, however it drips.
    for (n, half) in [&b""[..], b"P", b"PROXY TCP4 203.0.113.7 ", &BINARY[..20]].into_iter().enumerate() {
        let mut client = Client::connect(sidegate.address).await;
        client.send(half).await;
        assert!(client.is_closed().await, "{}", half.escape_ascii());
        sidegate.metric_becomes(&refused("silent"), (n + 1) as f64).await;
    }
    assert_eq!((sidegate.stop().len(), provider.asked()), (0, 0));
}

#[tokio::test]
async fn from_a_peer_that_is_not_trusted_it_is_malformed_http() {
    let provider = served().await;
    let sidegate = announced(ANY_PORT, "10.0.0.0/8", provider.address).await;
    for header in [&b"PROXY TCP4 203.0.113.7 10.0.0.9 40000 443\r\n"[..], BINARY] {
        let mut client = Client::connect(sidegate.address).await;
        client.send([header, b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n"].concat()).await;
        assert_eq!(client.reply("GET").await.status(), 400, "{}", header.escape_ascii());
    }
    assert_eq!(provider.asked(), 0);
    // Without one it is served as ever.
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    assert_eq!(client.reply("GET").await.text(), "served");
    assert_eq!(recorded(&sidegate, 1).await.as_deref(), Some("127.0.0.1"));
}

#[tokio::test]
async fn over_a_unix_socket_it_is_believed_if_those_are_trusted() {
    let (provider, folder) = (served().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("sidegate.sock");
    let listen = format!("address: \"unix:{}\"", path.display());
    let sidegate = announced(&listen, "unix", provider.address).await;
    for (n, (header, ip)) in [(BINARY, Some("203.0.113.7")), (b"PROXY UNKNOWN\r\n", None)].into_iter().enumerate() {
        let mut client = Client::over(UnixStream::connect(&path).await.unwrap());
        client.send(header).await;
        client.get("/v1/models").await;
        assert_eq!(client.reply("GET").await.text(), "served");
        assert_eq!(recorded(&sidegate, n + 1).await.as_deref(), ip);
    }
    drop(sidegate);
    let sidegate = announced(&listen, "loopback", provider.address).await;
    let mut client = Client::over(UnixStream::connect(&path).await.unwrap());
    client.send(BINARY).await;
    assert_eq!(client.reply("GET").await.status(), 400);
    assert_eq!(sidegate.stop().len(), 0);
}

#[tokio::test]
async fn the_source_must_be_trusted_itself_for_its_word_about_others_to_count() {
    let provider = served().await;
    let sidegate = announced(ANY_PORT, "loopback, 10.0.0.0/8", provider.address).await;
    for (n, (source, ip)) in [("203.0.113.7", "203.0.113.7"), ("10.1.2.3", "9.9.9.9")].into_iter().enumerate() {
        let mut client = Client::connect(sidegate.address).await;
        client.send(format!("PROXY TCP4 {source} 10.0.0.9 40000 443\r\n")).await;
        client.get_with("/v1/models", "X-Forwarded-For: 9.9.9.9\r\n").await;
        assert_eq!(client.reply("GET").await.text(), "served");
        assert_eq!(recorded(&sidegate, n + 1).await.as_deref(), Some(ip));
    }
}
