//! The connections that a tunnel runs over: TLS on either side, HTTP/2 for everything else, and their number.

use std::net::SocketAddr;

use super::{ASKING, FRAME, GRANTED, IN_FLIGHT, Peer, REALTIME, comes, ends, line, open};
use crate::support::{
    Client, H2Client, H2Provider, H2Script, Provider, Script, Sidegate, h2_client,
    tls::{Authority, Handshake, TlsFront},
};

/// Connections to the provider, as the metrics say.
const UPSTREAM: &str = r#"sidegate_upstream_connections{provider="scripted"}"#;

/// Before a provider that is reached as `https://localhost`.
async fn over_tls(authority: &Authority, version: &str, front: &TlsFront) -> Sidegate {
    let config = format!(
        r#"
listen: {{ address: "127.0.0.1:0", workers: 1 }}
admin: {{ address: "127.0.0.1:0" }}
providers:
  scripted: {{ base_url: "https://localhost:{}/v1", http_version: "{version}", keys: [{{ value: "$KEY" }}], tls: {{ roots: {} }} }}
routes: [{{ path: /v1, targets: [scripted] }}]
retry: {{ attempts: 1 }}
"#,
        front.address.port(),
        authority.roots().display()
    );
    Sidegate::start(&config, front.address).await
}

#[tokio::test]
async fn a_provider_that_prefers_http_2_is_asked_over_http_1() {
    let authority = Authority::new();
    for version in ["auto", "1.1", "2"] {
        let peer = Peer::start().await;
        let front = TlsFront::before(peer.address(), authority.server("localhost", &["h2", "http/1.1"])).await;
        let sidegate = over_tls(&authority, version, &front).await;
        let (mut client, mut provider) = open(&sidegate, &peer).await;
        client.send(FRAME).await;
        comes(&mut provider, FRAME).await;
        provider.write(FRAME).await.unwrap();
        comes(&mut client.wire, FRAME).await;
        let agreed = Handshake::Agreed { protocol: Some("http/1.1".to_owned()), resumed: false };
        assert_eq!(front.handshakes(), [agreed], "{version}");
        drop(provider);
        ends(&mut client.wire).await;
        drop(client);
        assert_eq!(line(&sidegate).await["end"], "complete", "{version}");
    }
}

/// With a listener over TLS.
async fn behind_tls(authority: &Authority, provider: SocketAddr) -> Sidegate {
    let (certificate, key) = authority.files("localhost");
    let config = format!(
        r#"
listen: {{ address: "127.0.0.1:0", workers: 1, tls: {{ certificate: {}, key: {} }} }}
admin: {{ address: "127.0.0.1:0" }}
providers:
  scripted: {{ base_url: "http://$UPSTREAM/v1", keys: [{{ value: "$KEY" }}] }}
routes: [{{ path: /v1, targets: [scripted] }}]
retry: {{ attempts: 1 }}
"#,
        certificate.display(),
        key.display()
    );
    Sidegate::start(&config, provider).await
}

#[tokio::test]
async fn a_client_over_tls_sees_an_end_in_order_and_one_that_is_not() {
    let authority = Authority::new();
    let peer = Peer::start().await;
    let sidegate = behind_tls(&authority, peer.address()).await;
    for in_order in [true, false] {
        let mut client = Client::over(authority.connect(sidegate.address, &["http/1.1"]).await);
        client.get_with(REALTIME, ASKING).await;
        let mut provider = peer.granting().await;
        assert_eq!(client.head().await.status(), 101);
        client.send(FRAME).await;
        comes(&mut provider, FRAME).await;
        provider.write(FRAME).await.unwrap();
        comes(&mut client.wire, FRAME).await;
        if !in_order {
            socket2::SockRef::from(&provider.stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        }
        drop(provider);
        // Without TLS's own end, what ends may have been cut.
        let end = crate::support::within("the end", client.wire.fill()).await;
        assert_eq!(end.is_ok(), in_order, "{end:?}");
    }
}

#[tokio::test]
async fn a_client_over_tls_that_is_refused_sees_an_end_in_order() {
    let authority = Authority::new();
    let provider = Provider::always(Script::reply("HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!")).await;
    let sidegate = behind_tls(&authority, provider.address).await;
    let mut client = Client::over(authority.connect(sidegate.address, &["http/1.1"]).await);
    client.get_with(REALTIME, &ASKING.replace("Upgrade\r\nUpgrade", "Upgrade, close\r\nUpgrade")).await;
    let reply = client.reply("GET").await;
    assert_eq!((reply.status(), reply.text().as_str()), (403, "no!"));
    assert_eq!(crate::support::within("the end", client.wire.fill()).await.unwrap(), 0);
}

#[tokio::test]
async fn http_2_clients_get_the_reply_to_a_plain_request() {
    let provider = Provider::always(Script::ok("plain")).await;
    let sidegate = Sidegate::before(provider.address).await;
    let client = H2Client::connect(sidegate.address).await;
    let reply = h2_client::head(client.send(h2_client::get(REALTIME)).await).await;
    assert_eq!(reply.status(), 200);
}

/// One worker before a provider with room for so many connections.
async fn with_room_for(max: usize, peer: std::net::SocketAddr) -> Sidegate {
    let config = format!(
        r#"
listen: {{ address: "127.0.0.1:0", workers: 1 }}
admin: {{ address: "127.0.0.1:0" }}
providers:
  scripted: {{ base_url: "http://$UPSTREAM/v1", http_version: "1.1", keys: [{{ value: "$KEY" }}], connections: {{ max: {max} }} }}
routes: [{{ path: /v1, targets: [scripted] }}]
retry: {{ attempts: 1 }}
"#
    );
    Sidegate::start(&config, peer).await
}

#[tokio::test]
async fn a_tunnel_takes_the_place_of_an_unused_connection_and_gives_it_back() {
    let provider = Provider::start().await;
    let sidegate = with_room_for(1, provider.address).await;
    let mut plain = Client::connect(sidegate.address).await;
    provider.script(Script::ok("before"));
    plain.get("/v1/models").await;
    assert_eq!(plain.reply("GET").await.text(), "before");

    provider.script(Script::on_request().write(GRANTED).until_left());
    let mut client = Client::connect(sidegate.address).await;
    client.get_with(REALTIME, ASKING).await;
    assert_eq!(client.head().await.status(), 101);
    assert_eq!(provider.connections(), 2);

    // Who comes now waits for the tunnel's end.
    provider.script(Script::ok("behind"));
    plain.get("/v1/models").await;
    sidegate.metric_becomes(IN_FLIGHT, 2.0).await;
    drop(client);
    assert_eq!(plain.reply("GET").await.text(), "behind");
}

#[tokio::test]
async fn a_tunnel_takes_the_place_of_an_http_2_connection_without_a_stream() {
    let authority = Authority::new();
    let ordinary = H2Provider::always(h2::server::Builder::new(), H2Script::ok("before")).await;
    let peer = Peer::start().await;
    let front = TlsFront::before_both(ordinary.address, peer.address(), authority.server("localhost", &["h2", "http/1.1"])).await;
    let config = format!(
        r#"
listen: {{ address: "127.0.0.1:0", workers: 1 }}
admin: {{ address: "127.0.0.1:0" }}
providers:
  scripted: {{ base_url: "https://localhost:{}/v1", keys: [{{ value: "$KEY" }}], connections: {{ max: 1 }}, tls: {{ roots: {} }} }}
routes: [{{ path: /v1, targets: [scripted] }}]
retry: {{ attempts: 1 }}
"#,
        front.address.port(),
        authority.roots().display()
    );
    let sidegate = Sidegate::start(&config, front.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    assert_eq!(client.reply("GET").await.text(), "before");
    let (mut tunnel, mut provider) = open(&sidegate, &peer).await;
    tunnel.send(FRAME).await;
    comes(&mut provider, FRAME).await;
    // And gives it back to one.
    drop((tunnel, provider));
    client.get("/v1/models").await;
    assert_eq!(client.reply("GET").await.text(), "before");
    assert_eq!(front.handshakes().len(), 3);
}

#[tokio::test]
async fn who_leaves_while_waiting_for_a_place_takes_none() {
    let peer = Peer::start().await;
    let sidegate = with_room_for(1, peer.address()).await;
    let (first, first_provider) = open(&sidegate, &peer).await;
    let mut waiting = Vec::new();
    for count in [2.0, 3.0] {
        let mut client = Client::connect(sidegate.address).await;
        client.get_with(REALTIME, ASKING).await;
        sidegate.metric_becomes(IN_FLIGHT, count).await;
        waiting.push(client);
    }
    drop(waiting.remove(0));
    sidegate.metric_becomes(IN_FLIGHT, 2.0).await;
    drop((first, first_provider));
    let provider = peer.granting().await;
    assert_eq!(waiting[0].head().await.status(), 101);
    sidegate.metric_becomes(UPSTREAM, 1.0).await;
    drop((waiting, provider));
    sidegate.metric_becomes(UPSTREAM, 0.0).await;
    sidegate.metric_becomes(IN_FLIGHT, 0.0).await;
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_a_502() {
    let peer = Peer::start().await;
    let sidegate = peer.sidegate("").await;
    drop(peer);
    let mut client = Client::connect(sidegate.address).await;
    client.get_with(REALTIME, ASKING).await;
    assert_eq!(client.reply("GET").await.status(), 502);
    sidegate.metric_becomes(r#"sidegate_upstream_connects_total{provider="scripted",result="failed"}"#, 1.0).await;
    assert_eq!(line(&sidegate).await["error"], "upstream_unavailable");
}

#[tokio::test]
async fn a_second_tunnel_waits_for_the_place_of_the_first() {
    let peer = Peer::start().await;
    let sidegate = with_room_for(1, peer.address()).await;
    let (first, first_provider) = open(&sidegate, &peer).await;
    let mut second = Client::connect(sidegate.address).await;
    second.get_with(REALTIME, ASKING).await;
    sidegate.metric_becomes(IN_FLIGHT, 2.0).await;
    drop((first, first_provider));
    let _provider = peer.granting().await;
    assert_eq!(second.head().await.status(), 101);
}
