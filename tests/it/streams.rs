//! Streams are live: each event reaches the client before the next is written, a reply that breaks off looks
//! broken off, and a reader who stops reading stops the provider.

use bytes::Bytes;
use tokio::{io::AsyncWriteExt, net::UnixStream};

use crate::support::{Client, Gate, H2Client, H2Provider, H2Script, Provider, Script, Sidegate, at_rest, h2_client, wire::End, within};

const EVENT_STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const ASK: &str = r#"{"model":"gpt-4o","stream":true}"#;

/// Far beyond what kernels and windows hold on the way, far below what a leak would let through.
const SOME_BUFFERS: u64 = 24 << 20;

#[tokio::test]
async fn each_event_arrives_before_the_next_is_written() {
    let next = Gate::new();
    let script = (0..20).fold(Script::on_request().write(EVENT_STREAM), |script, n| script.wait(&next).chunk(&format!("data: {n}\n\n")));
    let provider = Provider::always(script.write("0\r\n\r\n")).await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;

    client.post("/v1/chat/completions", ASK).await;
    assert_eq!(client.head().await.status(), 200);
    for n in 0..20 {
        next.open();
        client.until(&format!("data: {n}\n\n")).await;
    }
    client.until("0\r\n\r\n").await;
}

#[tokio::test]
async fn each_event_arrives_before_the_next_is_written_over_h2() {
    let next = Gate::new();
    let script = (0..20).fold(H2Script::on_request().head(200), |script, n| script.wait(&next).part(format!("data: {n}\n\n")));
    let provider = H2Provider::always(h2::server::Builder::new(), script.last("")).await;
    let sidegate = Sidegate::before_h2(provider.address).await;
    let client = H2Client::connect(sidegate.address).await;

    let mut body = h2_client::head(client.send(h2_client::post("/v1/chat/completions", ASK)).await).await.into_body();
    let mut seen = Vec::new();
    for n in 0..20 {
        next.open();
        let event = format!("data: {n}\n\n");
        while !seen.ends_with(event.as_bytes()) {
            seen.extend_from_slice(&h2_client::part(&mut body).await.unwrap().unwrap());
        }
    }
    // What may come now is the end and nothing else.
    while let Some(part) = h2_client::part(&mut body).await {
        assert!(part.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_head_arrives_before_the_first_byte_of_its_body() {
    let next = Gate::new();
    let provider = Provider::always(Script::on_request().write(EVENT_STREAM).wait(&next).chunk("late").write("0\r\n\r\n")).await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;

    client.post("/v1/chat/completions", ASK).await;
    assert_eq!(client.head().await.status(), 200);
    next.open();
    client.until("late").await;
}

#[tokio::test]
async fn a_dripping_provider_changes_nothing() {
    let reply = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\ndrip\r\n\r\n3;slow=1\r\ndry\r\n0\r\n\r\n";
    let provider = Provider::always(Script::on_request().drip(reply)).await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;

    for _ in 0..2 {
        client.get("/v1/models").await;
        let reply = client.reply("GET").await;
        assert_eq!((reply.text().as_str(), reply.is_complete()), ("drip\r\ndry", true));
    }
}

/// Every way in which a provider's reply can stop short, with the bytes that still count.
fn broken_off() -> [(&'static str, Script); 6] {
    let chunked = || Script::on_request().write(EVENT_STREAM).chunk("data: 1\n\n");
    let counted = || Script::on_request().write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ndata: 1\n\n");
    [
        ("chunked, closed between chunks", chunked().close()),
        ("chunked, closed inside a chunk", chunked().write("64\r\nonly this much").close()),
        ("chunked, closed before the last line", chunked().write("0\r\n").close()),
        ("chunked, then what is no chunk", chunked().write("zz\r\ndata: 2\n\n").close()),
        ("counted, closed", counted().close()),
        ("counted, reset", counted().reset()),
    ]
}

#[tokio::test]
async fn a_reply_that_breaks_off_looks_broken_off() {
    for (how, script) in broken_off() {
        let provider = Provider::always(script).await;
        let sidegate = Sidegate::before(provider.address).await;
        let mut client = Client::connect(sidegate.address).await;

        client.post("/v1/chat/completions", ASK).await;
        let reply = client.reply("POST").await;
        assert_eq!(reply.status(), 200, "{how}");
        assert!(!reply.is_complete(), "{how}: ended as if it were whole with {}", reply.text());
        assert!(client.is_closed().await, "{how}: another reply could follow");
    }
}

#[tokio::test]
async fn a_reply_that_breaks_off_ends_in_a_reset_over_h2() {
    for (how, script) in broken_off() {
        let provider = Provider::always(script).await;
        let sidegate = Sidegate::before(provider.address).await;
        let client = H2Client::connect(sidegate.address).await;

        let reply = client.ask(h2_client::post("/v1/chat/completions", ASK)).await;
        assert_eq!(reply.status, 200, "{how}");
        assert!(reply.end.is_err(), "{how}: ended as if it were whole with {}", reply.text());
    }
}

#[tokio::test]
async fn a_reset_stream_of_the_provider_looks_broken_off() {
    let seen = Gate::new();
    let broken = H2Script::on_request().head(200).part("data: 1\n\n").wait(&seen).reset(h2::Reason::INTERNAL_ERROR);
    let provider = H2Provider::always(h2::server::Builder::new(), broken).await;
    let sidegate = Sidegate::before_h2(provider.address).await;

    let mut client = Client::connect(sidegate.address).await;
    client.post("/v1/chat/completions", ASK).await;
    let head = client.head().await;
    seen.open();
    let body = within("the body", client.wire.body(head.reply_framing("POST"))).await;
    assert_eq!((body.bytes.as_slice(), body.end), (&b"data: 1\n\n"[..], End::Truncated));

    let client = H2Client::connect(sidegate.address).await;
    let mut body = h2_client::head(client.send(h2_client::post("/v1/chat/completions", ASK)).await).await.into_body();
    assert_eq!(h2_client::part(&mut body).await.unwrap().unwrap(), "data: 1\n\n");
    seen.open();
    assert!(h2_client::part(&mut body).await.unwrap().is_err(), "ended as if it were whole");
}

#[tokio::test]
async fn a_reader_who_stops_stops_the_provider() {
    let block = Bytes::from(vec![b'x'; 64 << 10]);
    let endless = Script::on_request().write("HTTP/1.1 200 OK\r\n\r\n").flood(block);
    let mut provider = Provider::always(endless).await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect_with_small_buffer(sidegate.address).await;

    client.get("/v1/models").await;
    assert_eq!(client.head().await.status(), 200);
    let held = at_rest("the provider's writes", || provider.flooded()).await;
    assert!(held < SOME_BUFFERS, "{held} bytes are held for a client that reads none");

    // Reading on lets the provider write on.
    let mut read = 0;
    while read < held as usize {
        within("more of the body", client.wire.fill()).await.unwrap();
        read += client.wire.discard(usize::MAX);
    }
    crate::support::eventually("the provider writes on", || provider.flooded(), |now| *now > held).await;
    drop(client);
    provider.departure().await;
}

#[tokio::test]
async fn a_reader_who_stops_stops_the_provider_over_h2() {
    let endless = H2Script::on_request().head(200).flood(Bytes::from(vec![b'x'; 8 << 10]));
    let mut provider = H2Provider::always(h2::server::Builder::new(), endless).await;
    let sidegate = Sidegate::before_h2(provider.address).await;
    let client = H2Client::connect(sidegate.address).await;

    let body = h2_client::head(client.send(h2_client::get("/v1/models")).await).await.into_body();
    let held = at_rest("the provider's writes", || provider.flooded()).await;
    assert!(held < 2 << 20, "{held} bytes are held for a client that reads none");
    drop(body);
    provider.departure().await;
}

#[tokio::test]
async fn a_reader_who_never_reads_on_is_closed() {
    let block = Bytes::from(vec![b'x'; 64 << 10]);
    let mut provider = Provider::always(Script::on_request().write("HTTP/1.1 200 OK\r\n\r\n").flood(block)).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sidegate.sock");
    let config = format!(
        r#"
listen: {{ workers: 1, address: "unix:{}", write_timeout: 100ms }}
admin: {{ address: "127.0.0.1:0" }}
providers: {{ scripted: {{ base_url: "http://$UPSTREAM/v1", keys: [{{ value: "$KEY" }}] }} }}
routes: [{{ path: /v1, targets: [scripted] }}]
"#,
        path.display()
    );
    // Over a socket file, whose kernel has no patience of its own.
    let sidegate = Sidegate::start(&config, provider.address).await;
    let connect = || async { within("a connection", UnixStream::connect(&path)).await.unwrap() };
    let mut client = Client::over(connect().await);
    client.get("/v1/models").await;
    assert_eq!(client.head().await.status(), 200);
    provider.departure().await;
    let mut client = connect().await;
    // HTTP/2: no limit but the connection's own.
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\x7f\xff\xff\xff").await.unwrap();
    client.write_all(b"\0\0\x04\x08\0\0\0\0\0\x7f\xff\0\0").await.unwrap();
    // GET /v1/x of sidegate.test.
    client.write_all(b"\0\0\x18\x01\x05\0\0\0\x01\x82\x86\x04\x05/v1/x\x41\x0dsidegate.test").await.unwrap();
    provider.departure().await;
    assert_eq!(sidegate.log(2).await[1]["end"], "left");
}

#[tokio::test]
async fn a_provider_that_does_not_read_stops_the_upload() {
    let (begun, go) = (Gate::new(), Gate::new());
    let lazy = Script::on_head().tell(&begun).wait(&go).read_body().write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let provider = Provider::always(lazy).await;
    let sidegate = Sidegate::before(provider.address).await;
    let client = Client::connect(sidegate.address).await;

    let (mut reading, mut writing) = client.wire.stream.into_split();
    let size = 64_u64 << 20;
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = std::sync::Arc::clone(&sent);
    let upload = tokio::spawn(async move {
        use std::sync::atomic::Ordering::Relaxed;
        use tokio::io::AsyncWriteExt;
        let head = format!("POST /v1/files HTTP/1.1\r\nHost: sidegate.test\r\nContent-Type: audio/wav\r\nContent-Length: {size}\r\n\r\n");
        writing.write_all(head.as_bytes()).await.unwrap();
        let block = vec![b'u'; 64 << 10];
        while count.load(Relaxed) < size {
            writing.write_all(&block).await.unwrap();
            count.fetch_add(block.len() as u64, Relaxed);
        }
        writing
    });
    begun.reached("the upload at the provider").await;
    let held = at_rest("the upload", || sent.load(std::sync::atomic::Ordering::Relaxed)).await;
    assert!(held < SOME_BUFFERS, "{held} bytes of an upload are held for a provider that reads none");

    go.open();
    let _writing = within("the rest of the upload", upload).await.unwrap();
    let mut reply = bytes::BytesMut::new();
    while !reply.ends_with(b"\r\n\r\n") {
        let more = within("the reply", tokio::io::AsyncReadExt::read_buf(&mut reading, &mut reply)).await.unwrap();
        assert_ne!(more, 0, "no reply");
    }
    assert!(reply.starts_with(b"HTTP/1.1 200 "));
}
