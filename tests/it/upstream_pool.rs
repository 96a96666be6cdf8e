//! A pool of few connections: nobody waits for one that is never free, and nobody finds a place taken by what has gone.

use h2::server::Builder;
use tokio::net::TcpListener;

use crate::support::{Client, Gate, H2Provider, H2Script, Provider, Script, Sidegate, within};

const ASK: &str = r#"{"model":"gpt-4o","stream":true}"#;

/// In flight at the provider, as the metrics say.
const IN_FLIGHT: &str = r#"sidegate_requests_in_flight{route="/v1",provider="scripted"}"#;

const EARLY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly";

/// One worker before a provider, with more said about it.
async fn before(version: &str, more: &str, provider: std::net::SocketAddr) -> Sidegate {
    let config = format!(
        r#"
listen: {{ address: "127.0.0.1:0", workers: 1 }}
admin: {{ address: "127.0.0.1:0" }}
providers:
  scripted: {{ base_url: "http://$UPSTREAM/v1", http_version: {version}, keys: [{{ value: "$KEY" }}], {more} }}
routes: [{{ path: /v1, targets: [scripted] }}]
retry: {{ attempts: 1 }}
"#
    );
    Sidegate::start(&config, provider).await
}

/// A client whose upload goes on after the reply to it.
async fn answered_early(sidegate: &Sidegate) -> Client {
    let mut client = Client::connect(sidegate.address).await;
    client.send("POST /v1/files HTTP/1.1\r\nHost: sidegate.test\r\nContent-Length: 8\r\n\r\nsome").await;
    assert_eq!(client.reply("POST").await.text(), "early");
    sidegate.metric_becomes(IN_FLIGHT, 0.0).await;
    client
}

#[tokio::test]
async fn who_waits_for_a_connection_gets_it_when_a_late_upload_ends() {
    let provider = Provider::start().await;
    let sidegate = before("1.1", "connections: { max: 1 }", provider.address).await;
    provider.script(Script::on_head().write(EARLY).read_body());
    let mut uploading = answered_early(&sidegate).await;

    provider.script(Script::ok("next"));
    let mut waiting = Client::connect(sidegate.address).await;
    waiting.get("/v1/models").await;
    sidegate.metric_becomes(IN_FLIGHT, 1.0).await;
    uploading.send("more").await;
    assert_eq!(waiting.reply("GET").await.text(), "next");
    assert_eq!(provider.connections(), 1);
}

#[tokio::test]
async fn an_upload_that_never_ends_keeps_no_connection_from_others() {
    let mut provider = Provider::start().await;
    let sidegate = before("1.1", "connections: { max: 1 }, timeouts: { idle: 200ms }", provider.address).await;
    provider.script(Script::on_head().write(EARLY).until_left());
    let stalled = answered_early(&sidegate).await;

    provider.departure().await;
    provider.script(Script::ok("next"));
    let mut next = Client::connect(sidegate.address).await;
    next.get("/v1/models").await;
    assert_eq!(next.reply("GET").await.text(), "next");
    drop(stalled);
}

#[tokio::test]
async fn as_many_requests_as_connections_are_under_way_at_once() {
    let reached = Gate::new();
    let provider = Provider::always(Script::on_request().tell(&reached).until_left()).await;
    for _ in 0..10 {
        let sidegate = before("1.1", "connections: { max: 8 }", provider.address).await;
        let mut clients = Vec::new();
        for _ in 0..8 {
            let mut client = Client::connect(sidegate.address).await;
            client.post("/v1/chat/completions", ASK).await;
            clients.push(client);
        }
        for n in 1..=8 {
            reached.reached(&format!("request {n} of 8 at the provider")).await;
        }
    }
}

/// Its protocol is known: nobody waits to learn it from the first.
#[tokio::test]
async fn a_dial_that_hangs_holds_no_other_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
providers: { scripted: { base_url: "https://$UPSTREAM/v1", http_version: 1.1, keys: [{ value: "$KEY" }] } }
routes: [{ path: /v1, targets: [scripted] }]
"#;
    let sidegate = Sidegate::start(config, silent.local_addr().unwrap()).await;
    let (mut clients, mut dials) = (Vec::new(), Vec::new());
    for n in 1..=3 {
        let mut client = Client::connect(sidegate.address).await;
        client.get("/v1/models").await;
        clients.push(client);
        dials.push(within(&format!("dial {n}"), silent.accept()).await.unwrap());
    }
}

/// RFC 9113 §3.4: a provider begins with SETTINGS. One that does not was never connected to.
#[tokio::test]
async fn a_provider_without_settings_is_a_connection_that_could_not_be_made() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sidegate = before("2", "timeouts: { connect: 300ms }", silent.local_addr().unwrap()).await;
    for dial in 1..=2 {
        let mut client = Client::connect(sidegate.address).await;
        client.get("/v1/models").await;
        assert_eq!(client.reply("GET").await.status(), 504);
        let failed = r#"sidegate_upstream_connects_total{provider="scripted",result="failed"}"#;
        sidegate.metric_becomes(failed, f64::from(dial)).await;
    }
}

/// A connection on which one request hangs takes no other; what it carries may go on for long.
#[tokio::test]
async fn a_connection_that_retires_leaves_its_place_to_another() {
    let (reached, go) = (Gate::new(), Gate::new());
    let mut provider = H2Provider::start(Builder::new()).await;
    let sidegate = before("2", "connections: { max: 1 }, timeouts: { first_byte: 200ms }", provider.address).await;
    provider.script(H2Script::on_request().head(200).part("begun, ").tell(&reached).wait(&go).last("finished"));
    let mut long = Client::connect(sidegate.address).await;
    long.post("/v1/chat/completions", ASK).await;
    reached.reached("mid-stream").await;
    provider.request().await;

    provider.script(H2Script::on_request().until_left());
    provider.script(H2Script::ok("elsewhere"));
    for (status, connection) in [(504, 1), (200, 2)] {
        let mut next = Client::connect(sidegate.address).await;
        next.get("/v1/models").await;
        assert_eq!(next.reply("GET").await.status(), status);
        assert_eq!(provider.request().await.connection, connection);
    }
    go.open();
    assert_eq!(long.reply("POST").await.text(), "begun, finished");
}
