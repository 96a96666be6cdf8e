//! A provider's key is sent over a connection whose certificate was verified, and over no other.

use std::{net::SocketAddr, path::Path};

use crate::support::{
    Client, H2Provider, H2Script, Provider, Script, Sidegate,
    tls::{Authority, Handshake, TlsFront},
};

/// Before a provider that is reached as `https://localhost`, and must prove it to these roots.
async fn trusting(roots: &Path, more: &str, front: SocketAddr) -> Sidegate {
    let config = format!(
        r#"
listen: {{ address: "127.0.0.1:0", workers: 1 }}
admin: {{ address: "127.0.0.1:0" }}
providers:
  scripted: {{ base_url: "https://localhost:{}/v1", keys: [{{ value: "$KEY" }}], tls: {{ roots: {} }}, {more} }}
routes: [{{ path: /v1, targets: [scripted] }}]
"#,
        front.port(),
        roots.display()
    );
    Sidegate::start(&config, front).await
}

async fn ask(sidegate: &Sidegate) -> (u16, String) {
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    let reply = client.reply("GET").await;
    (reply.status(), reply.text())
}

fn agreed(protocol: Option<&str>) -> Handshake {
    Handshake::Agreed { protocol: protocol.map(str::to_owned), resumed: false }
}

#[tokio::test]
async fn the_protocol_is_agreed_on_by_alpn() {
    let authority = Authority::new();
    let provider = Provider::always(Script::ok("over 1.1")).await;
    let h2_provider = H2Provider::always(h2::server::Builder::new(), H2Script::ok("over 2")).await;
    for (offered, pinned, spoken) in [
        (&["h2", "http/1.1"][..], "auto", "h2"),
        (&["http/1.1"], "auto", "http/1.1"),
        (&["h2", "http/1.1"], "1.1", "http/1.1"),
        (&["h2", "http/1.1"], "2", "h2"),
    ] {
        let (behind, text) = if spoken == "h2" { (h2_provider.address, "over 2") } else { (provider.address, "over 1.1") };
        let front = TlsFront::before(behind, authority.server("localhost", offered)).await;
        let sidegate = trusting(&authority.roots(), &format!("http_version: \"{pinned}\""), front.address).await;
        assert_eq!(ask(&sidegate).await, (200, text.to_owned()), "{offered:?} {pinned}");
        assert_eq!(front.handshakes(), [agreed(Some(spoken))], "{offered:?} {pinned}");
    }
}

#[tokio::test]
async fn a_provider_without_alpn_speaks_http_1_unless_2_is_asked_for() {
    let authority = Authority::new();
    let provider = Provider::always(Script::ok("over 1.1")).await;
    let front = TlsFront::before(provider.address, authority.server("localhost", &[])).await;
    let sidegate = trusting(&authority.roots(), "http_version: auto", front.address).await;
    assert_eq!(ask(&sidegate).await, (200, "over 1.1".to_owned()));
    let sidegate = trusting(&authority.roots(), "http_version: 2", front.address).await;
    assert_eq!(ask(&sidegate).await.0, 502);
    let front = TlsFront::before(provider.address, authority.server("localhost", &["http/1.1"])).await;
    let sidegate = trusting(&authority.roots(), "http_version: 2", front.address).await;
    assert_eq!(ask(&sidegate).await.0, 502);
    assert_eq!(provider.asked(), 1);
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_fails_closed_and_the_key_stays() {
    let (ours, others) = (Authority::new(), Authority::new());
    for (what, config) in [
        ("another authority", others.server("localhost", &["http/1.1"])),
        ("another name", ours.server("elsewhere.test", &["http/1.1"])),
        ("a name that ends alike", ours.server("evil-localhost", &["http/1.1"])),
    ] {
        let provider = Provider::start().await;
        let front = TlsFront::before(provider.address, config).await;
        let sidegate = trusting(&ours.roots(), "http_version: auto", front.address).await;
        let (status, text) = ask(&sidegate).await;
        assert_eq!((status, text.contains("upstream_unavailable")), (502, true), "{what}: {text}");
        let line = sidegate.log(1).await.pop().unwrap();
        assert_eq!((&line["error"], &line["bytes_in"]), (&"upstream_unavailable".into(), &0.into()), "{what}");
        sidegate.metric_becomes(r#"sidegate_upstream_connects_total{provider="scripted",result="failed"}"#, 1.0).await;
        assert_eq!((provider.connections(), front.handshakes()), (0, vec![Handshake::Failed]), "{what}: something was sent");
    }
}

#[tokio::test]
async fn plain_text_where_tls_is_asked_for_is_a_502() {
    let authority = Authority::new();
    let provider = Provider::always(Script::on_first_byte().write("HTTP/1.1 400 Bad Request\r\n\r\n").until_left()).await;
    let sidegate = trusting(&authority.roots(), "http_version: auto", provider.address).await;
    assert_eq!(ask(&sidegate).await.0, 502);
}

#[tokio::test]
async fn a_second_connection_resumes_the_session_of_the_first() {
    let authority = Authority::new();
    let provider = Provider::always(Script::ok("served").close()).await;
    let mut config = authority.server("localhost", &["http/1.1"]);
    config.send_tls13_tickets = 4;
    let front = TlsFront::before(provider.address, config).await;
    let sidegate = trusting(&authority.roots(), "http_version: auto", front.address).await;
    for _ in 0..3 {
        assert_eq!(ask(&sidegate).await, (200, "served".to_owned()));
    }
    let resumed = Handshake::Agreed { protocol: Some("http/1.1".to_owned()), resumed: true };
    assert_eq!(front.handshakes(), [agreed(Some("http/1.1")), resumed.clone(), resumed]);
}

/// RFC 9112 §9.8: whoever ends the bytes without ending TLS may have cut them.
#[tokio::test]
async fn a_reply_that_ends_with_its_connection_and_not_with_tls_looks_broken_off() {
    let authority = Authority::new();
    let provider = Provider::always(Script::reply("HTTP/1.1 200 OK\r\n\r\nsome of it").reset()).await;
    let front = TlsFront::before(provider.address, authority.server("localhost", &["http/1.1"])).await;
    let sidegate = trusting(&authority.roots(), "http_version: auto", front.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    let reply = client.reply("GET").await;
    assert_eq!((reply.status(), reply.is_complete()), (200, false), "{}", reply.text());
    assert_eq!(sidegate.log(1).await[0]["end"], "truncated");
}
