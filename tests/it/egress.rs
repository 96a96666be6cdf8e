//! Providers behind an egress proxy: from the environment or from the config, by tunnel, with the proxy's credentials kept.

use std::net::SocketAddr;

use sidegate::config::{self, Environment};

use crate::support::{Client, EgressProxy, Provider, Script, Sidegate, proxy::POOL_KEY, tls::Authority, tls::TlsFront};

const CONFIG: &str = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
providers:
  scripted:
    base_url: $URL
    keys: [{ name: pool, value: "$KEY" }]
    $MORE
routes:
  - { path: /v1, targets: [scripted] }
"#;

/// A name that no name server knows: only a proxy can reach it.
const FAR: &str = "http://api.provider.invalid/v1";

fn config(url: &str, more: &str) -> String {
    CONFIG.replace("$URL", url).replace("$MORE", more)
}

fn variables(proxy: SocketAddr) -> Environment {
    let url = format!("http://user:p%40ss@{proxy}");
    Environment::from([("HTTPS_PROXY", url.as_str()), ("http_proxy", &url), ("NO_PROXY", "spared.invalid")])
}

async fn ask(sidegate: &Sidegate) -> (u16, String) {
    let mut client = Client::connect(sidegate.address).await;
    client.post("/v1/chat/completions", r#"{"model":"gpt-4o"}"#).await;
    let reply = client.reply("POST").await;
    (reply.status(), reply.text())
}

#[tokio::test]
async fn a_provider_is_reached_by_a_tunnel_that_is_used_again() {
    let provider = Provider::always(Script::ok("served")).await;
    let proxy = EgressProxy::to(provider.address).await;
    let sidegate = Sidegate::start_in(&config(FAR, ""), &variables(proxy.address));
    for _ in 0..3 {
        assert_eq!(ask(&sidegate).await, (200, "served".to_owned()));
    }
    let expected = "CONNECT api.provider.invalid:80 HTTP/1.1\r\nHost: api.provider.invalid:80\r\nProxy-Authorization: Basic dXNlcjpwQHNz";
    assert_eq!(proxy.heads(), [expected]);
}

#[tokio::test]
async fn behind_tls_the_proxy_sees_neither_request_nor_key() {
    let authority = Authority::new();
    let mut provider = Provider::always(Script::ok("served")).await;
    let front = TlsFront::before(provider.address, authority.server("api.provider.invalid", &["http/1.1"])).await;
    let proxy = EgressProxy::to(front.address).await;
    let more = format!("tls: {{ roots: {} }}", authority.roots().display());
    let sidegate = Sidegate::start_in(&config("https://api.provider.invalid/v1", &more), &variables(proxy.address));
    assert_eq!(ask(&sidegate).await, (200, "served".to_owned()));
    let request = String::from_utf8_lossy(&provider.request().await.bytes()).into_owned();
    assert!(request.contains(POOL_KEY) && !request.to_lowercase().contains("proxy-authorization"), "{request}");
    let heard = proxy.heard().concat();
    assert!(heard.starts_with("CONNECT api.provider.invalid:443 HTTP/1.1\r\n"), "{heard}");
    assert!(!heard.contains(POOL_KEY) && !heard.contains("/v1/chat"), "{heard}");
}

#[tokio::test]
async fn a_certificate_must_bear_the_providers_name_also_behind_a_proxy() {
    let authority = Authority::new();
    let provider = Provider::start().await;
    let front = TlsFront::before(provider.address, authority.server("elsewhere.invalid", &["http/1.1"])).await;
    let proxy = EgressProxy::to(front.address).await;
    let more = format!("tls: {{ roots: {} }}", authority.roots().display());
    let sidegate = Sidegate::start_in(&config("https://api.provider.invalid/v1", &more), &variables(proxy.address));
    assert_eq!((ask(&sidegate).await.0, provider.connections()), (502, 0));
}

#[tokio::test]
async fn the_config_goes_before_the_environment() {
    let provider = Provider::always(Script::ok("served")).await;
    let (theirs, ours) = (EgressProxy::to(provider.address).await, EgressProxy::to(provider.address).await);
    let environment = variables(theirs.address);
    // In the config even what is near goes through the proxy: somebody wrote it down for this provider.
    let near = format!("http://{}/v1", provider.address);
    for (url, more, connections) in [
        (FAR, format!("proxy: \"http://{}\"", ours.address), [0, 1]),
        (&near, format!("proxy: \"http://{}\"", ours.address), [0, 2]),
        (&near, "proxy: none".to_owned(), [0, 2]),
        (&near, "proxy: environment".to_owned(), [0, 2]),
        (&near, String::new(), [0, 2]),
        (FAR, "proxy: environment".to_owned(), [1, 2]),
    ] {
        let sidegate = Sidegate::start_in(&config(url, &more), &environment);
        assert_eq!(ask(&sidegate).await, (200, "served".to_owned()), "{url} {more}");
        assert_eq!([theirs.heads().len(), ours.heads().len()], connections, "{url} {more}");
    }
}

#[tokio::test]
async fn no_proxy_spares_a_host() {
    let proxy = EgressProxy::saying("HTTP/1.1 500 no\r\n\r\n").await;
    let sidegate = Sidegate::start_in(&config("http://spared.invalid/v1", ""), &variables(proxy.address));
    assert_eq!((ask(&sidegate).await.0, proxy.heads().len()), (502, 0));
}

#[tokio::test]
async fn a_proxy_that_opens_no_tunnel_is_a_502_and_gets_no_request() {
    let endless: &'static str = Box::leak(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(9 << 10)).into_boxed_str());
    for answer in ["HTTP/1.1 407 no\r\nProxy-Authenticate: Basic\r\n\r\n", "HTTP/1.1 403 no\r\n\r\n", "what?\r\n\r\n", endless] {
        let proxy = EgressProxy::saying(answer).await;
        let sidegate = Sidegate::start_in(&config(FAR, ""), &variables(proxy.address));
        let (status, text) = ask(&sidegate).await;
        assert_eq!((status, text.contains("upstream_unavailable")), (502, true), "{answer}: {text}");
        assert_eq!(sidegate.log(1).await[0]["error"], "upstream_unavailable");
        let heard = proxy.heard().concat();
        assert!(!heard.contains(POOL_KEY), "{heard}");
    }
}

#[tokio::test]
async fn a_proxy_that_says_nothing_costs_the_connect_timeout() {
    let proxy = EgressProxy::saying("HTTP/1.1 200 ").await;
    let sidegate = Sidegate::start_in(&config(FAR, "timeouts: { connect: 100ms }"), &variables(proxy.address));
    assert_eq!(ask(&sidegate).await.0, 504);
}

#[tokio::test]
async fn the_proxys_credentials_are_shown_nowhere() {
    let proxy = EgressProxy::saying("HTTP/1.1 407 no\r\n\r\n").await;
    let more = format!("proxy: \"http://user:p%40ss@{}\"", proxy.address);
    let sidegate = Sidegate::start_in(&config(FAR, &more), &Environment::default());
    assert_eq!(ask(&sidegate).await.0, 502);
    let page = sidegate.ask_admin("/config").await.text();
    assert!(page.contains(&format!("http://[secret]@{}", proxy.address)), "{page}");
    let told = page + &sidegate.ask_admin("/metrics").await.text() + &sidegate.stop().join("\n");
    for secret in ["p%40ss", "p@ss", "dXNlcjpwQHNz"] {
        assert!(!told.contains(secret), "{told}");
    }
}

#[test]
fn a_proxy_that_can_not_be_used_is_refused_by_name_and_its_password_not_repeated() {
    for (more, variable, named) in [
        ("proxy: socks5://user:hunter2@host:1080", "", "SOCKS"),
        ("proxy: https://user:hunter2@host:1080", "", "TLS"),
        ("proxy: user:hunter2@", "", "providers.scripted.proxy"),
        ("", "socks5://user:hunter2@host:1080", "`HTTP_PROXY`"),
        ("", "user:hunter2@", "`HTTP_PROXY`"),
    ] {
        let text = config(FAR, more).replace("$KEY", POOL_KEY);
        let environment = Environment::from([("HTTP_PROXY", variable)]);
        let problems = config::from_text("proxy.yaml", &text, &environment).unwrap_err().to_string();
        assert!(problems.contains(named) && !problems.contains("hunter2"), "{more}{variable}: {problems}");
        assert!(config::from_text("proxy.yaml", &config(FAR, "proxy: none").replace("$KEY", POOL_KEY), &environment).is_ok());
    }
}
