//! Every wait has an end, and each end is blamed on the side that was waited for.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::support::{Client, Gate, Provider, Script, Sidegate, wire::End, within};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const ASK: &str = r#"{"model":"gpt-4o"}"#;

/// Before a provider with these timeouts; `body` is a section.
async fn with(timeouts: &str, body: &str, provider: SocketAddr) -> Sidegate {
    let config = format!(
        r#"
listen: {{ address: "127.0.0.1:0", workers: 1 }}
admin: {{ address: "127.0.0.1:0" }}
body: {{ {body} }}
providers:
  scripted: {{ base_url: "http://$UPSTREAM/v1", keys: [{{ value: "$KEY" }}], timeouts: {{ {timeouts} }} }}
routes: [{{ path: /v1, targets: [scripted] }}]
retry: {{ attempts: 1 }}
"#
    );
    Sidegate::start(&config, provider).await
}

/// The status and code of the next reply, which is our own.
async fn refusal(client: &mut Client) -> (u16, String) {
    let reply = client.reply("POST").await;
    (reply.status(), reply.json()["error"]["code"].as_str().unwrap().to_owned())
}

fn ours(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// A listener whose queue is full, so that the kernel answers no further connection; and what fills it.
async fn blackhole() -> (TcpSocketHeld, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut filling = Vec::new();
    while let Ok(connected) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        filling.push(connected.unwrap());
        assert!(filling.len() < 100, "the queue never fills");
    }
    (TcpSocketHeld { address, _listener: listener }, filling)
}

struct TcpSocketHeld {
    address: SocketAddr,
    _listener: tokio::net::TcpListener,
}

#[tokio::test]
async fn a_provider_that_does_not_take_the_connection_is_a_504() {
    let (hole, _filling) = blackhole().await;
    let sidegate = with("connect: 100ms", "", hole.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.post("/v1/chat/completions", ASK).await;
    assert_eq!(refusal(&mut client).await, ours(504, "upstream_timeout"));
    let line = sidegate.log(1).await.pop().unwrap();
    assert_eq!((&line["attempts"], &line["bytes_in"], &line["first_byte_ms"]), (&1.into(), &0.into(), &serde_json::Value::Null));
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_a_504_and_hears_no_more_of_it() {
    let mut provider = Provider::always(Script::hang()).await;
    let sidegate = with("first_byte: 100ms", "", provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    for target in ["/v1/chat/completions", "/v1/files"] {
        client.post(target, ASK).await;
        assert_eq!(refusal(&mut client).await, ours(504, "upstream_timeout"), "{target}");
        provider.departure().await;
    }
    client.get("/v1/models").await;
    assert_eq!(refusal(&mut client).await, ours(504, "upstream_timeout"));
    assert_eq!(provider.asked(), 3, "a request that went out is never sent again");
}

#[tokio::test]
async fn a_provider_that_falls_silent_in_its_reply_breaks_it_off() {
    let mut provider = Provider::always(Script::reply(CHUNKED).chunk("data: 1\n\n").until_left()).await;
    let sidegate = with("idle: 100ms", "", provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.post("/v1/chat/completions", ASK).await;
    let head = client.head().await;
    let body = within("the body", client.wire.body(head.reply_framing("POST"))).await;
    assert_eq!((body.bytes.as_slice(), body.end), (&b"data: 1\n\n"[..], End::Truncated));
    provider.departure().await;
    let line = sidegate.log(1).await.pop().unwrap();
    assert_eq!((&line["status"], &line["end"], &line["error"]), (&200.into(), &"truncated".into(), &"idle_timeout".into()));
}

#[tokio::test]
async fn a_client_that_stalls_in_a_body_that_is_read_is_a_408() {
    let provider = Provider::start().await;
    let sidegate = with("idle: 5m", "read_timeout: 100ms", provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 18\r\n\r\n{\"model\"").await;
    assert_eq!(refusal(&mut client).await, ours(408, "request_timeout"));
    assert!(client.is_closed().await);
    assert_eq!(provider.connections(), 0);
    sidegate.metric_becomes("sidegate_body_buffered_bytes", 0.0).await;
}

/// Each byte comes in time, and the body never would: it holds memory for as long as that.
#[tokio::test]
async fn a_client_that_drips_a_body_that_is_read_is_a_408_too() {
    let provider = Provider::start().await;
    let sidegate = with("idle: 5m", "read_timeout: 300ms", provider.address).await;
    let (mut replies, mut body) = TcpStream::connect(sidegate.address).await.unwrap().into_split();
    body.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n").await.unwrap();
    let dripping = tokio::spawn(async move {
        let mut drops = tokio::time::interval(Duration::from_millis(10));
        while body.write_all(b" ").await.is_ok() {
            drops.tick().await;
        }
    });
    let mut reply = [0; 12];
    within("the refusal", replies.read_exact(&mut reply)).await.unwrap();
    assert_eq!(&reply, b"HTTP/1.1 408");
    dripping.abort();
}

#[tokio::test]
async fn a_client_that_stalls_in_an_upload_is_blamed_for_it_and_not_the_provider() {
    let mut provider = Provider::always(Script::on_head().until_left()).await;
    let sidegate = with("idle: 100ms, first_byte: 5m", "", provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.send("POST /v1/files HTTP/1.1\r\nHost: a\r\nContent-Length: 18\r\n\r\nsome").await;
    assert_eq!(refusal(&mut client).await, ours(400, "request_incomplete"));
    assert!(client.is_closed().await);
    provider.departure().await;
    assert_eq!(sidegate.log(1).await[0]["bytes_in"], 4);
}

#[tokio::test]
async fn a_provider_that_takes_no_more_of_an_upload_is_a_504() {
    let never = Gate::new();
    let provider = Provider::always(Script::on_head().wait(&never)).await;
    let sidegate = with("idle: 100ms, first_byte: 5m", "", provider.address).await;
    let client = Client::connect(sidegate.address).await;
    let (reading, mut writing) = client.wire.stream.into_split();
    let upload = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let head = "POST /v1/files HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunk = format!("10000\r\n{}\r\n", "u".repeat(0x10000));
        let mut sent = writing.write_all(head.as_bytes()).await;
        while sent.is_ok() {
            sent = writing.write_all(chunk.as_bytes()).await;
        }
    });
    let mut client = Client::over(tokio::io::join(reading, tokio::io::sink()));
    let reply = client.reply("POST").await;
    assert_eq!((reply.status(), reply.json()["error"]["code"].as_str()), (504, Some("upstream_timeout")));
    upload.abort();
}

/// The clocks of the provider run while it is waited for, and start anew with each part.
#[tokio::test]
async fn a_slow_stream_that_never_pauses_too_long_is_left_alone() {
    let next = Gate::new();
    let parts = (0..8).fold(Script::reply(CHUNKED), |script, _| script.wait(&next).chunk("part"));
    let provider = Provider::always(parts.write("0\r\n\r\n")).await;
    let sidegate = with("idle: 2s, first_byte: 2s", "", provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.post("/v1/chat/completions", ASK).await;
    client.head().await;
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        next.open();
        client.until("part").await;
    }
    client.until("0\r\n\r\n").await;
}
