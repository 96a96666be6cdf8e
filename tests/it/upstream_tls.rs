//! A provider's key is sent over a connection whose certificate was verified, and over no other.

use std::{fs, net::SocketAddr, path::Path};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd};

use crate::support::{
    Client, H2Provider, H2Script, Provider, Script, Sidegate,
    tls::{self, Authority, Handshake, Identity, TlsFront},
    within,
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
retry: {{ attempts: 1 }}
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
    let valid = |from: i32, until: i32| {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        params
    };
    let mut for_clients = valid(2020, 4000);
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let mut for_others = valid(2020, 4000);
    for_others.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let self_signed = Identity { certificate: valid(2020, 4000).self_signed(&key).unwrap(), key };
    for (what, config, failure) in [
        ("another authority", others.server("localhost", &["http/1.1"]), "certificate_untrusted"),
        ("nobody but itself", tls::server(&self_signed, &["http/1.1"]), "certificate_untrusted"),
        ("another name", ours.server("elsewhere.test", &["http/1.1"]), "certificate_wrong_name"),
        ("a name that ends alike", ours.server("evil-localhost", &["http/1.1"]), "certificate_wrong_name"),
        ("its time is over", ours.server_with(&valid(2020, 2021)), "certificate_expired"),
        ("its time has not come", ours.server_with(&valid(3999, 4000)), "certificate_not_yet_valid"),
        ("another use", ours.server_with(&for_clients), "certificate_invalid"),
        ("an authority's own", ours.server_with(&for_others), "certificate_invalid"),
    ] {
        let provider = Provider::start().await;
        let front = TlsFront::before(provider.address, config).await;
        let sidegate = trusting(&ours.roots(), "http_version: auto", front.address).await;
        let (status, text) = ask(&sidegate).await;
        assert_eq!((status, text.contains("upstream_unavailable")), (502, true), "{what}: {text}");
        let line = sidegate.log(1).await.pop().unwrap();
        assert_eq!((&line["error"], &line["bytes_in"]), (&"upstream_unavailable".into(), &0.into()), "{what}");
        assert_eq!(line["failure"], failure, "{what}");
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

#[tokio::test]
async fn other_roots_count_for_the_next_connection_without_a_restart() {
    let (ours, others) = (Authority::new(), Authority::new());
    // Each exchange needs a connection of its own.
    let provider = Provider::always(Script::ok("served").close()).await;
    let front = TlsFront::before(provider.address, others.server("localhost", &["http/1.1"])).await;
    let roots = ours.roots();
    let sidegate = trusting(&roots, "http_version: auto", front.address).await;
    let reloads = |result: &str| format!("sidegate_upstream_certificate_reloads_total{{provider=\"scripted\",result=\"{result}\"}}");
    assert_eq!(ask(&sidegate).await.0, 502);
    fs::write(&roots, others.pem()).unwrap();
    sidegate.metric_becomes(&reloads("ok"), 1.0).await;
    assert_eq!(ask(&sidegate).await, (200, "served".to_owned()));
    // What can't be used changes nothing.
    fs::write(&roots, &others.pem()[..100]).unwrap();
    sidegate.metric_becomes(&reloads("failed"), 1.0).await;
    assert_eq!(ask(&sidegate).await, (200, "served".to_owned()));
    // Nor does a session remain that was agreed on under roots that are gone.
    fs::write(&roots, ours.pem()).unwrap();
    sidegate.metric_becomes(&reloads("ok"), 2.0).await;
    assert_eq!((ask(&sidegate).await.0, provider.asked()), (502, 2));
}

#[tokio::test]
async fn connections_under_roots_that_are_gone_carry_nothing_new() {
    let h1 = Provider::always(Script::ok("served")).await;
    let h2 = H2Provider::always(h2::server::Builder::new(), H2Script::ok("served")).await;
    let story = async |behind: SocketAddr, protocol: &str| {
        let (ours, others) = (Authority::new(), Authority::new());
        let front = TlsFront::before(behind, ours.server("localhost", &[protocol])).await;
        let roots = ours.roots();
        let sidegate = trusting(&roots, "http_version: auto", front.address).await;
        for _ in 0..2 {
            assert_eq!(ask(&sidegate).await, (200, "served".to_owned()), "{protocol}");
        }
        assert_eq!(front.handshakes().len(), 1, "{protocol}");
        fs::write(&roots, others.pem()).unwrap();
        let retired = async { while ask(&sidegate).await.0 != 502 {} };
        within("the end of the connection", retired).await;
    };
    tokio::join!(story(h1.address, "http/1.1"), story(h2.address, "h2"));
}

#[tokio::test]
async fn our_own_certificate_is_shown_to_the_provider_and_renewed() {
    let authority = Authority::new();
    let provider = Provider::always(Script::ok("served").close()).await;
    let front = TlsFront::before(provider.address, authority.server_for_certified()).await;
    let sidegate = trusting(&authority.roots(), "http_version: auto", front.address).await;
    // A provider may refuse us only after our side of the handshake is done: either way nothing gets through.
    assert_eq!((ask(&sidegate).await.0, provider.connections()), (502, 0));
    assert_eq!(sidegate.log(1).await[0]["failure"], "tls");
    drop(sidegate);

    let write = |identity: &Identity| {
        fs::write(authority.folder().join("ours.pem"), identity.certificate.pem()).unwrap();
        fs::write(authority.folder().join("ours.key"), identity.key.serialize_pem()).unwrap();
    };
    let (first, second) = (authority.issue("sidegate"), authority.issue("sidegate"));
    write(&first);
    let config = format!(
        r#"
listen: {{ address: "127.0.0.1:0", workers: 1 }}
admin: {{ address: "127.0.0.1:0" }}
providers:
  scripted:
    base_url: "https://localhost:{}/v1"
    keys: [{{ value: "$KEY" }}]
    tls: {{ roots: {folder}/roots.pem, certificate: {folder}/ours.pem, key: {folder}/ours.key }}
routes: [{{ path: /v1, targets: [scripted] }}]
retry: {{ attempts: 1 }}
"#,
        front.address.port(),
        folder = authority.folder().display(),
    );
    let sidegate = Sidegate::start(&config, front.address).await;
    assert_eq!(ask(&sidegate).await, (200, "served".to_owned()));
    assert!(sidegate.metric("sidegate_upstream_certificate_not_after_seconds{provider=\"scripted\"}").await > 1e9);
    write(&second);
    sidegate.metric_becomes("sidegate_upstream_certificate_reloads_total{provider=\"scripted\",result=\"ok\"}", 1.0).await;
    assert_eq!(ask(&sidegate).await, (200, "served".to_owned()));
    assert_eq!(front.shown(), [first.certificate.der().clone(), second.certificate.der().clone()]);
}
