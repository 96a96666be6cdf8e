//! Names become addresses: a change is followed, an outage of the name server is none of the provider, a dead address delays
//! nobody for long.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use crate::support::{Client, Gate, H2Provider, H2Script, NameServer, Provider, Says, Script, Sidegate, eventually};

const CONFIG: &str = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
dns: { servers: ["$SERVER"], min_ttl: 1s }
providers:
  scripted:
    base_url: http://$HOST:$PORT/v1
    http_version: $VERSION
    keys: [{ name: pool, value: "$KEY" }]
    breaker: off
routes:
  - { path: /v1, targets: [scripted] }
retry: { attempts: 1 }
"#;

const HOST: &str = "api.provider.test";

/// Before the provider at this port of `host`, asking this name server.
async fn before(host: &str, port: u16, server: &NameServer, version: &str) -> Sidegate {
    let config = CONFIG.replace("$SERVER", &server.address.to_string()).replace("$HOST", host).replace("$VERSION", version);
    Sidegate::start(&config.replace("$PORT", &port.to_string()), server.address).await
}

/// Two providers at one port of two addresses.
async fn twins() -> (Provider, Provider) {
    loop {
        let first = Provider::always(Script::ok("first")).await;
        if let Some(second) = Provider::at("127.0.0.2", first.address.port()).await {
            second.otherwise(Script::ok("second"));
            return (first, second);
        }
    }
}

fn at(ip: &str, ttl: u32) -> Says {
    Says::Addresses(vec![ip.parse().unwrap()], ttl)
}

async fn ask(sidegate: &Sidegate) -> (u16, String) {
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    let reply = client.reply("GET").await;
    (reply.status(), reply.text())
}

/// Asks without a pause until `text` is the answer; how long that took.
async fn until_it_is(sidegate: &Sidegate, text: &str) -> Duration {
    let begun = Instant::now();
    loop {
        let (status, answer) = ask(sidegate).await;
        assert_eq!(status, 200, "{answer}");
        if answer == text {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "still {answer}");
    }
}

#[tokio::test]
async fn a_change_is_followed_by_new_and_by_open_connections_and_no_request_fails() {
    let (first, second) = twins().await;
    let server = NameServer::start().await;
    server.say(HOST, at("127.0.0.1", 1));
    let sidegate = before(HOST, first.address.port(), &server, "1.1").await;
    assert_eq!(ask(&sidegate).await, (200, "first".to_owned()));
    server.say(HOST, at("127.0.0.2", 1));
    until_it_is(&sidegate, "second").await;
    let asked = first.asked();
    for _ in 0..20 {
        assert_eq!(ask(&sidegate).await.1, "second");
    }
    assert_eq!((first.asked(), first.connections(), second.connections()), (asked, 1, 1));
}

#[tokio::test]
async fn an_unused_connection_to_an_address_that_is_gone_is_closed_without_a_request() {
    let (first, _second) = twins().await;
    let server = NameServer::start().await;
    server.say(HOST, at("127.0.0.1", 1));
    let sidegate = before(HOST, first.address.port(), &server, "1.1").await;
    assert_eq!(ask(&sidegate).await.1, "first");
    sidegate.metric_becomes(r#"sidegate_upstream_connections{provider="scripted"}"#, 1.0).await;
    server.say(HOST, at("127.0.0.2", 1));
    sidegate.metric_becomes(r#"sidegate_upstream_connections{provider="scripted"}"#, 0.0).await;
}

#[tokio::test]
async fn a_connection_that_was_busy_during_the_change_is_not_used_again() {
    let (first, second) = twins().await;
    let finish = Gate::new();
    first.script(Script::on_request().write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfi").wait(&finish).write("rst"));
    let server = NameServer::start().await;
    server.say(HOST, at("127.0.0.1", 1));
    let sidegate = before(HOST, first.address.port(), &server, "1.1").await;
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    eventually("the request is there", || first.asked(), |asked| *asked == 1).await;
    server.say(HOST, at("127.0.0.2", 1));
    let asked = server.asked(HOST);
    eventually("the change is known", || server.asked(HOST), |now| *now > asked + 1).await;
    finish.open();
    assert_eq!(client.reply("GET").await.text(), "first");
    for _ in 0..3 {
        assert_eq!(ask(&sidegate).await.1, "second");
    }
    assert_eq!((first.connections(), second.connections()), (1, 1));
}

#[tokio::test]
async fn without_drain_open_connections_stay_where_they_are() {
    let (first, second) = twins().await;
    let server = NameServer::start().await;
    server.say(HOST, at("127.0.0.1", 1));
    let config = CONFIG.replace("min_ttl: 1s", "min_ttl: 1s, drain: false").replace("$SERVER", &server.address.to_string());
    let config = config.replace("$HOST", HOST).replace("$PORT", &first.address.port().to_string()).replace("$VERSION", "1.1");
    let sidegate = Sidegate::start(&config, server.address).await;
    assert_eq!(ask(&sidegate).await.1, "first");
    server.say(HOST, at("127.0.0.2", 1));
    let asked = server.asked(HOST);
    eventually("the change is known", || server.asked(HOST), |now| *now > asked + 1).await;
    assert_eq!(ask(&sidegate).await.1, "first");
    assert_eq!((first.connections(), second.connections()), (1, 0));
}

#[tokio::test]
async fn a_stream_from_an_old_address_ends_in_peace_while_the_next_goes_to_the_new() {
    let (first, second) = loop {
        let first = H2Provider::start(h2::server::Builder::new()).await;
        if let Some(second) = H2Provider::at("127.0.0.2", first.address.port(), h2::server::Builder::new()).await {
            break (first, second);
        }
    };
    let finish = Gate::new();
    first.script(H2Script::on_request().head(200).part("fir").wait(&finish).last("st"));
    second.otherwise(H2Script::ok("second"));
    let server = NameServer::start().await;
    server.say(HOST, at("127.0.0.1", 1));
    let sidegate = before(HOST, first.address.port(), &server, "2").await;
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    eventually("the stream is open", || first.open_connections(), |open| *open == 1).await;
    server.say(HOST, at("127.0.0.2", 1));
    // Whoever asks before the change is known waits in the same place as the first, and has no script there.
    let asked = server.asked(HOST);
    eventually("the change is known", || server.asked(HOST), |now| *now > asked + 1).await;
    assert_eq!(ask(&sidegate).await, (200, "second".to_owned()));
    finish.open();
    assert_eq!(client.reply("GET").await.text(), "first");
    eventually("the old connection closes", || first.open_connections(), |open| *open == 0).await;
    assert_eq!((first.connections(), second.connections()), (1, 1));
}

#[tokio::test]
async fn the_last_addresses_serve_while_the_name_server_fails_knows_nothing_or_is_silent() {
    for outage in [Says::Failure, Says::Nothing, Says::Silence] {
        // A new connection for each request, so that each needs an address.
        let provider = Provider::always(Script::ok("served").close()).await;
        let server = NameServer::start().await;
        server.say(HOST, at("127.0.0.1", 1));
        let sidegate = before(HOST, provider.address.port(), &server, "1.1").await;
        assert_eq!(ask(&sidegate).await, (200, "served".to_owned()));
        server.say(HOST, outage.clone());
        let before = server.asked(HOST);
        eventually("it is asked again", || server.asked(HOST), |asked| *asked >= before + 2).await;
        for _ in 0..5 {
            let begun = Instant::now();
            assert_eq!(ask(&sidegate).await, (200, "served".to_owned()), "{outage:?}");
            assert!(begun.elapsed() < Duration::from_secs(1), "{outage:?} made a request wait for {:?}", begun.elapsed());
        }
    }
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_a_502_and_is_asked_for_again_soon_but_not_by_each_request() {
    let provider = Provider::always(Script::ok("served")).await;
    let server = NameServer::start().await;
    let sidegate = before(HOST, provider.address.port(), &server, "1.1").await;
    assert_eq!(ask(&sidegate).await.0, 502);
    server.say(HOST, at("127.0.0.1", 1));
    let (mut refused, begun, asked) = (0, Instant::now(), server.asked(HOST));
    while ask(&sidegate).await != (200, "served".to_owned()) {
        refused += 1;
        assert!(begun.elapsed() < Duration::from_secs(10), "refused {refused} times");
    }
    // For both families, once.
    assert!(refused > 0 && server.asked(HOST) <= asked + 2, "{refused} refused, {} questions", server.asked(HOST) - asked);
}

#[tokio::test]
async fn an_answer_too_long_for_a_datagram_and_an_alias_are_understood() {
    let provider = Provider::always(Script::ok("served")).await;
    let server = NameServer::start().await;
    server.say("long.provider.test", Says::OverTcp(vec!["127.0.0.1".parse().unwrap()], 60));
    server.say("alias.provider.test", Says::Alias(HOST, 60));
    server.say(HOST, at("127.0.0.1", 60));
    for host in ["long.provider.test", "alias.provider.test"] {
        let sidegate = before(host, provider.address.port(), &server, "1.1").await;
        assert_eq!(ask(&sidegate).await, (200, "served".to_owned()), "{host}");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_for_ipv6_holds_nobody_up() {
    let provider = Provider::always(Script::ok("served")).await;
    let server = NameServer::start().await;
    server.say(HOST, Says::DeafToIpv6(vec!["127.0.0.1".parse().unwrap()], 60));
    let sidegate = before(HOST, provider.address.port(), &server, "1.1").await;
    // The connect timeout is 3 s, and the server's would be longer.
    assert_eq!(ask(&sidegate).await, (200, "served".to_owned()));
}

#[tokio::test]
async fn localhost_and_addresses_ask_nobody() {
    let provider = Provider::always(Script::ok("served")).await;
    let server = NameServer::start().await;
    for host in ["localhost", "127.0.0.1"] {
        let sidegate = before(host, provider.address.port(), &server, "1.1").await;
        assert_eq!(ask(&sidegate).await, (200, "served".to_owned()), "{host}");
        assert_eq!(server.asked(host), 0);
    }
}

#[tokio::test]
async fn one_question_serves_many_requests() {
    let provider = Provider::always(Script::ok("served").close()).await;
    let server = NameServer::start().await;
    server.say(HOST, at("127.0.0.1", 300));
    let sidegate = before(HOST, provider.address.port(), &server, "1.1").await;
    let asking: Vec<_> = (0..20).map(|_| Client::connect(sidegate.address)).collect();
    for client in asking {
        let mut client = client.await;
        client.get("/v1/models").await;
        assert_eq!(client.reply("GET").await.status(), 200);
    }
    assert_eq!(server.asked(HOST), 1);
}

#[tokio::test]
async fn the_system_can_resolve_instead() {
    let provider = Provider::always(Script::ok("served")).await;
    let server = NameServer::start().await;
    let config = CONFIG.replace(r#"servers: ["$SERVER"], min_ttl: 1s"#, "resolver: system").replace("$VERSION", "1.1");
    let config = config.replace("$HOST", "localhost").replace("$PORT", &provider.address.port().to_string());
    let sidegate = Sidegate::start(&config, server.address).await;
    assert_eq!(ask(&sidegate).await, (200, "served".to_owned()));
}

/// A port that takes no connection: its queue is full, and stays so while this lives.
struct Hole {
    _listener: tokio::net::TcpListener,
    _filling: Vec<tokio::net::TcpStream>,
}

impl Hole {
    async fn at(ip: &str, port: u16) -> Option<Self> {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        let address = SocketAddr::new(ip.parse::<IpAddr>().unwrap(), port);
        socket.bind(address).ok()?;
        let listener = socket.listen(1).ok()?;
        let mut filling = Vec::new();
        while let Ok(connected) = tokio::time::timeout(Duration::from_millis(300), tokio::net::TcpStream::connect(address)).await {
            filling.push(connected.unwrap());
        }
        Some(Self { _listener: listener, _filling: filling })
    }
}

/// What a request takes here is not known; how often one had to wait for the dead address is.
#[tokio::test]
async fn of_two_addresses_one_dead_the_living_serves_and_the_dead_is_tried_once() {
    let (provider, _hole) = loop {
        let provider = Provider::always(Script::ok("served").close()).await;
        if let Some(hole) = Hole::at("127.0.0.2", provider.address.port()).await {
            break (provider, hole);
        }
    };
    let server = NameServer::start().await;
    let both = ["127.0.0.2", "127.0.0.1"].map(|ip| ip.parse().unwrap());
    server.say(HOST, Says::Addresses(both.into(), 300));
    let sidegate = before(HOST, provider.address.port(), &server, "1.1").await;
    let mut waits = Vec::new();
    for _ in 0..50 {
        let begun = Instant::now();
        assert_eq!(ask(&sidegate).await, (200, "served".to_owned()));
        waits.push(begun.elapsed());
    }
    assert_eq!(provider.connections(), 50);
    let waited = waits.iter().filter(|wait| **wait >= Duration::from_millis(250)).count();
    assert!(waited < 10, "{waited} of 50 requests waited for the dead address: {waits:?}");
}
