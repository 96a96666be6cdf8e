//! Who calls: client keys in whichever form an SDK sends them, strangers, and claims that count from trusted peers alone.

mod certified;
mod counted;
mod made;

use std::path::Path;

use serde_json::Value;
use sidegate::config::KeyHash;
use tokio::net::UnixStream;

use crate::support::{Client, H2Client, Provider, Script, Sidegate, client::Reply, within};

const KEY: &str = "sg-web-0123456789";
const CLAIMS: &str = "X-API-Tier: gold\r\nx-region: eu\r\nX-PRIORITY: 1\r\nX-Forwarded-For: 192.0.2.7\r\n";

/// Client keys for one client, and `anonymous` for all others.
fn clients(anonymous: &str) -> String {
    let hash = KeyHash::of(KEY.as_bytes());
    format!("clients: {{ anonymous: {anonymous}, keys: [{{ name: web, sha256: {hash}, tier: premium }}] }}\n")
}

/// Asks once on a connection of its own; the reply and the line in the log.
async fn ask(sidegate: &Sidegate, behind: &str, fields: &str, line: usize) -> (Reply, Value) {
    let mut client = Client::connect(sidegate.address).await;
    client.get_with(&format!("/v1/models{behind}"), fields).await;
    let reply = client.reply("GET").await;
    (reply, sidegate.log(line).await.pop().unwrap())
}

#[tokio::test]
async fn a_client_key_counts_in_whichever_form_it_comes() {
    let provider = Provider::always(Script::ok("served")).await;
    let sidegate = Sidegate::with(&clients("deny"), provider.address).await;
    let forms = [
        ("", format!("Authorization: Bearer {KEY}\r\n")),
        ("", format!("authorization: bearer   {KEY}\r\n")),
        ("", format!("Authorization: {KEY}\r\n")),
        ("", format!("X-Api-Key: {KEY}\r\n")),
        ("", format!("api-key: {KEY}\r\n")),
        ("", format!("x-goog-api-key: {KEY}\r\n")),
        ("", format!("Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.{KEY}\r\n")),
        ("?alt=sse&key=sg-web-0123456789", String::new()),
        // An SDK sends what it was given, besides the key that another header holds.
        ("", format!("Authorization: Bearer sk-placeholder\r\nX-Api-Key: {KEY}\r\n")),
    ];
    for (n, (behind, fields)) in forms.iter().enumerate() {
        let (reply, line) = ask(&sidegate, behind, fields, n + 1).await;
        assert_eq!(reply.text(), "served", "{behind}{fields}");
        assert_eq!((line["client"].as_str(), line["tier"].as_str()), (Some("web"), Some("premium")), "{behind}{fields}");
    }
}

#[tokio::test]
async fn without_a_key_of_ours_nobody_is_let_in_where_strangers_are_denied() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::with(&clients("deny"), provider.address).await;
    for (n, fields) in
        ["", "Authorization: Bearer sk-stranger\r\n", "Authorization: Bearer sg-wrong\r\n", "x-api-key: sg-web-012345678\r\n"]
            .into_iter()
            .enumerate()
    {
        let (reply, line) = ask(&sidegate, "", fields, n + 1).await;
        assert_eq!((reply.status(), reply.json()["error"]["code"].as_str()), (401, Some("invalid_api_key")), "{fields}");
        assert_eq!((line["status"].as_u64(), line["client"].as_str()), (Some(401), None), "{fields}");
    }
    assert_eq!(provider.asked(), 0);
}

#[tokio::test]
async fn a_stranger_gets_the_tier_of_strangers_and_a_wrong_key_of_ours_is_refused() {
    let provider = Provider::always(Script::ok("served")).await;
    let sidegate = Sidegate::with(&clients("free"), provider.address).await;
    for (n, (fields, status, tier)) in [
        ("", 200, Some("free")),
        ("Authorization: Bearer sk-stranger\r\n", 200, Some("free")),
        ("Authorization: Bearer sg-wrong\r\n", 401, None),
        ("Authorization: Bearer sk-stranger\r\nx-api-key: sg-wrong\r\n", 401, None),
        // Nobody trusts this peer.
        (CLAIMS, 200, Some("free")),
    ]
    .into_iter()
    .enumerate()
    {
        let (reply, line) = ask(&sidegate, "", fields, n + 1).await;
        assert_eq!((reply.status(), line["tier"].as_str()), (status, tier), "{fields}");
        assert_eq!(line["ip"], "127.0.0.1", "{fields}");
    }
}

#[tokio::test]
async fn a_trusted_peer_says_tier_and_address_and_a_key_knows_better() {
    let provider = Provider::always(Script::ok("served")).await;
    let sections = clients("free") + "trust: { proxies: [loopback, 10.0.0.0/8] }\n";
    let sidegate = Sidegate::with(&sections, provider.address).await;
    let keyed = format!("{CLAIMS}Authorization: Bearer {KEY}\r\n");
    for (n, (fields, tier, ip)) in [
        (CLAIMS, "gold", "192.0.2.7"),
        (keyed.as_str(), "premium", "192.0.2.7"),
        ("X-Api-Tier: not a tier\r\n", "free", "127.0.0.1"),
        // From the right, past those that are trusted; what stands further left was written by nobody knows whom.
        ("X-Forwarded-For: 203.0.113.9, 192.0.2.7, 10.1.2.3\r\n", "free", "192.0.2.7"),
        ("X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 192.0.2.8\r\nX-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n", "free", "192.0.2.8"),
        ("X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n", "free", "10.0.0.1"),
        ("X-Forwarded-For: 203.0.113.9, unknown, 10.0.0.2\r\n", "free", "10.0.0.2"),
        ("X-Forwarded-For: [2001:db8::1]:443\r\n", "free", "2001:db8::1"),
    ]
    .into_iter()
    .enumerate()
    {
        let (reply, line) = ask(&sidegate, "", fields, n + 1).await;
        assert_eq!(reply.status(), 200, "{fields}");
        assert_eq!((line["tier"].as_str(), line["ip"].as_str()), (Some(tier), Some(ip)), "{fields}");
    }
}

/// Every way to write a claim, from whichever peer.
#[tokio::test]
async fn claims_never_reach_the_provider() {
    let mut provider = Provider::always(Script::ok("served")).await;
    for trust in ["", "trust: { proxies: [loopback] }\n"] {
        let sidegate = Sidegate::with(trust, provider.address).await;
        let mut client = Client::connect(sidegate.address).await;
        let fields = "x-api-tier: canary\r\nX-API-TIER: canary\r\nX_Api_Tier: canary\r\nx-api_tier: canary\r\nX-Region: canary\r\nx_region: canary\r\n\
            X-Priority: canary\r\nX_PRIORITY: canary\r\nX-Forwarded-For: canary\r\nx_forwarded_for: canary\r\nX-Forwarded_For: canary\r\n";
        client.get_with("/v1/models", fields).await;
        assert_eq!(client.reply("GET").await.status(), 200);
        let seen = provider.request().await.bytes();
        assert!(memchr::memmem::find(&seen, b"canary").is_none(), "{}", seen.escape_ascii());

        let client = H2Client::connect(sidegate.address).await;
        let names = ["x-api-tier", "x_api_tier", "x-region", "x-priority", "x-forwarded-for", "x_forwarded-for"];
        let request =
            names.iter().fold(http::Request::get("http://sidegate.test/v1/models"), |request, name| request.header(*name, "canary"));
        assert_eq!(client.ask(request.body("").unwrap()).await.status, 200);
        let seen = provider.request().await.bytes();
        assert!(memchr::memmem::find(&seen, b"canary").is_none(), "{}", seen.escape_ascii());
    }
}

/// A session is the client's own word, and perhaps the provider's too: it is read and goes on as it came.
#[tokio::test]
async fn the_field_that_names_a_session_goes_on_to_the_provider() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let long = "x".repeat(300);
    for (section, fields, kept) in [
        ("{ header: X-Session-Id }", "x-session-id: canary\r\n".to_owned(), true),
        ("{ header: X-Session-Id }", format!("x-session-id: canary{long}\r\n"), true),
        // A cookie is the client's own credential, as without a session.
        ("{ cookie: sid }", "cookie: sid=canary\r\n".to_owned(), false),
    ] {
        let sidegate = Sidegate::with(&format!("clients: {{ anonymous: free, session: {section} }}\n"), provider.address).await;
        let mut client = Client::connect(sidegate.address).await;
        client.get_with("/v1/models", &fields).await;
        assert_eq!(client.reply("GET").await.text(), "served");
        let seen = provider.request().await.bytes();
        assert_eq!(memchr::memmem::find(&seen, b"canary").is_some(), kept, "{}", seen.escape_ascii());
        let line = sidegate.log_lines().pop().unwrap_or_default();
        assert!(!line.contains("canary"), "{line}");
    }
}

async fn over_unix(path: &Path) -> Client<UnixStream> {
    Client::over(within("a connection", UnixStream::connect(path)).await.expect("somebody listens"))
}

#[tokio::test]
async fn an_application_on_a_unix_socket_has_no_address_unless_it_is_trusted_to_say_one() {
    let provider = Provider::always(Script::ok("served")).await;
    let folder = tempfile::tempdir().unwrap();
    for (trust, ip, tier) in [("[loopback]", None, None), ("[unix, loopback]", Some("192.0.2.7"), Some("gold"))] {
        let path = folder.path().join("sidegate.sock");
        let config = format!(
            r#"
listen: {{ address: "unix:{}", workers: 1 }}
admin: {{ address: "127.0.0.1:0" }}
trust: {{ proxies: {trust} }}
providers: {{ scripted: {{ base_url: "http://$UPSTREAM/v1", keys: [{{ value: "$KEY" }}] }} }}
routes: [{{ path: /v1, targets: [scripted] }}]
"#,
            path.display()
        );
        let sidegate = Sidegate::start(&config, provider.address).await;
        let mut client = over_unix(&path).await;
        client.get_with("/v1/models", CLAIMS).await;
        assert_eq!(client.reply("GET").await.text(), "served");
        let line = sidegate.log(1).await.pop().unwrap();
        assert_eq!((line["ip"].as_str(), line["tier"].as_str()), (ip, tier), "{trust}");
    }
}
