//! Clients that a certificate names: over both protocols, by each kind of name, for as long as their connection lasts.

use std::{fs, net::SocketAddr, sync::Arc};

use rcgen::{CertificateParams, DistinguishedName, DnType, SanType};
use serde_json::Value;
use sidegate::config::KeyHash;
use tokio::net::TcpStream;

use super::KEY;
use crate::support::{
    Client, H2Client, Provider, Script, Sidegate,
    tls::{Authority, Identity, connect_with},
    within,
};

/// A listener over TLS that asks for certificates of `clients`.
struct Guarded {
    sidegate: Sidegate,
    listener: Authority,
    clients: Authority,
}

impl Guarded {
    async fn start(section: &str, provider: SocketAddr) -> Self {
        let (listener, clients) = (Authority::new(), Authority::new());
        let (certificate, key) = listener.files("localhost");
        let config = format!(
            r#"
listen:
  address: "127.0.0.1:0"
  workers: 1
  tls: {{ certificate: {}, key: {}, client_ca: {} }}
admin: {{ address: "127.0.0.1:0" }}
providers: {{ scripted: {{ base_url: "http://$UPSTREAM/v1", keys: [{{ value: "$KEY" }}] }} }}
routes: [{{ path: /v1, targets: [scripted] }}]
{section}
"#,
            certificate.display(),
            key.display(),
            clients.roots().display(),
        );
        let sidegate = Sidegate::start(&config, provider).await;
        Self { sidegate, listener, clients }
    }

    /// A certificate with these alternative names and this common name.
    fn certificate(&self, names: &[SanType], common_name: Option<&str>) -> Identity {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.to_vec();
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        self.clients.issue_as(&params)
    }

    /// A connection whose client shows this.
    async fn connect(&self, identity: &Identity, protocol: &str) -> tokio_rustls::client::TlsStream<TcpStream> {
        let config = Arc::new(self.listener.client(Some(identity), &[protocol]));
        connect_with(config, within("a connection", TcpStream::connect(self.sidegate.address)).await.unwrap()).await
    }

    /// What the log says of the next request, the `line`th.
    async fn line(&self, line: usize) -> Value {
        self.sidegate.log(line).await.pop().unwrap()
    }
}

fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

const SECTION: &str = "clients: { mtls: { tier: standard, names: [{ name: 'spiffe://prod/ns/web/*', client: web, tier: premium }] } }";

#[tokio::test]
async fn a_certificate_names_its_client_over_both_protocols() {
    let provider = Provider::always(Script::ok("served")).await;
    let guarded = Guarded::start(SECTION, provider.address).await;
    let mut line = 0;
    for (names, common_name, client, tier) in [
        (vec![uri("spiffe://prod/ns/web/1"), dns("web.example")], Some("cn"), "web", "premium"),
        (vec![uri("spiffe://prod/ns/app")], Some("cn"), "spiffe://prod/ns/app", "standard"),
        (vec![dns("App.Example"), dns("other.example")], Some("cn"), "app.example", "standard"),
        (vec![], Some("Jürgen \"Q\""), "Jürgen \"Q\"", "standard"),
    ] {
        let identity = guarded.certificate(&names, common_name);
        let mut h1 = Client::over(guarded.connect(&identity, "http/1.1").await);
        let h2 = H2Client::over(guarded.connect(&identity, "h2").await, &h2::client::Builder::new()).await;
        // For the whole connection, not for its first request alone.
        for _ in 0..2 {
            h1.get("/v1/models").await;
            assert_eq!(h1.reply("GET").await.text(), "served");
            let request = http::Request::get("https://sidegate.test/v1/models").body("").unwrap();
            assert_eq!(h2.ask(request).await.text(), "served");
            line += 2;
            for entry in &guarded.sidegate.log(line).await[line - 2..] {
                assert_eq!((entry["client"].as_str(), entry["tier"].as_str()), (Some(client), Some(tier)), "{entry}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_key_comes_before_a_certificate_and_a_wrong_one_is_not_made_up_for() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let keys = format!("keys: [{{ name: mobile, sha256: {}, tier: gold }}], mtls", KeyHash::of(KEY.as_bytes()));
    let guarded = Guarded::start(&SECTION.replace("mtls", &keys), provider.address).await;
    let identity = guarded.certificate(&[uri("spiffe://prod/ns/web/1")], None);
    let mut client = Client::over(guarded.connect(&identity, "http/1.1").await);
    for (n, (fields, status, name, tier)) in [
        ("", 200, Some("web"), Some("premium")),
        (&*format!("Authorization: Bearer {KEY}\r\n"), 200, Some("mobile"), Some("gold")),
        // What a provider's SDK sends, because it must send something.
        ("Authorization: Bearer sk-placeholder\r\n", 200, Some("web"), Some("premium")),
        ("Authorization: Bearer sg-wrong\r\n", 401, None, None),
    ]
    .into_iter()
    .enumerate()
    {
        client.get_with("/v1/models", fields).await;
        assert_eq!(client.reply("GET").await.status(), status, "{fields}");
        let line = guarded.line(n + 1).await;
        assert_eq!((line["client"].as_str(), line["tier"].as_str()), (name, tier), "{fields}");
    }
    // The name of a client is nobody else's business.
    for _ in 0..provider.asked() {
        let seen = provider.request().await.bytes();
        assert!(memchr::memmem::find(&seen, b"spiffe").is_none(), "{}", seen.escape_ascii());
    }
}

#[tokio::test]
async fn a_certificate_that_no_rule_fits_is_a_strangers_unless_all_count() {
    let provider = Provider::always(Script::ok("served")).await;
    let rules = "mtls: { names: [{ name: 'spiffe://prod/*', tier: premium }] }";
    for (anonymous, stranger, tier) in [("deny", 401, None), ("free", 200, Some("free"))] {
        let guarded = Guarded::start(&format!("clients: {{ anonymous: {anonymous}, {rules} }}"), provider.address).await;
        for (n, (name, status, client, tier)) in
            [("spiffe://prod/web", 200, Some("spiffe://prod/web"), Some("premium")), ("spiffe://test/web", stranger, None, tier)]
                .into_iter()
                .enumerate()
        {
            let identity = guarded.certificate(&[uri(name)], Some("prod"));
            let mut asking = Client::over(guarded.connect(&identity, "http/1.1").await);
            asking.get("/v1/models").await;
            assert_eq!(asking.reply("GET").await.status(), status, "{name}");
            let line = guarded.line(n + 1).await;
            assert_eq!((line["client"].as_str(), line["tier"].as_str()), (client, tier), "{name}");
        }
    }
}

/// A connection that was there before is judged by the rules in force, like any other.
#[tokio::test]
async fn a_change_of_the_rules_holds_for_connections_that_are_there() {
    let provider = Provider::always(Script::ok("served")).await;
    let (listener, clients) = (Authority::new(), Authority::new());
    let (certificate, key) = listener.files("localhost");
    let roots = clients.roots();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.yaml");
    let write = |tier: &str| {
        let config = format!(
            "listen: {{ address: '127.0.0.1:0', workers: 1, tls: {{ certificate: {}, key: {}, client_ca: {} }} }}\n\
             admin: {{ address: '127.0.0.1:0' }}\n\
             providers: {{ scripted: {{ base_url: 'http://{}/v1', keys: [{{ value: sk-pool }}] }} }}\n\
             routes: [{{ path: /v1, targets: [scripted] }}]\n\
             clients: {{ mtls: {{ tier: {tier} }} }}\n",
            certificate.display(),
            key.display(),
            roots.display(),
            provider.address,
        );
        fs::write(&file, config).unwrap();
    };
    write("first");
    let sidegate = Sidegate::from_file(&file, false);
    let identity = clients.issue("web.example");
    let config = Arc::new(listener.client(Some(&identity), &["http/1.1"]));
    let mut client = Client::over(connect_with(config, TcpStream::connect(sidegate.address).await.unwrap()).await);
    for (n, tier) in ["first", "second"].into_iter().enumerate() {
        write(tier);
        sidegate.reload();
        client.get("/v1/models").await;
        assert_eq!(client.reply("GET").await.text(), "served");
        let line = sidegate.log(n + 1).await.pop().unwrap();
        assert_eq!((line["client"].as_str(), line["tier"].as_str()), (Some("web.example"), Some(tier)));
    }
}

#[tokio::test]
async fn the_client_of_a_key_and_that_of_a_certificate_are_two_whatever_they_are_called() {
    let provider = Provider::always(Script::ok("served")).await;
    let section = format!(
        "clients: {{ keys: [{{ name: web, sha256: {}, tier: premium }}], mtls: {{ tier: free, names: [{{ name: 'spiffe://*', client: web }}] }} }}\n\
         limits: [{{ name: once, per: client, requests: 1/1h }}]\n",
        KeyHash::of(KEY.as_bytes()),
    );
    let guarded = Guarded::start(&section, provider.address).await;
    let (mapped, another) = (guarded.certificate(&[uri("spiffe://a")], None), guarded.certificate(&[uri("spiffe://b")], None));
    let plain = guarded.certificate(&[], Some("web"));
    let keyed = format!("authorization: Bearer {KEY}\r\n");
    for (identity, fields, status) in [
        (&plain, keyed.as_str(), 200),
        (&mapped, &keyed, 429),
        (&mapped, "", 200),
        (&another, "", 429),
        (&plain, "", 200),
        (&plain, "", 429),
    ] {
        let mut client = Client::over(guarded.connect(identity, "http/1.1").await);
        client.get_with("/v1/models", fields).await;
        assert_eq!(client.reply("GET").await.status(), status, "{fields}");
    }
}
