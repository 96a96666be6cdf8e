//! The side that faces applications: TLS, Unix sockets, connections that say nothing or too little, and their number.

use std::{net::SocketAddr, os::unix::net::UnixListener as StdUnixListener, path::Path};

use tokio::net::UnixStream;

use crate::support::{Client, Gate, H2Client, Provider, Script, Sidegate, h2_client, tls::Authority, within};

/// Before a provider, listening as `listen` says.
async fn listening(listen: &str, provider: SocketAddr) -> Sidegate {
    let config = format!(
        r#"
listen: {{ workers: 1, {listen} }}
admin: {{ address: "127.0.0.1:0" }}
providers: {{ scripted: {{ base_url: "http://$UPSTREAM/v1", keys: [{{ value: "$KEY" }}] }} }}
routes: [{{ path: /v1, targets: [scripted] }}]
"#
    );
    Sidegate::start(&config, provider).await
}

const ANY_PORT: &str = r#"address: "127.0.0.1:0""#;

async fn served() -> Provider {
    Provider::always(Script::ok("served")).await
}

/// Listens with TLS and a certificate for `localhost`.
fn with_tls(authority: &Authority) -> String {
    let (certificate, key) = authority.files("localhost");
    format!("{ANY_PORT}, header_timeout: 100ms, tls: {{ certificate: {}, key: {} }}", certificate.display(), key.display())
}

#[tokio::test]
async fn over_tls_the_protocol_is_agreed_on_by_alpn() {
    let (provider, authority) = (served().await, Authority::new());
    let sidegate = listening(&with_tls(&authority), provider.address).await;
    for offered in [&["http/1.1"][..], &[], &["http/1.1", "acme"]] {
        let mut client = Client::over(authority.connect(sidegate.address, offered).await);
        client.get("/v1/models").await;
        assert_eq!(client.reply("GET").await.text(), "served", "{offered:?}");
    }
    for offered in [&["h2"][..], &["h2", "http/1.1"]] {
        let stream = authority.connect(sidegate.address, offered).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let client = H2Client::over(stream, &h2::client::Builder::new()).await;
        assert_eq!(client.get("/v1/models").await.text(), "served", "{offered:?}");
    }
}

#[tokio::test]
async fn plain_text_where_tls_is_spoken_is_closed_and_counted() {
    let (provider, authority) = (served().await, Authority::new());
    let sidegate = listening(&with_tls(&authority), provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    within("the end of the connection", client.wire.until_left()).await;
    sidegate.metric_becomes(r#"sidegate_downstream_connections_refused_total{reason="handshake"}"#, 1.0).await;
    // Whoever begins a handshake and goes no further, or says nothing behind it, is not waited for.
    let mut client = Client::connect(sidegate.address).await;
    client.send(b"\x16\x03\x01").await;
    assert!(client.is_closed().await);
    let mut client = Client::over(authority.connect(sidegate.address, &["http/1.1"]).await);
    assert!(client.is_closed().await);
    sidegate.metric_becomes("sidegate_downstream_connections", 0.0).await;
    assert_eq!(provider.asked(), 0);
}

#[tokio::test]
async fn both_protocols_are_told_apart_on_one_port() {
    let provider = served().await;
    let sidegate = listening(ANY_PORT, provider.address).await;
    assert_eq!(H2Client::connect(sidegate.address).await.get("/v1/models").await.text(), "served");
    let mut client = Client::connect(sidegate.address).await;
    // As the preface of HTTP/2 begins, and yet another method: byte by byte, so that it stays open for long.
    for byte in "PROPFIND /v1/x HTTP/1.1\r\nHost: a\r\n\r\n".as_bytes().chunks(1) {
        client.send(byte).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.reply("GET").await.status(), 405);
}

#[tokio::test]
async fn who_does_not_say_enough_in_time_is_closed() {
    let provider = served().await;
    let sidegate = listening(&format!("{ANY_PORT}, header_timeout: 100ms"), provider.address).await;
    for (n, said) in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM", "PRI"].into_iter().enumerate() {
        let mut client = Client::connect(sidegate.address).await;
        client.send(said).await;
        assert!(client.is_closed().await, "{said:?}");
        sidegate.metric_becomes(r#"sidegate_downstream_connections_refused_total{reason="silent"}"#, (n + 1) as f64).await;
    }
    for said in ["G", "GET /v1/models HTTP/1.1\r\n", "GET /v1/models HTTP/1.1\r\nHost: a\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut client = Client::connect(sidegate.address).await;
        client.send(said).await;
        within(said, client.wire.until_left()).await;
    }
    // The second head of a connection has no more time than the first.
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    assert_eq!(client.reply("GET").await.text(), "served");
    client.send("GET /v1/mo").await;
    assert!(client.is_closed().await);
    assert_eq!(sidegate.log(1).await.len(), 1, "what was never asked is no request");
}

#[tokio::test]
async fn what_is_no_request_is_counted_by_its_reason() {
    let provider = served().await;
    let sidegate = listening(&format!("{ANY_PORT}, max_header_size: 8KiB"), provider.address).await;
    let (field, fields) = (format!("X: {}\r\n", "x".repeat(9_000)), "X: x\r\n".repeat(101));
    for (head, status, reason) in [
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n".to_owned(), 400, "malformed"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n"), 431, "too_large"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"), 431, "too_large"),
        ("GET / HTTP/1.1\nHost: a\r\n\r\n".to_owned(), 400, "bare_line_feed"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(), 400, "ambiguous"),
    ] {
        let series = format!("sidegate_downstream_connections_refused_total{{reason=\"{reason}\"}}");
        let before = sidegate.metric(&series).await;
        let mut client = Client::connect(sidegate.address).await;
        client.send(&head).await;
        assert_eq!(client.reply("POST").await.status(), status, "{head}");
        sidegate.metric_becomes(&series, before + 1.0).await;
    }
    assert_eq!((sidegate.stop().len(), provider.asked()), (0, 0));
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let (mut provider, go) = (Provider::start().await, Gate::new());
    let sidegate = listening(&format!("{ANY_PORT}, header_timeout: 100ms, keep_alive: 100ms"), provider.address).await;
    provider.script(Script::on_request().wait(&go).write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nserved"));
    let mut busy = Client::connect(sidegate.address).await;
    busy.get("/v1/models").await;
    // It has taken its script before anybody else can.
    provider.request().await;
    provider.script(Script::ok("served"));
    let mut idle = Client::connect(sidegate.address).await;
    idle.get("/v1/models").await;
    assert_eq!(idle.reply("GET").await.text(), "served");
    assert!(idle.is_closed().await);
    provider.script(Script::ok("served"));
    let h2 = H2Client::connect(sidegate.address).await;
    assert_eq!(h2.get("/v1/models").await.text(), "served");
    // The one that waits is left, while all others have gone.
    sidegate.metric_becomes("sidegate_downstream_connections", 1.0).await;
    go.open();
    assert_eq!(busy.reply("GET").await.text(), "served");
    assert!(busy.is_closed().await);
    for _ in 0..2 {
        provider.request().await;
    }
}

#[tokio::test]
async fn an_upload_that_was_answered_early_and_never_ends_is_closed() {
    let mut provider = Provider::always(Script::on_head().write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly").until_left()).await;
    let sidegate = listening(&format!("{ANY_PORT}, keep_alive: 100ms"), provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.send("POST /v1/files HTTP/1.1\r\nHost: a\r\nContent-Type: audio/wav\r\nContent-Length: 100\r\n\r\nhalf").await;
    assert_eq!(client.reply("POST").await.text(), "early");
    assert!(client.is_closed().await);
    provider.departure().await;
}

#[tokio::test]
async fn beyond_the_most_connections_the_next_waits_until_one_leaves() {
    let provider = served().await;
    let sidegate = listening(&format!("{ANY_PORT}, connections: 2"), provider.address).await;
    let (mut first, mut second) = (Client::connect(sidegate.address).await, Client::connect(sidegate.address).await);
    for client in [&mut first, &mut second] {
        client.get("/v1/models").await;
        assert_eq!(client.reply("GET").await.text(), "served");
    }
    let mut third = Client::connect(sidegate.address).await;
    third.get("/v1/models").await;
    for client in [&mut first, &mut second] {
        client.get("/v1/models").await;
        assert_eq!(client.reply("GET").await.text(), "served");
    }
    assert_eq!((provider.asked(), sidegate.metric("sidegate_downstream_connections").await), (4, 2.0));
    drop(first);
    assert_eq!(third.reply("GET").await.text(), "served");
    drop((second, third));
    sidegate.metric_becomes("sidegate_downstream_connections", 0.0).await;
}

#[tokio::test]
async fn requests_in_a_row_are_answered_in_their_order() {
    let provider = Provider::start().await;
    let sidegate = listening(ANY_PORT, provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    let mut row = String::new();
    for n in 0..10 {
        provider.script(Script::ok(&format!("reply {n}")));
        row += &format!("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 14\r\n\r\n{{\"model\":\"m{n}\"}}");
        row += "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n";
    }
    client.send(row).await;
    for n in 0..10 {
        assert_eq!(client.reply("POST").await.text(), format!("reply {n}"));
        assert_eq!(client.reply("GET").await.status(), 404);
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_what_it_understands() {
    let provider = Provider::start().await;
    let sidegate = listening(ANY_PORT, provider.address).await;
    let chunked = Script::reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").chunk("cut ").chunk("in two").write("0\r\n\r\n");
    for (fields, closes) in [("", true), ("Host: a\r\n", true), ("Connection: close\r\n", true), ("Connection: keep-alive\r\n", false)] {
        provider.script(Script::ok("served"));
        let mut client = Client::connect(sidegate.address).await;
        client.send(format!("GET /v1/models HTTP/1.0\r\n{fields}\r\n")).await;
        let reply = client.reply("GET").await;
        assert_eq!((reply.text().as_str(), reply.head.line.starts_with(b"HTTP/1.")), ("served", true), "{fields}");
        if closes {
            assert!(client.is_closed().await, "{fields}");
        }
        // It knows no chunks: the end of the connection is the end of the body.
        provider.script(chunked.clone());
        let mut client = Client::connect(sidegate.address).await;
        client.send(format!("GET /v1/models HTTP/1.0\r\n{fields}\r\n")).await;
        let reply = client.reply("GET").await;
        assert_eq!((reply.text().as_str(), reply.head.get("transfer-encoding")), ("cut in two", None), "{fields}");
    }
}

#[tokio::test]
async fn a_reply_without_content_promises_none_over_either_protocol() {
    let provider = Provider::always(Script::reply("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nX-Of: provider\r\n\r\n")).await;
    let sidegate = listening(ANY_PORT, provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    let head = client.reply("GET").await.head;
    assert_eq!((head.status(), head.get("content-length"), head.get("x-of")), (204, None, Some("provider".to_owned())));
    let reply = H2Client::connect(sidegate.address).await.get("/v1/models").await;
    assert_eq!(
        (reply.status.as_u16(), reply.headers.get("content-length"), reply.headers["x-of"].as_bytes()),
        (204, None, &b"provider"[..])
    );
}

async fn over_unix(path: &Path) -> Client<UnixStream> {
    Client::over(within("a connection", UnixStream::connect(path)).await.expect("somebody listens"))
}

#[tokio::test]
async fn a_socket_file_is_made_served_and_removed() {
    let provider = served().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sidegate.sock");
    let listen = format!("address: \"unix:{}\"", path.display());
    // Left by a process that could not clean up.
    drop(StdUnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let sidegate = listening(&listen, provider.address).await;
    let mut client = over_unix(&path).await;
    client.get("/v1/models").await;
    assert_eq!(client.reply("GET").await.text(), "served");
    let client = H2Client::over(UnixStream::connect(&path).await.unwrap(), &h2::client::Builder::new()).await;
    assert_eq!(client.ask(h2_client::get("/v1/models")).await.text(), "served");
    let lines = sidegate.stop();
    assert_eq!((lines.len(), path.exists()), (2, false));
}

#[test]
fn an_address_that_is_taken_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, file) = (folder.path().join("taken.sock"), folder.path().join("file"));
    let _listener = StdUnixListener::bind(&socket).unwrap();
    std::fs::write(&file, "precious").unwrap();
    for path in [&socket, &file] {
        let config = format!(
            "listen: {{ address: \"unix:{}\" }}\nadmin: {{ address: \"127.0.0.1:0\" }}\n\
            providers: {{ a: {{ keys: [{{ value: x }}] }} }}\nroutes: [{{ path: /, targets: [a] }}]",
            path.display()
        );
        let loaded = sidegate::config::from_text("proxy.yaml", &config, &sidegate::config::Environment::default()).unwrap();
        let error = sidegate::server::start(loaded, sidegate::server::Options::default()).unwrap_err().to_string();
        assert!(error.starts_with("listen.address: ") && error.contains(&*path.to_string_lossy()), "{error}");
        assert!(path.exists());
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}
