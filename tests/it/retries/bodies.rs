//! A second attempt carries the very bytes of the first, or there is none.

use crate::support::{Client, H2Provider, H2Script, Provider, Script, Setup, client::Reply};

use super::{DOWN, REVOKED, TWO, down};

/// A request of this size, no two parts of which are alike.
fn ask(size: usize) -> String {
    let mut body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":""#.to_owned();
    let mut state = 1_u64;
    while body.len() < size - 4 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        body.push(char::from(b'a' + u8::try_from((state >> 33) % 26).unwrap()));
    }
    body + "\"}]}"
}

/// Sends it while whoever refuses early may leave; the reply.
async fn send(to: std::net::SocketAddr, body: &str) -> Reply {
    let mut client = Client::connect(to).await;
    client.post("/v1/chat/completions", body).await;
    client.reply("POST").await
}

#[tokio::test]
async fn a_body_of_a_mebibyte_is_sent_again_byte_for_byte() {
    for size in [60 << 10, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 1 << 20] {
        let mut provider = Provider::start().await;
        let sidegate = Setup::of(provider.address, "").start().await;
        provider.script(down());
        provider.script(Script::ok("served"));
        let body = ask(size);
        assert_eq!(send(sidegate.address, &body).await.text(), "served", "{size}");
        let sent = provider.new_requests();
        assert_eq!(sent.len(), 2, "{size}");
        for request in sent {
            assert!(request.body.bytes == body.as_bytes(), "{size}: {} bytes arrived", request.body.bytes.len());
        }
        sidegate.holds_nothing().await;
    }
}

#[tokio::test]
async fn the_same_over_h2() {
    let mut provider = H2Provider::start(h2::server::Builder::new()).await;
    let sidegate = Setup::of(provider.address, "http_version: 2").start().await;
    provider.script(H2Script::on_request().head(503).last(DOWN));
    provider.script(H2Script::ok("served"));
    let body = ask(1 << 20);
    assert_eq!(send(sidegate.address, &body).await.text(), "served");
    for _ in 0..2 {
        let request = provider.request().await;
        assert!(request.body == body.as_bytes(), "{} bytes arrived", request.body.len());
    }
}

#[tokio::test]
async fn a_body_that_was_refused_before_it_was_read_is_sent_again_whole() {
    let mut provider = Provider::start().await;
    let sidegate = Setup::of(provider.address, TWO).start().await;
    let refusal =
        format!("HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{REVOKED}", REVOKED.len());
    provider.script(Script::on_head().write(refusal).read_body());
    provider.script(Script::ok("served"));
    let body = ask(1 << 20);
    assert_eq!(send(sidegate.address, &body).await.text(), "served");
    for _ in 0..2 {
        assert!(provider.request().await.body.bytes == body.as_bytes());
    }
}

#[tokio::test]
async fn a_body_beyond_the_buffer_is_sent_once_and_whole() {
    let mut provider = Provider::start().await;
    let sidegate = Setup::of(provider.address, TWO).start().await;
    let body = ask(20 << 20);
    provider.script(down());
    let reply = send(sidegate.address, &body).await;
    assert_eq!((reply.status(), reply.text().as_str()), (503, DOWN));
    provider.script(Script::ok("served"));
    assert_eq!(send(sidegate.address, &body).await.text(), "served");
    let sent = provider.new_requests();
    assert_eq!(sent.len(), 2, "one send for each");
    assert!(sent.iter().all(|request| request.body.bytes == body.as_bytes()));
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn what_streams_up_is_sent_once() {
    let mut provider = Provider::start().await;
    let sidegate = Setup::of(provider.address, TWO).start().await;
    provider.script(down());
    let mut client = Client::connect(sidegate.address).await;
    client.send("POST /v1/audio/transcriptions HTTP/1.1\r\nHost: a\r\nContent-Type: audio/wav\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.send("4\r\nwave\r\n0\r\n\r\n").await;
    assert_eq!(client.reply("POST").await.status(), 503);
    let sent = provider.new_requests();
    assert_eq!((sent.len(), sent[0].body.bytes.as_slice()), (1, &b"wave"[..]));
}
