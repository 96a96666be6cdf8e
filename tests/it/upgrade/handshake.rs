//! From the request to the 101, or to whatever the provider answers instead.

use super::{ASKING, FRAME, GRANTED, IN_FLIGHT, Peer, REALTIME, comes, ends, line, open};
use crate::support::{Client, Provider, Script, Sidegate, proxy::POOL_KEY};

#[tokio::test]
async fn behind_a_101_bytes_pass_both_ways_as_they_are() {
    let peer = Peer::start().await;
    let sidegate = peer.sidegate("").await;
    let mut client = Client::connect(sidegate.address).await;
    client.get_with(REALTIME, ASKING).await;

    let (head, mut provider) = peer.asked().await;
    assert_eq!(head.line, b"GET /v1/realtime?model=gpt-realtime HTTP/1.1");
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("authorization", &format!("Bearer {POOL_KEY}")),
    ] {
        assert_eq!(head.all(name), [value.as_bytes()], "{name}");
    }
    // The provider's first words come with its 101.
    provider.write(&[GRANTED.as_bytes(), FRAME].concat()).await.unwrap();
    let head = client.head().await;
    assert_eq!(head.status(), 101);
    for (name, value) in [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")] {
        assert_eq!(head.all(name), [value.as_bytes()], "{name}");
    }
    assert!(head.get("content-length").is_none() && head.get("transfer-encoding").is_none() && head.get("x-sidegate-key").is_some());
    comes(&mut client.wire, FRAME).await;
    for round in 0..3_u8 {
        client.send([FRAME, &[round]].concat()).await;
        comes(&mut provider, &[FRAME, &[round]].concat()).await;
        provider.write(&[&[round], FRAME].concat()).await.unwrap();
        comes(&mut client.wire, &[&[round], FRAME].concat()).await;
    }
    assert_eq!(sidegate.metric(IN_FLIGHT).await, 1.0);
    assert!(sidegate.log_lines().is_empty(), "it is logged at its end");
    drop(provider);
    ends(&mut client.wire).await;
    drop(client);
    let line = line(&sidegate).await;
    let length = FRAME.len() as u64;
    assert_eq!((&line["status"], &line["end"], &line["error"]), (&101.into(), &"complete".into(), &serde_json::Value::Null));
    assert_eq!((&line["bytes_in"], &line["bytes_out"]), (&(3 * (length + 1)).into(), &(length + 3 * (length + 1)).into()));
}

#[tokio::test]
async fn bytes_before_the_101_wait_for_it_and_none_is_lost() {
    let peer = Peer::start().await;
    let sidegate = peer.sidegate("").await;
    for size in [1, 100, 200_000] {
        let early: Vec<u8> = FRAME.iter().copied().cycle().take(size).collect();
        let mut client = Client::connect(sidegate.address).await;
        let asking = format!("GET {REALTIME} HTTP/1.1\r\nHost: sidegate.test\r\n{ASKING}\r\n");
        client.send([asking.as_bytes(), &early].concat()).await;
        let (_, mut provider) = peer.asked().await;
        assert!(provider.buffer.is_empty() && provider.stream.try_read(&mut [0]).is_err(), "something came before the 101");
        provider.write(GRANTED.as_bytes()).await.unwrap();
        assert_eq!(client.head().await.status(), 101);
        client.send("late").await;
        comes(&mut provider, &early).await;
        comes(&mut provider, b"late").await;
    }
}

#[tokio::test]
async fn bytes_that_come_while_the_provider_thinks_wait_too() {
    let peer = Peer::start().await;
    let sidegate = peer.sidegate("").await;
    let mut client = Client::connect(sidegate.address).await;
    client.get_with(REALTIME, ASKING).await;
    let (_, mut provider) = peer.asked().await;
    for part in ["GET /v1/files HTTP/1.1\r\n", "Host: smuggled\r\n\r\n", "\n"] {
        client.send(part).await;
    }
    provider.write(GRANTED.as_bytes()).await.unwrap();
    assert_eq!(client.head().await.status(), 101);
    comes(&mut provider, b"GET /v1/files HTTP/1.1\r\nHost: smuggled\r\n\r\n\n").await;
}

#[tokio::test]
async fn any_other_answer_goes_down_and_what_follows_is_a_request() {
    let mut provider = Provider::start().await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    for (status, body) in
        [("401 Unauthorized", "who are you"), ("403 Forbidden", "not you"), ("426 Upgrade Required", "13"), ("200 OK", "no")]
    {
        provider.script(Script::reply(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())));
        provider.script(Script::ok("the next"));
        // The next request comes with the handshake, and may not be taken for what it would be behind a 101.
        let next = "GET /v1/models HTTP/1.1\r\nHost: sidegate.test\r\n\r\n";
        client.send(format!("GET {REALTIME} HTTP/1.1\r\nHost: sidegate.test\r\n{ASKING}\r\n{next}")).await;
        let reply = client.reply("GET").await;
        assert_eq!((reply.status().to_string(), reply.text().as_str()), (status[..3].to_owned(), body));
        assert_eq!(client.reply("GET").await.text(), "the next");
        assert_eq!(provider.request().await.head.get("upgrade").as_deref(), Some("websocket"));
        assert_eq!(provider.request().await.head.get("upgrade"), None);
    }
    // And a handshake behind a refused one is a handshake.
    sidegate.metric_becomes(IN_FLIGHT, 0.0).await;
}

#[tokio::test]
async fn what_follows_a_refused_handshake_is_looked_at_like_any_request() {
    let provider = Provider::always(Script::reply("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")).await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.send(format!("GET {REALTIME} HTTP/1.1\r\nHost: sidegate.test\r\n{ASKING}\r\nGET /v1/models HTTP/1.1\nHost: a\r\n\r\n")).await;
    assert_eq!(client.reply("GET").await.status(), 403);
    assert_eq!(client.reply("GET").await.status(), 400);
    assert_eq!(provider.asked(), 1);
}

#[tokio::test]
async fn a_request_before_the_handshake_does_not_let_its_bytes_go() {
    let peer = Peer::start().await;
    let sidegate = peer.sidegate("").await;
    let mut client = Client::connect(sidegate.address).await;
    let before = "GET /nowhere HTTP/1.1\r\nHost: sidegate.test\r\n\r\n";
    let asking = format!("{before}GET {REALTIME} HTTP/1.1\r\nHost: sidegate.test\r\n{ASKING}\r\n");
    client.send([asking.as_bytes(), FRAME].concat()).await;
    assert_eq!(client.reply("GET").await.status(), 404);
    let mut provider = peer.granting().await;
    assert_eq!(client.head().await.status(), 101);
    comes(&mut provider, FRAME).await;
}

#[tokio::test]
async fn what_asks_for_no_websocket_gets_none() {
    let get = |fields: &str| format!("GET {REALTIME} HTTP/1.1\r\nHost: sidegate.test\r\n{fields}\r\n");
    let bodied = |method: &str| format!("{method} /v1/files HTTP/1.1\r\nHost: sidegate.test\r\nContent-Length: 2\r\n{ASKING}\r\nhi");
    for request in [
        get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"),
        get("Upgrade: websocket\r\n"),
        get("Connection: Upgrade\r\n"),
        get("Connection: Upgrade\r\nUpgrade: websockets\r\n"),
        bodied("POST"),
        bodied("GET"),
        format!("GET {REALTIME} HTTP/1.0\r\nHost: sidegate.test\r\n{ASKING}\r\n"),
    ] {
        let mut provider = Provider::start().await;
        let sidegate = Sidegate::before(provider.address).await;
        let mut client = Client::connect(sidegate.address).await;
        provider.script(Script::ok("plain"));
        client.send(&request).await;
        assert_eq!(client.reply("GET").await.text(), "plain", "{request}");
        let head = provider.request().await.head;
        assert_eq!((head.get("upgrade"), head.get("connection")), (None, None), "{request}");
        // Nor does a provider open one that it was not asked for.
        if !request.contains("HTTP/1.0") {
            provider.script(Script::reply(GRANTED).until_left());
            client.send(&request).await;
            assert_eq!(client.reply("GET").await.status(), 502, "{request}");
        }
    }
}

#[tokio::test]
async fn a_101_that_answers_something_else_is_a_502() {
    for granted in [
        GRANTED.replace("s3pPL", "xxxxx"),
        GRANTED.replace("Upgrade: websocket", "Upgrade: h2c"),
        GRANTED.replace("Connection: Upgrade", "Connection: close"),
        GRANTED.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: not-offered\r\n\r\n"),
    ] {
        let mut provider = Provider::start().await;
        let sidegate = Sidegate::before(provider.address).await;
        provider.script(Script::on_request().write(granted.clone()).until_left());
        let mut client = Client::connect(sidegate.address).await;
        client.get_with(REALTIME, ASKING).await;
        let reply = client.reply("GET").await;
        assert_eq!(reply.status(), 502, "{granted}");
        provider.departure().await;
        assert_eq!(line(&sidegate).await["status"], 502);
    }
}

#[tokio::test]
async fn a_key_among_subprotocols_and_parameters_stays_here() {
    let peer = Peer::start().await;
    let sidegate = peer.sidegate("").await;
    let mut client = Client::connect(sidegate.address).await;
    let offered = "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.sk-of-the-caller, openai-beta.realtime-v1\r\n";
    client.get_with("/v1/realtime?key=sk-of-the-caller&model=gpt-realtime&api-key=sk-of-the-caller", &format!("{ASKING}{offered}")).await;
    let (head, mut provider) = peer.asked().await;
    assert_eq!(head.line, b"GET /v1/realtime?model=gpt-realtime HTTP/1.1");
    assert_eq!(head.all("sec-websocket-protocol"), [&b"realtime, openai-beta.realtime-v1"[..]]);
    assert!(head.fields.iter().all(|(_, value)| !show_contains(value, "sk-of-the-caller")));
    provider.write(GRANTED.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: realtime\r\n\r\n").as_bytes()).await.unwrap();
    let head = client.head().await;
    assert_eq!((head.status(), head.get("sec-websocket-protocol").as_deref()), (101, Some("realtime")));
}

fn show_contains(bytes: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(text)
}

#[tokio::test]
async fn an_interim_reply_before_the_101_changes_nothing() {
    let peer = Peer::start().await;
    let sidegate = peer.sidegate("").await;
    let mut client = Client::connect(sidegate.address).await;
    client.get_with(REALTIME, ASKING).await;
    let (_, mut provider) = peer.asked().await;
    provider.write(format!("HTTP/1.1 103 Early Hints\r\n\r\n{GRANTED}hello").as_bytes()).await.unwrap();
    assert_eq!(client.head().await.status(), 101);
    comes(&mut client.wire, b"hello").await;
}

#[tokio::test]
async fn a_provider_that_never_answers_is_a_504() {
    let peer = Peer::start().await;
    let config = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
providers:
  scripted: { base_url: "http://$UPSTREAM/v1", keys: [{ value: "$KEY" }], timeouts: { first_byte: 100ms } }
routes: [{ path: /v1, targets: [scripted] }]
"#;
    let sidegate = Sidegate::start(config, peer.address()).await;
    let mut client = Client::connect(sidegate.address).await;
    client.get_with(REALTIME, ASKING).await;
    let (_, mut provider) = peer.asked().await;
    assert_eq!(client.reply("GET").await.status(), 504);
    ends(&mut provider).await;
    drop(open(&sidegate, &peer).await);
}
