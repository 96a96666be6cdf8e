//! Who is counted as whom, seen from outside: by limits that let each caller through once.

use sidegate::config::KeyHash;

use super::KEY;
use crate::support::{Client, H2Client, Provider, Script, Sidegate};

/// Asks once for each head, each on a connection of its own; the statuses.
async fn statuses(sidegate: &Sidegate, path: &str, heads: &[&str]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for fields in heads {
        let mut client = Client::connect(sidegate.address).await;
        client.get_with(path, fields).await;
        statuses.push(client.reply("GET").await.status());
    }
    statuses
}

#[tokio::test]
async fn a_session_is_counted_wherever_it_is_named_and_its_absence_is_not() {
    let provider = Provider::always(Script::ok("served")).await;
    let long = format!("x-session-id: {}\r\n", "x".repeat(257));
    let limit = "limits: [{ name: talk, per: session, requests: 1/1h }]\n";
    let by_header = format!("clients: {{ anonymous: free, session: {{ header: X-Session-Id }} }}\n{limit}");
    let sidegate = Sidegate::with(&by_header, provider.address).await;
    let (one, two) = ("x-session-id: one\r\n", "X-Session-Id: two\r\n");
    let heads = [one, one, two, two, "", "", "x-session-id: \r\n", "x-session-id: \r\n", &long, &long, "cookie: x-session-id=one\r\n"];
    assert_eq!(statuses(&sidegate, "/v1/models", &heads).await, [200, 429, 200, 429, 200, 200, 200, 200, 200, 200, 200]);

    let by_cookie = format!("clients: {{ anonymous: free, session: {{ cookie: sid }} }}\n{limit}");
    let sidegate = Sidegate::with(&by_cookie, provider.address).await;
    let heads = ["cookie: a=b; sid=one\r\n", "Cookie: sid=one; c=d\r\n", "cookie: sid=two\r\n", "cookie: a=b\r\n", "cookie: a=b\r\n"];
    assert_eq!(statuses(&sidegate, "/v1/models", &heads).await, [200, 429, 200, 200, 200]);
    // HTTP/2 brings cookies one by one.
    let client = H2Client::connect(sidegate.address).await;
    let asking = |sid: &'static str| {
        http::Request::get("http://sidegate.test/v1/models").header("cookie", "a=b").header("cookie", sid).body("").unwrap()
    };
    assert_eq!(client.ask(asking("sid=two")).await.status, 429);
    assert_eq!(client.ask(asking("sid=three")).await.status, 200);
}

#[tokio::test]
async fn a_stranger_is_its_own_key_where_the_provider_sees_it_and_else_its_address() {
    let provider = Provider::always(Script::ok("served")).await;
    let config = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
providers: { scripted: { base_url: "http://$UPSTREAM/v1", keys: [{ value: "$KEY" }] } }
routes:
  - { path: /own, targets: [scripted], credentials: client }
  - { path: /mixed, targets: [scripted], models: [gpt-*], credentials: client }
  - { path: /mixed, targets: [scripted] }
clients: { anonymous: free }
limits: [{ name: once, per: client, requests: 1/1h }]
"#;
    let (one, two) = ("authorization: Bearer sk-one\r\n", "authorization: Bearer sk-two\r\n");
    let beside = "x-api-key: sk-new\r\nauthorization: Bearer sk-one\r\n";
    let sidegate = Sidegate::start(config, provider.address).await;
    let heads = [one, one, beside, two, two, "", ""];
    assert_eq!(statuses(&sidegate, "/own/models", &heads).await, [200, 429, 429, 200, 429, 200, 429]);
    // Here a key of the pool may come to be used: who invents a credential is nobody new.
    let sidegate = Sidegate::start(config, provider.address).await;
    assert_eq!(statuses(&sidegate, "/mixed/models", &[one, two, "authorization: Bearer sk-three\r\n"]).await, [200, 429, 429]);
}

#[tokio::test]
async fn a_client_is_one_with_all_of_its_keys_and_a_stranger_is_none_of_them() {
    let provider = Provider::always(Script::ok("served")).await;
    let entry = |key: &str| format!("{{ name: web, sha256: {}, tier: premium }}", KeyHash::of(key.as_bytes()));
    let sections = format!(
        "clients: {{ anonymous: free, keys: [{}, {}] }}\nlimits: [{{ name: once, per: client, requests: 1/1h }}]\n",
        entry(KEY),
        entry("sg-web-next"),
    );
    let sidegate = Sidegate::with(&sections, provider.address).await;
    let (old, new) = (format!("authorization: Bearer {KEY}\r\n"), "x-api-key: sg-web-next\r\n");
    assert_eq!(statuses(&sidegate, "/v1/models", &[&old, new, "", "authorization: Bearer sk-any\r\n"]).await, [200, 429, 200, 429]);
}

#[tokio::test]
async fn a_credential_that_fails_is_counted_and_one_that_is_missing_is_not() {
    let provider = Provider::always(Script::ok("served")).await;
    let sections = format!(
        "clients: {{ keys: [{{ name: web, sha256: {}, tier: premium }}] }}\nlimits: [{{ name: guessing, per: ip, failed_auth: 2/1h }}]\n",
        KeyHash::of(KEY.as_bytes()),
    );
    let sidegate = Sidegate::with(&sections, provider.address).await;
    let right = format!("authorization: Bearer {KEY}\r\n");
    let heads =
        ["", "", "", "x-api-key: sg-guess\r\n", "", "authorization: Bearer sk-foreign\r\n", "x-api-key: sg-another\r\n", &right, ""];
    assert_eq!(statuses(&sidegate, "/v1/models", &heads).await, [401, 401, 401, 401, 401, 401, 429, 200, 401]);
}
