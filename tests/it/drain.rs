//! Ending: readiness fails first, whoever has connected is served, what runs goes on, and what is cut can be seen.

mod confined;
mod program;
mod systemd;

use std::{net::SocketAddr, sync::Arc};

use h2::Reason;
use serde_json::Value;
use sidegate::server::drain::Phase;
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::support::{
    Client, Gate, H2Client, Provider, Script, Sidegate, eventually, h2_client,
    tls::{Authority, connect_with},
    within,
};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
const GRANTED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
const IN_FLIGHT: &str = r#"sidegate_requests_in_flight{route="/v1",provider="scripted"}"#;
const CONNECTIONS: &str = "sidegate_downstream_connections";

/// A drain that goes on when the story says so.
const PATIENT: &str = "drain: { delay: 10m, timeout: 20m }\n";

/// A stream that ends when the gate is opened.
fn stream(go: &Gate) -> Script {
    Script::on_request().write(CHUNKED).chunk("first").wait(go).chunk("last").write("0\r\n\r\n")
}

/// A tunnel that says its last word when the gate is opened.
fn tunnel(go: &Gate) -> Script {
    Script::on_request().write(GRANTED).write("first").wait(go).write("last").close()
}

/// Whether nobody listens there any more.
async fn is_refused(address: SocketAddr) {
    let refused = async { while TcpStream::connect(address).await.is_ok() {} };
    within("connections are refused", refused).await;
}

/// Asks for a stream over HTTP/1 and reads its first part.
async fn streaming(sidegate: &Sidegate) -> Client {
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    client.until("first").await;
    client
}

async fn status_of(sidegate: &Sidegate, probe: &str) -> (u16, String) {
    let reply = sidegate.ask_admin(probe).await;
    (reply.status(), reply.text())
}

#[tokio::test]
async fn readiness_fails_first_and_everybody_is_served_until_the_listener_closes() {
    let provider = Provider::always(Script::ok("served")).await;
    let sidegate = Sidegate::with(PATIENT, provider.address).await;
    let mut kept = Client::connect(sidegate.address).await;
    kept.get("/v1/models").await;
    assert_eq!(kept.reply("GET").await.head.get("connection"), None);
    let h2 = H2Client::connect(sidegate.address).await;
    assert_eq!(status_of(&sidegate, "/readyz").await, (200, "ready\n".to_owned()));

    sidegate.drain().begin();
    assert_eq!(status_of(&sidegate, "/readyz").await, (503, "draining\n".to_owned()));
    assert_eq!(status_of(&sidegate, "/livez").await.0, 200);
    for client in [&mut kept, &mut Client::connect(sidegate.address).await] {
        client.get("/v1/models").await;
        let reply = client.reply("GET").await;
        assert_eq!((reply.text().as_str(), reply.head.get("connection").as_deref()), ("served", Some("close")));
        assert!(client.is_closed().await);
    }
    // A connection that carries many requests has its own word for it, later; `connection` is no field of HTTP/2.
    let reply = h2.get("/v1/models").await;
    assert_eq!((reply.text().as_str(), reply.headers.get("connection")), ("served", None));
    assert_eq!(H2Client::connect(sidegate.address).await.get("/v1/models").await.text(), "served");

    sidegate.drain().begin_without_delay();
    is_refused(sidegate.address).await;
    assert_eq!(h2.goodbye().await, Reason::NO_ERROR);
    sidegate.reaches(Phase::Over).await;
    assert_eq!(sidegate.drain().cut(), 0);
}

#[tokio::test]
async fn what_runs_goes_on_to_its_own_end() {
    let (provider, go) = (Provider::start().await, Gate::new());
    let sidegate = Sidegate::with(PATIENT, provider.address).await;
    provider.script(stream(&go));
    let mut h1 = streaming(&sidegate).await;
    provider.script(stream(&go));
    let h2 = H2Client::connect(sidegate.address).await;
    let mut reply = h2_client::head(h2.send(h2_client::get("/v1/models")).await).await.into_body();
    assert_eq!(h2_client::part(&mut reply).await.unwrap().unwrap(), "first");
    provider.script(tunnel(&go));
    let mut socket = Client::connect(sidegate.address).await;
    socket.get_with("/v1/realtime?model=m", WEBSOCKET).await;
    socket.until("first").await;
    provider.script(Script::on_request().wait(&go).write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nserved"));
    let mut unanswered = Client::connect(sidegate.address).await;
    unanswered.get("/v1/models").await;
    sidegate.metric_becomes(IN_FLIGHT, 4.0).await;

    sidegate.drain().begin_without_delay();
    assert_eq!(h2.goodbye().await, Reason::NO_ERROR);
    is_refused(sidegate.address).await;
    assert_eq!(sidegate.drain().phase(), Phase::Closing);
    go.open_for_all();

    h1.until("0\r\n\r\n").await;
    assert!(h1.is_closed().await);
    assert_eq!(h2_client::part(&mut reply).await.unwrap().unwrap(), "last");
    // The end may come with the last bytes or by itself, in a frame without any.
    while let Some(part) = h2_client::part(&mut reply).await {
        assert!(part.unwrap().is_empty());
    }
    socket.until("last").await;
    assert!(socket.is_closed().await);
    let late = unanswered.reply("GET").await;
    assert_eq!((late.text().as_str(), late.head.get("connection").as_deref()), ("served", Some("close")));
    sidegate.reaches(Phase::Over).await;
    assert_eq!(sidegate.drain().cut(), 0);
    assert!(sidegate.log(4).await.iter().all(|line| line["end"] == "complete"));
}

#[tokio::test]
async fn who_has_connected_may_still_ask_once() {
    let (provider, authority) = (Provider::always(Script::ok("served")).await, Authority::new());
    let sidegate = Sidegate::with(PATIENT, provider.address).await;
    let (mut silent, mut begun) = (Client::connect(sidegate.address).await, Client::connect(sidegate.address).await);
    begun.send("GET /v1/models HT").await;
    let h2 = H2Client::connect(sidegate.address).await;
    let mut idle = Client::connect(sidegate.address).await;
    idle.get("/v1/models").await;
    idle.reply("GET").await;
    sidegate.metric_becomes(CONNECTIONS, 4.0).await;
    sidegate.drain().begin_without_delay();
    // The end of one that has asked shows that all have been looked at.
    assert!(idle.is_closed().await);
    silent.get("/v1/models").await;
    begun.send("TP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(h2.get("/v1/models").await.text(), "served");
    for mut client in [silent, begun] {
        let reply = client.reply("GET").await;
        assert_eq!((reply.text().as_str(), reply.head.get("connection").as_deref()), ("served", Some("close")));
        assert!(client.is_closed().await);
    }
    sidegate.reaches(Phase::Over).await;

    // The same over TLS, with a handshake on its way and behind one.
    let (certificate, key) = authority.files("localhost");
    let tls = format!("{{ certificate: {}, key: {} }}", certificate.display(), key.display());
    let config = format!(
        "listen: {{ address: \"127.0.0.1:0\", workers: 1, tls: {tls} }}\nadmin: {{ address: \"127.0.0.1:0\" }}\n{PATIENT}\
        providers: {{ scripted: {{ base_url: \"http://$UPSTREAM/v1\", keys: [{{ value: \"$KEY\" }}] }} }}\nroutes: [{{ path: /v1, targets: [scripted] }}]\n"
    );
    let sidegate = Sidegate::start(&config, provider.address).await;
    let connected = TcpStream::connect(sidegate.address).await.unwrap();
    let mut silent = Client::over(authority.connect(sidegate.address, &["http/1.1"]).await);
    let mut idle = Client::over(authority.connect(sidegate.address, &["http/1.1"]).await);
    idle.get("/v1/models").await;
    idle.reply("GET").await;
    sidegate.metric_becomes(CONNECTIONS, 3.0).await;
    sidegate.drain().begin_without_delay();
    within("the end of the idle one", idle.wire.until_left()).await;
    silent.get("/v1/models").await;
    assert_eq!(silent.reply("GET").await.text(), "served");
    let mut client = Client::over(connect_with(Arc::new(authority.client(None, &["http/1.1"])), connected).await);
    client.get("/v1/models").await;
    assert_eq!(client.reply("GET").await.text(), "served");
    sidegate.reaches(Phase::Over).await;
}

#[tokio::test]
async fn who_has_connected_and_says_nothing_is_not_waited_for() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::with(PATIENT, provider.address).await;
    let mut silent = Client::connect(sidegate.address).await;
    let h2 = H2Client::connect(sidegate.address).await;
    sidegate.metric_becomes(CONNECTIONS, 2.0).await;
    sidegate.drain().begin_without_delay();
    assert!(silent.is_closed().await);
    assert_eq!(h2.goodbye().await, Reason::NO_ERROR);
    sidegate.reaches(Phase::Over).await;
    assert_eq!(sidegate.drain().cut(), 0);
}

#[tokio::test]
async fn who_waits_in_the_backlog_is_served() {
    let (provider, go) = (Provider::start().await, Gate::new());
    let config = format!(
        "listen: {{ address: \"127.0.0.1:0\", workers: 1, connections: 1 }}\nadmin: {{ address: \"127.0.0.1:0\" }}\n{PATIENT}\
        providers: {{ scripted: {{ base_url: \"http://$UPSTREAM/v1\", keys: [{{ value: \"$KEY\" }}] }} }}\nroutes: [{{ path: /v1, targets: [scripted] }}]\n"
    );
    let sidegate = Sidegate::start(&config, provider.address).await;
    provider.script(stream(&go));
    let mut first = streaming(&sidegate).await;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut client = Client::connect(sidegate.address).await;
        provider.script(Script::ok("served"));
        client.get("/v1/models").await;
        waiting.push(client);
    }
    sidegate.drain().begin_without_delay();
    sidegate.reaches(Phase::Closing).await;
    go.open();
    first.until("0\r\n\r\n").await;
    for mut client in waiting {
        assert_eq!(client.reply("GET").await.text(), "served");
    }
    sidegate.reaches(Phase::Over).await;
    assert_eq!(provider.asked(), 21);
}

/// Connects, asks and leaves, over and over, until nobody listens; how often it was served.
async fn knocks(address: SocketAddr) -> usize {
    for served in 0.. {
        let Ok(stream) = TcpStream::connect(address).await else { return served };
        let mut client = Client::over(stream);
        client.get("/v1/models").await;
        assert_eq!(client.reply("GET").await.text(), "served", "it had connected");
    }
    0
}

#[tokio::test]
async fn nobody_who_has_connected_is_turned_away() {
    let provider = Provider::always(Script::ok("served")).await;
    for _ in 0..3 {
        let sidegate = Sidegate::with(PATIENT, provider.address).await;
        let knocking: Vec<_> = (0..8).map(|_| tokio::spawn(knocks(sidegate.address))).collect();
        let asked = provider.asked();
        eventually("traffic", || provider.asked(), |now| *now > asked + 50).await;
        sidegate.drain().begin_without_delay();
        for knocking in knocking {
            assert!(within("the end of the traffic", knocking).await.unwrap() > 0);
        }
        sidegate.reaches(Phase::Over).await;
    }
}

#[tokio::test]
async fn who_leaves_while_it_drains_is_given_back() {
    let (provider, go) = (Provider::start().await, Gate::new());
    let sidegate = Sidegate::with(PATIENT, provider.address).await;
    provider.script(stream(&go));
    let mut stays = streaming(&sidegate).await;
    let hang = Script::on_request().write(CHUNKED).chunk("first").until_left();
    let mut leaving = Vec::new();
    for _ in 0..3 {
        provider.script(hang.clone());
        leaving.push(streaming(&sidegate).await);
    }
    sidegate.metric_becomes(IN_FLIGHT, 4.0).await;
    leaving.pop();
    sidegate.metric_becomes(IN_FLIGHT, 3.0).await;
    sidegate.drain().begin();
    leaving.pop();
    sidegate.metric_becomes(IN_FLIGHT, 2.0).await;
    sidegate.drain().begin_without_delay();
    sidegate.reaches(Phase::Closing).await;
    leaving.pop();
    sidegate.metric_becomes(IN_FLIGHT, 1.0).await;
    sidegate.metric_becomes(CONNECTIONS, 1.0).await;
    go.open();
    stays.until("0\r\n\r\n").await;
    sidegate.reaches(Phase::Over).await;
    assert_eq!(sidegate.drain().cut(), 0);
    let ends: Vec<_> = sidegate.log(4).await.iter().map(|line| line["end"].clone()).collect();
    assert_eq!(ends, ["left", "left", "left", "complete"]);
}

#[tokio::test]
async fn what_outlasts_it_is_visibly_cut_and_logged() {
    let mut provider = Provider::start().await;
    let sidegate = Sidegate::with("drain: { delay: 0s, timeout: 1s }", provider.address).await;
    let hang = Script::on_request().write(CHUNKED).chunk("first").until_left();
    provider.script(hang.clone());
    let mut h1 = streaming(&sidegate).await;
    provider.script(hang.clone());
    let mut old = Client::connect(sidegate.address).await;
    old.send("GET /v1/models HTTP/1.0\r\n\r\n").await;
    old.until("first").await;
    provider.script(hang);
    let h2 = H2Client::connect(sidegate.address).await;
    let mut reply = h2_client::head(h2.send(h2_client::get("/v1/models")).await).await.into_body();
    h2_client::part(&mut reply).await.unwrap().unwrap();
    provider.script(Script::on_request().write(GRANTED).write("first").until_left());
    let mut socket = Client::connect(sidegate.address).await;
    socket.get_with("/v1/realtime?model=m", WEBSOCKET).await;
    socket.until("first").await;
    provider.script(Script::hang());
    let mut unanswered = Client::connect(sidegate.address).await;
    unanswered.get("/v1/models").await;
    sidegate.metric_becomes(IN_FLIGHT, 5.0).await;

    sidegate.drain().begin();
    sidegate.reaches(Phase::Over).await;
    assert_eq!(sidegate.drain().cut(), 5);
    for _ in 0..5 {
        provider.departure().await;
    }
    let mut rest = Vec::new();
    within("the end", h1.wire.stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&[&h1.wire.buffer[..], &rest].concat()), "\r\n", "no last chunk");
    // To HTTP/1.0 an end in order would be the end of the body.
    assert!(within("a reset", old.wire.stream.read_to_end(&mut rest)).await.is_err());
    let error = h2_client::part(&mut reply).await.unwrap().unwrap_err();
    assert!(error.is_reset() && error.is_remote(), "{error}");
    assert!(socket.is_closed().await && unanswered.is_closed().await);
    let lines: Vec<Value> = sidegate.log(5).await;
    assert!(lines.iter().all(|line| line["end"] == "truncated" && line["error"] == "drained"), "{lines:#?}");
    let statuses: Vec<_> = lines.iter().filter_map(|line| line["status"].as_u64()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 499).count(), 1, "the one that had none: {statuses:?}");
}

#[tokio::test]
async fn stopping_does_not_drain() {
    let provider = Provider::always(Script::on_request().write(CHUNKED).chunk("first").until_left()).await;
    let sidegate = Sidegate::with(PATIENT, provider.address).await;
    let mut client = streaming(&sidegate).await;
    let lines = within("the end", async { tokio::task::spawn_blocking(|| sidegate.stop()).await.unwrap() }).await;
    assert!(lines.len() == 1 && lines[0].contains(r#""end":"left""#), "{lines:?}");
    assert!(within("the end", client.wire.stream.read_to_end(&mut Vec::new())).await.is_ok());
}
