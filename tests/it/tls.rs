//! The listener's certificate changes while clients come and stay, and clients show certificates of their own.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{ClientConfig, HandshakeKind, pki_types::CertificateDer};
use tokio::net::TcpStream;

use crate::support::{
    Client, Provider, Script, Sidegate,
    tls::{Authority, Identity, connect_with},
    within,
};

const RELOADED: &str = r#"sidegate_downstream_certificate_reloads_total{result="ok"}"#;
const FAILED: &str = r#"sidegate_downstream_certificate_reloads_total{result="failed"}"#;

async fn served() -> Provider {
    Provider::always(Script::ok("served")).await
}

/// Listens with the certificate and key of this folder, and as `more` says.
async fn listening(folder: &Path, more: &str, provider: &Provider) -> Sidegate {
    let config = format!(
        r#"
listen:
  address: "127.0.0.1:0"
  workers: 1
  tls: {{ certificate: {folder}/certificate.pem, key: {folder}/key.pem{more} }}
admin: {{ address: "127.0.0.1:0" }}
providers: {{ scripted: {{ base_url: "http://$UPSTREAM/v1", keys: [{{ value: "$KEY" }}] }} }}
routes: [{{ path: /v1, targets: [scripted] }}]
"#,
        folder = folder.display(),
    );
    Sidegate::start(&config, provider.address).await
}

fn write(folder: &Path, identity: &Identity) {
    fs::write(folder.join("certificate.pem"), identity.certificate.pem()).unwrap();
    fs::write(folder.join("key.pem"), identity.key.serialize_pem()).unwrap();
}

/// The certificate that a new handshake sees. A handshake that fails fails the test.
async fn shown(authority: &Authority, to: SocketAddr) -> CertificateDer<'static> {
    let stream = authority.connect(to, &["http/1.1"]).await;
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

async fn until_shown(authority: &Authority, to: SocketAddr, identity: &Identity) {
    let turned = async { while shown(authority, to).await != *identity.certificate.der() {} };
    within("the new certificate", turned).await;
}

#[tokio::test]
async fn a_new_certificate_is_shown_however_it_came_and_running_connections_stay() {
    let (provider, authority) = (served().await, Authority::new());
    let folder = tempfile::tempdir().unwrap();
    // As a mounted Secret: files that point through one link into the folder of a generation.
    let generation = |name: &str, identity: &Identity| -> PathBuf {
        fs::create_dir(folder.path().join(name)).unwrap();
        write(&folder.path().join(name), identity);
        symlink(name, folder.path().join("..tmp")).unwrap();
        fs::rename(folder.path().join("..tmp"), folder.path().join("..data")).unwrap();
        folder.path().join(name)
    };
    let (first, second, third, fourth) =
        (authority.issue("localhost"), authority.issue("localhost"), authority.issue("localhost"), authority.issue("localhost"));
    let now = generation("..1", &first);
    for name in ["certificate.pem", "key.pem"] {
        symlink(format!("..data/{name}"), folder.path().join(name)).unwrap();
    }
    let sidegate = listening(folder.path(), "", &provider).await;
    let mut running = Client::over(authority.connect(sidegate.address, &["http/1.1"]).await);
    let mut still_runs = async || {
        running.get("/v1/models").await;
        assert_eq!(running.reply("GET").await.text(), "served");
    };
    still_runs().await;
    assert_eq!(shown(&authority, sidegate.address).await, *first.certificate.der());

    write(&now, &second);
    until_shown(&authority, sidegate.address, &second).await;
    still_runs().await;

    generation("..2", &third);
    until_shown(&authority, sidegate.address, &third).await;
    still_runs().await;

    let aside = tempfile::tempdir_in(folder.path()).unwrap();
    write(aside.path(), &fourth);
    for name in ["certificate.pem", "key.pem"] {
        fs::rename(aside.path().join(name), folder.path().join(name)).unwrap();
    }
    until_shown(&authority, sidegate.address, &fourth).await;
    still_runs().await;
    sidegate.metric_becomes(RELOADED, 3.0).await;
    assert_eq!(sidegate.metric(FAILED).await, 0.0);
}

#[tokio::test]
async fn half_a_change_leaves_the_old_certificate_in_force_and_is_told_once() {
    let (provider, authority) = (served().await, Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (authority.issue("localhost"), authority.issue("localhost"));
    write(folder.path(), &first);
    let sidegate = listening(folder.path(), "", &provider).await;
    let certificate = folder.path().join("certificate.pem");

    fs::write(&certificate, second.certificate.pem()).unwrap();
    sidegate.metric_becomes(FAILED, 1.0).await;
    assert_eq!(shown(&authority, sidegate.address).await, *first.certificate.der());
    fs::write(&certificate, &second.certificate.pem()[..200]).unwrap();
    sidegate.metric_becomes(FAILED, 2.0).await;
    assert_eq!(shown(&authority, sidegate.address).await, *first.certificate.der());
    fs::remove_file(&certificate).unwrap();
    sidegate.metric_becomes(FAILED, 3.0).await;
    assert_eq!(shown(&authority, sidegate.address).await, *first.certificate.der());

    write(folder.path(), &second);
    until_shown(&authority, sidegate.address, &second).await;
    // It is in force before it is counted. Every state was met more often than it was told of.
    sidegate.metric_becomes(RELOADED, 1.0).await;
    assert_eq!(sidegate.metric(FAILED).await, 3.0);
}

#[tokio::test]
async fn the_end_of_the_certificate_in_force_can_be_watched() {
    let (provider, authority) = (served().await, Authority::new());
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &authority.issue("localhost"));
    let sidegate = listening(folder.path(), "", &provider).await;
    let series = "sidegate_downstream_certificate_not_after_seconds";
    // What rcgen gives who says nothing: 1 January 4096.
    assert_eq!(sidegate.metric(series).await, 67_090_118_400.0);
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2100, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    write(folder.path(), &Identity { certificate: params.self_signed(&key).unwrap(), key });
    sidegate.metric_becomes(series, 4_102_444_800.0).await;
}

/// Whether a client with this config is served, and whether it resumed a session.
async fn is_served(config: &Arc<ClientConfig>, to: SocketAddr) -> (bool, bool) {
    let stream = connect_with(Arc::clone(config), TcpStream::connect(to).await.unwrap()).await;
    let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
    let mut client = Client::over(stream);
    client.get("/v1/models").await;
    (client.answer("GET").await.is_ok_and(|reply| reply.text() == "served"), resumed)
}

#[tokio::test]
async fn a_session_is_resumed_across_a_change_of_certificate() {
    let (provider, authority) = (served().await, Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (authority.issue("localhost"), authority.issue("localhost"));
    write(folder.path(), &first);
    let sidegate = listening(folder.path(), "", &provider).await;
    let client = Arc::new(authority.client(None, &["http/1.1"]));
    assert_eq!(is_served(&client, sidegate.address).await, (true, false));
    assert_eq!(is_served(&client, sidegate.address).await, (true, true));
    write(folder.path(), &second);
    until_shown(&authority, sidegate.address, &second).await;
    assert_eq!(is_served(&client, sidegate.address).await, (true, true));
}

#[tokio::test]
async fn with_an_authority_for_clients_each_must_show_its_certificate_every_time() {
    let (provider, authority) = (served().await, Authority::new());
    let (ours, others) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &authority.issue("localhost"));
    let roots = ours.roots();
    let sidegate = listening(folder.path(), &format!(", client_ca: {}", roots.display()), &provider).await;
    let client = |identity: Option<&Identity>| Arc::new(authority.client(identity, &["http/1.1"]));
    let (nobody, one, other) = (client(None), client(Some(&ours.issue("app"))), client(Some(&others.issue("app"))));
    let refused = r#"sidegate_downstream_connections_refused_total{reason="handshake"}"#;

    for (config, served, count) in [(&nobody, false, 1.0), (&one, true, 1.0), (&one, true, 1.0), (&other, false, 2.0)] {
        assert_eq!(is_served(config, sidegate.address).await, (served, false));
        sidegate.metric_becomes(refused, count).await;
    }
    fs::write(&roots, others.pem()).unwrap();
    sidegate.metric_becomes(RELOADED, 1.0).await;
    for (config, served) in [(&nobody, false), (&one, false), (&other, true)] {
        assert_eq!(is_served(config, sidegate.address).await, (served, false));
    }
    assert_eq!(provider.asked(), 3);
}
