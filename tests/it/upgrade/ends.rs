//! How a tunnel ends, on both sides and in the log.

use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::{
    accept_async, client_async,
    tungstenite::{
        Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{ASKING, FRAME, IN_FLIGHT, Peer, REALTIME, comes, ends, line, open};
use crate::support::{Client, Sidegate, at_rest, wire::Wire, within};

/// Cuts the connection with a TCP reset.
fn reset(wire: Wire) {
    socket2::SockRef::from(&wire.stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
}

#[tokio::test]
async fn a_closing_handshake_carries_its_code_whoever_begins_it() {
    let text = |text: &str| Message::text(text.to_owned());
    for client_begins in [true, false] {
        let peer = Peer::start().await;
        let sidegate = peer.sidegate("").await;
        let close = CloseFrame { code: CloseCode::Library(4321), reason: "session expired".into() };
        let serving = async {
            let (socket, _) = peer.0.accept().await.unwrap();
            let mut provider = accept_async(socket).await.unwrap();
            assert_eq!(provider.next().await.unwrap().unwrap(), text("hello"));
            provider.send(text("welcome")).await.unwrap();
            if !client_begins {
                provider.close(Some(close.clone())).await.unwrap();
            }
            let mut last = None;
            while let Some(Ok(message)) = provider.next().await {
                last = Some(message);
            }
            last
        };
        let calling = async {
            let socket = Client::connect(sidegate.address).await.wire.stream;
            let (mut client, reply) = client_async("ws://sidegate.test/v1/realtime?model=gpt-realtime", socket).await.unwrap();
            assert_eq!(reply.status(), 101);
            client.send(text("hello")).await.unwrap();
            assert_eq!(client.next().await.unwrap().unwrap(), text("welcome"));
            if client_begins {
                client.close(Some(close.clone())).await.unwrap();
            }
            let mut last = None;
            while let Some(Ok(message)) = client.next().await {
                last = Some(message);
            }
            last
        };
        let lasts = within("the closing handshake", async { tokio::join!(serving, calling) }).await;
        assert_eq!(lasts, (Some(Message::Close(Some(close.clone()))), Some(Message::Close(Some(close)))));
        assert_eq!(line(&sidegate).await["end"], "complete");
    }
}

#[tokio::test]
async fn a_provider_that_breaks_off_is_seen_behind_its_last_byte() {
    let peer = Peer::start().await;
    let sidegate = peer.sidegate("").await;
    let (mut client, mut provider) = open(&sidegate, &peer).await;
    provider.write(FRAME).await.unwrap();
    comes(&mut client.wire, FRAME).await;
    reset(provider);
    ends(&mut client.wire).await;
    let line = line(&sidegate).await;
    assert_eq!((&line["end"], &line["error"], &line["status"]), (&"truncated".into(), &"closed".into(), &101.into()));
}

#[tokio::test]
async fn a_client_that_breaks_off_ends_the_provider_s_connection() {
    let peer = Peer::start().await;
    let sidegate = peer.sidegate("").await;
    let (mut client, mut provider) = open(&sidegate, &peer).await;
    client.send(FRAME).await;
    comes(&mut provider, FRAME).await;
    reset(client.wire);
    ends(&mut provider).await;
    assert_eq!(line(&sidegate).await["end"], "left");
}

#[tokio::test]
async fn a_client_that_stops_sending_may_still_be_answered() {
    let peer = Peer::start().await;
    let sidegate = peer.sidegate("").await;
    let (mut client, mut provider) = open(&sidegate, &peer).await;
    client.wire.stream.shutdown().await.unwrap();
    ends(&mut provider).await;
    provider.write(b"the last word").await.unwrap();
    drop(provider);
    comes(&mut client.wire, b"the last word").await;
    ends(&mut client.wire).await;
    assert_eq!(line(&sidegate).await["end"], "left");
}

#[tokio::test]
async fn a_client_that_leaves_before_the_101_ends_the_provider_s_connection() {
    let peer = Peer::start().await;
    let sidegate = peer.sidegate("").await;
    for early in ["", "some bytes that wait"] {
        let mut client = Client::connect(sidegate.address).await;
        client.get_with(REALTIME, ASKING).await;
        client.send(early).await;
        let (_, mut provider) = peer.asked().await;
        drop(client);
        ends(&mut provider).await;
    }
    sidegate.metric_becomes(IN_FLIGHT, 0.0).await;
    assert!(sidegate.log(2).await.iter().all(|line| line["end"] == "left" && line["status"] == 499));
}

/// A provider with a short `idle` before a listener with a short `write_timeout`.
async fn impatient(peer: &Peer, idle: &str, write: &str) -> Sidegate {
    let config = format!(
        r#"
listen: {{ address: "127.0.0.1:0", workers: 1, write_timeout: {write} }}
admin: {{ address: "127.0.0.1:0" }}
providers:
  scripted: {{ base_url: "http://$UPSTREAM/v1", keys: [{{ value: "$KEY" }}], timeouts: {{ idle: {idle} }} }}
routes: [{{ path: /v1, targets: [scripted] }}]
"#
    );
    Sidegate::start(&config, peer.address()).await
}

#[tokio::test]
async fn a_tunnel_in_which_nobody_speaks_ends() {
    let peer = Peer::start().await;
    let sidegate = impatient(&peer, "300ms", "60s").await;
    let (mut client, mut provider) = open(&sidegate, &peer).await;
    ends(&mut client.wire).await;
    ends(&mut provider).await;
    let line = line(&sidegate).await;
    assert_eq!((&line["end"], &line["error"]), (&"truncated".into(), &"idle_timeout".into()));
}

#[tokio::test]
async fn a_reader_that_stops_stops_the_other_side_and_is_given_up() {
    let peer = Peer::start().await;
    let sidegate = impatient(&peer, "60s", "1s").await;
    let mut client = Client::connect_with_small_buffer(sidegate.address).await;
    client.get_with(REALTIME, ASKING).await;
    let mut provider = peer.granting().await;
    assert_eq!(client.head().await.status(), 101);
    let written = std::sync::atomic::AtomicU64::new(0);
    let flooding = async {
        while provider.write(&[b'x'; 16 << 10]).await.is_ok() {
            written.fetch_add(16 << 10, std::sync::atomic::Ordering::Relaxed);
        }
    };
    within("the end of a tunnel whose client reads nothing", flooding).await;
    // Far beyond what kernels hold on the way, far below what a leak would let through.
    assert!(written.into_inner() < 24 << 20);
    assert_eq!(line(&sidegate).await["end"], "left");
    drop(client);
}

#[tokio::test]
async fn a_provider_that_reads_nothing_stops_the_client_alone() {
    let peer = Peer::start().await;
    let sidegate = peer.sidegate("").await;
    let (client, mut provider) = open(&sidegate, &peer).await;
    let (mut reading, mut writing) = client.wire.stream.into_split();
    let written = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = std::sync::Arc::clone(&written);
    let flooding = tokio::spawn(async move {
        while writing.write_all(&[b'x'; 16 << 10]).await.is_ok() {
            counted.fetch_add(16 << 10, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let rest = at_rest("a client before a provider that reads nothing", || written.load(std::sync::atomic::Ordering::Relaxed)).await;
    assert!(rest < 24 << 20, "{rest} bytes");
    // The other direction is as live as before.
    provider.write(FRAME).await.unwrap();
    let mut heard = vec![0; FRAME.len()];
    within("the provider's bytes", tokio::io::AsyncReadExt::read_exact(&mut reading, &mut heard)).await.unwrap();
    assert_eq!(heard, FRAME);
    flooding.abort();
}

#[tokio::test]
async fn stopping_gives_everything_back() {
    let peer = Peer::start().await;
    let sidegate = peer.sidegate("").await;
    let (mut client, mut provider) = open(&sidegate, &peer).await;
    let lines = sidegate.stop();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains(r#""status":101"#) && lines[0].contains(r#""end":"left""#), "{lines:#?}");
    ends(&mut client.wire).await;
    ends(&mut provider).await;
}
