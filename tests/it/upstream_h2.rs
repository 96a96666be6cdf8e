//! HTTP/2 connections to a provider are shared, mortal and limited; no caller may notice.

use bytes::Bytes;
use h2::server::Builder;
use tokio::net::TcpListener;

use crate::support::{Client, Gate, H2Client, H2Provider, H2Script, Sidegate, eventually, h2_client, wire::Wire, within};

const ASK: &str = r#"{"model":"gpt-4o","stream":true}"#;

#[tokio::test]
async fn stalled_readers_hurt_no_other_stream_of_their_connection() {
    let endless = H2Script::on_request().head(200).flood(Bytes::from_static(&[b'x'; 150]));
    let mut provider = H2Provider::start(Builder::new()).await;
    let sidegate = Sidegate::before_h2(provider.address).await;
    let mut stalled = Vec::new();
    for _ in 0..40 {
        provider.script(endless.clone());
        let mut client = Client::connect_with_small_buffer(sidegate.address).await;
        client.post("/v1/chat/completions", ASK).await;
        assert_eq!(client.head().await.status(), 200);
        stalled.push(client);
    }
    crate::support::at_rest("the provider's writes", || provider.flooded()).await;

    for _ in 0..20 {
        provider.script(H2Script::ok("healthy"));
        let mut client = Client::connect(sidegate.address).await;
        client.get("/v1/models").await;
        assert_eq!(client.reply("GET").await.text(), "healthy");
    }
    assert_eq!(provider.open_connections(), provider.connections(), "a connection died");
    drop(stalled);
    for _ in 0..40 {
        provider.departure().await;
    }
}

#[tokio::test]
async fn a_provider_that_allows_few_streams_gets_more_connections() {
    let (reached, go) = (Gate::new(), Gate::new());
    let mut few = Builder::new();
    few.max_concurrent_streams(3);
    let provider = H2Provider::always(few, H2Script::on_request().tell(&reached).wait(&go).head(200).last("done")).await;
    let sidegate = Sidegate::before_h2(provider.address).await;

    let mut clients = Vec::new();
    for _ in 0..10 {
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", ASK).await;
        clients.push(client);
    }
    for n in 1..=10 {
        reached.reached(&format!("request {n} of 10 at the provider")).await;
    }
    assert!(provider.connections() >= 4, "10 requests at once over {} connections of 3", provider.connections());
    go.open_for_all();
    for client in &mut clients {
        assert_eq!(client.reply("POST").await.text(), "done");
    }
}

#[tokio::test]
async fn a_refused_stream_is_sent_again() {
    let mut provider = H2Provider::start(Builder::new()).await;
    let sidegate = Sidegate::before_h2(provider.address).await;
    provider.script(H2Script::refused());
    provider.script(H2Script::ok("second time"));

    let mut client = Client::connect(sidegate.address).await;
    client.post("/v1/chat/completions", ASK).await;
    assert_eq!(client.reply("POST").await.text(), "second time");
    assert!(provider.request().await.body.is_empty());
    assert_eq!(provider.request().await.body, ASK.as_bytes());
}

#[tokio::test]
async fn a_provider_that_refuses_for_ever_is_not_asked_for_ever() {
    let provider = H2Provider::always(Builder::new(), H2Script::refused()).await;
    let sidegate = Sidegate::before_h2(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.post("/v1/chat/completions", ASK).await;
    assert!(matches!(client.reply("POST").await.status(), 502 | 503));
}

#[tokio::test]
async fn a_connection_that_goes_away_finishes_its_streams_and_takes_no_more() {
    let (reached, go) = (Gate::new(), Gate::new());
    let mut provider = H2Provider::start(Builder::new()).await;
    let sidegate = Sidegate::before_h2(provider.address).await;
    provider.script(H2Script::on_request().head(200).part("begun, ").tell(&reached).wait(&go).last("finished"));
    let mut early = Client::connect(sidegate.address).await;
    early.post("/v1/chat/completions", ASK).await;
    reached.reached("mid-stream").await;
    let first = provider.request().await.connection;

    provider.go_away();
    for _ in 0..5 {
        provider.script(H2Script::ok("elsewhere"));
        let mut late = Client::connect(sidegate.address).await;
        late.post("/v1/chat/completions", ASK).await;
        assert_eq!(late.reply("POST").await.text(), "elsewhere");
        // The very first may still have been on its way when the provider said that it goes.
        provider.request().await;
    }
    assert_ne!(provider.connections(), first, "no second connection");

    go.open();
    let reply = early.reply("POST").await;
    assert_eq!((reply.text().as_str(), reply.is_complete()), ("begun, finished", true));
    eventually("the old connection ends", || provider.open_connections(), |open| *open == 1).await;
}

#[tokio::test]
async fn a_storm_of_cancels_kills_no_connection() {
    let reached = Gate::new();
    let slow = H2Script::on_request().head(200).part("data: 1\n\n").tell(&reached).flood(Bytes::from_static(&[b'x'; 300]));
    let mut provider = H2Provider::always(Builder::new(), slow).await;
    let sidegate = Sidegate::before_h2(provider.address).await;
    // A window for all of them: what is under test is the other connection.
    let mut roomy = h2::client::Builder::new();
    roomy.initial_connection_window_size(1 << 24);
    let client = H2Client::connect_with(sidegate.address, &roomy).await;

    for _ in 0..6 {
        let mut storm = Vec::new();
        for _ in 0..50 {
            storm.push(client.send(h2_client::post("/v1/chat/completions", ASK)).await);
        }
        for _ in 0..50 {
            reached.reached("mid-stream").await;
        }
        drop(storm);
        for _ in 0..50 {
            provider.departure().await;
        }
    }
    provider.otherwise(H2Script::ok("healthy"));
    assert_eq!(client.get("/v1/models").await.text(), "healthy");
    assert_eq!(provider.open_connections(), provider.connections(), "a connection died");
}

/// The provider would take a frame for each chunk for an attack, and end what everybody shares.
#[tokio::test]
async fn an_upload_in_chunks_of_a_byte_kills_no_connection() {
    let (begun, go) = (Gate::new(), Gate::new());
    let mut provider = H2Provider::start(Builder::new()).await;
    let sidegate = Sidegate::before_h2(provider.address).await;
    provider.script(H2Script::on_head().tell(&begun).wait(&go).read_body().head(200).last("thanks"));
    let mut client = Client::connect(sidegate.address).await;
    client.send("POST /v1/files HTTP/1.1\r\nHost: sidegate.test\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.send("1\r\nx\r\n".repeat(1000) + "0\r\n\r\n").await;
    begun.reached("the upload at the provider").await;

    provider.script(H2Script::ok("healthy"));
    assert_eq!(H2Client::connect(sidegate.address).await.get("/v1/models").await.text(), "healthy");
    provider.request().await;
    go.open();
    assert_eq!(client.reply("POST").await.text(), "thanks");
    assert_eq!(provider.request().await.body, [b'x'; 1000]);
}

/// RFC 9113 §6.8: what is above the last stream of a GOAWAY was not processed; what is not may have been.
#[tokio::test]
async fn a_stream_is_sent_again_if_a_goaway_leaves_it_out() {
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    const OK: &[u8] = &[0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88];
    let going_away = |last, reason| [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, last, 0, 0, 0, reason];
    let (no_error, enhance_your_calm) = (0, 11);
    for (last, reason, status) in
        [(0, no_error, 200), (0, enhance_your_calm, 200), (1, no_error, 502), (1, enhance_your_calm, 502), (127, no_error, 502)]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sidegate = Sidegate::before_h2(listener.local_addr().unwrap()).await;
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", ASK).await;
        let mut answers = vec![going_away(last, reason).to_vec()];
        answers.extend((status == 200).then(|| OK.to_vec()));
        for answer in answers {
            let (stream, _) = within("a connection", listener.accept()).await.unwrap();
            let mut wire = Wire::new(stream);
            wire.write(SETTINGS).await.unwrap();
            within("a request", request_begins(&mut wire)).await;
            wire.write(&answer).await.unwrap();
        }
        assert_eq!(client.reply("POST").await.status(), status, "last stream {last}, reason {reason}");
    }
}

/// Reads frames up to the first HEADERS.
async fn request_begins(wire: &mut Wire) {
    wire.until(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    loop {
        while wire.buffer.len() < 9 || wire.buffer.len() < 9 + frame_length(&wire.buffer) {
            assert_ne!(wire.fill().await.unwrap(), 0, "the peer left");
        }
        let frame = wire.buffer.split_to(9 + frame_length(&wire.buffer));
        if frame[3] == 1 {
            return;
        }
    }
}

fn frame_length(head: &[u8]) -> usize {
    usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])
}
