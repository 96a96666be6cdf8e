//! The client leaves: the provider sees it at once, in whichever phase and over whichever protocol, and whoever
//! comes next is served.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Request;
use tokio::io::AsyncWriteExt;

use crate::support::{Client, Gate, H2Client, H2Provider, H2Script, Provider, Script, Sidegate, at_rest, h2_client};

const ASK: &str = r#"{"model":"gpt-4o","stream":true}"#;
const EVENT_STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Generous for a busy machine; `scripts/prove cancel` holds the real bar.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Where the exchange stands when the client leaves.
#[derive(Clone, Copy, Debug)]
enum Phase {
    BeforeTheHead,
    MidStream,
    Uploading,
}

const PHASES: [Phase; 3] = [Phase::BeforeTheHead, Phase::MidStream, Phase::Uploading];

impl Phase {
    fn script(self, reached: &Gate) -> Script {
        match self {
            Self::BeforeTheHead => Script::on_request().tell(reached).until_left(),
            Self::MidStream => Script::on_request().write(EVENT_STREAM).chunk("data: 1\n\n").tell(reached).until_left(),
            Self::Uploading => Script::on_head().tell(reached).until_left(),
        }
    }

    fn h2_script(self, reached: &Gate) -> H2Script {
        match self {
            Self::BeforeTheHead => H2Script::on_request().tell(reached).until_left(),
            Self::MidStream => H2Script::on_request().head(200).part("data: 1\n\n").tell(reached).until_left(),
            Self::Uploading => H2Script::on_head().tell(reached).until_left(),
        }
    }
}

/// Asks over HTTP/1 and leaves once `phase` is reached; the moment of leaving.
async fn leave(to: std::net::SocketAddr, phase: Phase, reached: &Gate) -> Instant {
    let mut client = Client::connect(to).await;
    match phase {
        Phase::BeforeTheHead | Phase::MidStream => client.post("/v1/chat/completions", ASK).await,
        Phase::Uploading => {
            let head = "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: sidegate.test\r\nContent-Type: audio/wav\r\nContent-Length: 1000000\r\n\r\n";
            client.send(head).await;
            client.send(vec![b'w'; 1000]).await;
        }
    }
    reached.reached("the phase").await;
    if matches!(phase, Phase::MidStream) {
        client.until("data: 1\n\n").await;
    }
    let left = Instant::now();
    drop(client);
    left
}

/// Asks over HTTP/2 and gives up the stream, not the connection, once `phase` is reached.
async fn leave_h2(client: &H2Client, phase: Phase, reached: &Gate) -> Instant {
    let uploading = matches!(phase, Phase::Uploading);
    let target = if uploading { "/v1/audio/transcriptions" } else { "/v1/chat/completions" };
    let request = Request::post(format!("http://sidegate.test{target}")).body(()).unwrap();
    let (reply, mut upload) = client.open(request, false).await;
    upload.send_data(Bytes::from_static(ASK.as_bytes()), !uploading).unwrap();
    reached.reached("the phase").await;
    if matches!(phase, Phase::MidStream) {
        let mut body = h2_client::head(reply).await.into_body();
        h2_client::part(&mut body).await.unwrap().unwrap();
        let left = Instant::now();
        upload.send_reset(h2::Reason::CANCEL);
        return left;
    }
    let left = Instant::now();
    upload.send_reset(h2::Reason::CANCEL);
    left
}

#[tokio::test]
async fn an_h1_provider_sees_an_h1_client_leave() {
    for phase in PHASES {
        let reached = Gate::new();
        let mut provider = Provider::start().await;
        let sidegate = Sidegate::before(provider.address).await;
        for _ in 0..5 {
            provider.script(phase.script(&reached));
            let left = leave(sidegate.address, phase, &reached).await;
            let seen = provider.departure().await.saturating_duration_since(left);
            assert!(seen < AT_ONCE, "{phase:?}: after {seen:?}");
        }
        provider.script(Script::ok("served"));
        let mut next = Client::connect(sidegate.address).await;
        next.get("/v1/models").await;
        assert_eq!(next.reply("GET").await.text(), "served", "{phase:?}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_seen_behind_bytes_that_nobody_reads() {
    for behind in ["\r\n", "GET /v1/models HTTP/1.1\r\nHost: sidegate.test\r\n\r\n"] {
        for phase in [Phase::BeforeTheHead, Phase::MidStream] {
            let reached = Gate::new();
            let mut provider = Provider::always(phase.script(&reached)).await;
            let sidegate = Sidegate::before(provider.address).await;
            let mut client = Client::connect(sidegate.address).await;
            client.post("/v1/chat/completions", ASK).await;
            client.send(behind).await;
            reached.reached("the phase").await;
            let left = Instant::now();
            drop(client);
            let seen = provider.departure().await.saturating_duration_since(left);
            assert!(seen < AT_ONCE, "{phase:?}, {behind:?}: after {seen:?}");
        }
    }
}

/// It may still read, but a client that left looks the same.
#[tokio::test]
async fn a_client_that_closes_its_sending_side_has_left() {
    let reached = Gate::new();
    let mut provider = Provider::always(Phase::BeforeTheHead.script(&reached)).await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    reached.reached("the request").await;
    client.wire.stream.shutdown().await.unwrap();
    assert!(client.is_closed().await);
    provider.departure().await;
}

#[tokio::test]
async fn a_client_that_breaks_off_is_seen_while_nobody_takes_its_upload() {
    let (begun, go) = (Gate::new(), Gate::new());
    let mut provider = Provider::always(Script::on_head().tell(&begun).wait(&go).until_left()).await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.send("POST /v1/audio/transcriptions HTTP/1.1\r\nHost: a\r\nContent-Type: audio/wav\r\nContent-Length: 99999999\r\n\r\n").await;
    begun.reached("the upload").await;
    let sent = AtomicU64::new(0);
    let block = [b'w'; 64 << 10];
    at_rest("the upload", || {
        while let Ok(more) = client.wire.stream.try_write(&block) {
            sent.fetch_add(more as u64, Relaxed);
        }
        sent.load(Relaxed)
    })
    .await;
    // A close in order would stand in line behind what nobody takes.
    client.wire.stream.set_zero_linger().unwrap();
    drop(client);
    // The provider has not read a byte of it when the end is known.
    assert_eq!(sidegate.log(1).await[0]["end"], "left");
    go.open();
    provider.departure().await;
}

#[tokio::test]
async fn an_h2_provider_sees_an_h2_client_give_up_a_stream() {
    for phase in PHASES {
        let reached = Gate::new();
        let mut provider = H2Provider::start(h2::server::Builder::new()).await;
        let sidegate = Sidegate::before_h2(provider.address).await;
        let client = H2Client::connect(sidegate.address).await;
        for _ in 0..5 {
            provider.script(phase.h2_script(&reached));
            let left = leave_h2(&client, phase, &reached).await;
            let seen = provider.departure().await.saturating_duration_since(left);
            assert!(seen < AT_ONCE, "{phase:?}: after {seen:?}");
        }
        provider.script(H2Script::ok("served"));
        assert_eq!(client.get("/v1/models").await.text(), "served", "{phase:?}");
        assert_eq!(provider.connections(), 1, "{phase:?}: a stream that was given up cost a connection");
    }
}

#[tokio::test]
async fn an_h1_provider_sees_an_h2_client_give_up_a_stream() {
    for phase in PHASES {
        let reached = Gate::new();
        let mut provider = Provider::start().await;
        let sidegate = Sidegate::before(provider.address).await;
        let client = H2Client::connect(sidegate.address).await;
        provider.script(phase.script(&reached));
        let left = leave_h2(&client, phase, &reached).await;
        let seen = provider.departure().await.saturating_duration_since(left);
        assert!(seen < AT_ONCE, "{phase:?}: after {seen:?}");
    }
}

#[tokio::test]
async fn an_h2_provider_sees_an_h1_client_leave() {
    for phase in PHASES {
        let reached = Gate::new();
        let mut provider = H2Provider::always(h2::server::Builder::new(), phase.h2_script(&reached)).await;
        let sidegate = Sidegate::before_h2(provider.address).await;
        let left = leave(sidegate.address, phase, &reached).await;
        let seen = provider.departure().await.saturating_duration_since(left);
        assert!(seen < AT_ONCE, "{phase:?}: after {seen:?}");
    }
}

#[tokio::test]
async fn a_provider_sees_a_client_vanish_with_all_its_streams() {
    let reached = Gate::new();
    let mut provider = Provider::always(Phase::MidStream.script(&reached)).await;
    let sidegate = Sidegate::before(provider.address).await;
    let client = H2Client::connect(sidegate.address).await;
    let mut replies = Vec::new();
    for _ in 0..10 {
        replies.push(h2_client::head(client.send(h2_client::post("/v1/chat/completions", ASK)).await).await);
        reached.reached("mid-stream").await;
    }
    drop(client);
    for _ in 0..10 {
        provider.departure().await;
    }
}
