//! What a provider stores lives in one account: whatever makes such a thing or asks for it goes up with that account's keys,
//! and everything else is spread over all.

use std::collections::BTreeSet;

use crate::support::{Client, Provider, Script, Sidegate};

const CONFIG: &str = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
providers:
  scripted:
    base_url: http://$UPSTREAM/v1
    keys:
      - { value: sk-unused, weight: 0, account: old }
      - { value: sk-home, account: acme }
      - { value: sk-away }
      - { value: sk-home-too, account: acme }
routes: [{ path: /v1, targets: [scripted] }]
"#;

/// The keys that the provider sees in three rounds of the same request.
async fn keys_of(method: &str, path: &str, body: &str) -> BTreeSet<String> {
    let mut provider = Provider::always(Script::ok("served")).await;
    let sidegate = Sidegate::start(CONFIG, provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    let mut seen = BTreeSet::new();
    for _ in 0..6 {
        let length = body.len();
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: sidegate.test\r\nContent-Length: {length}\r\n\r\n{body}")).await;
        assert_eq!(client.reply(method).await.status(), 200);
        seen.insert(provider.request().await.head.get("authorization").unwrap().trim_start_matches("Bearer ").to_owned());
    }
    seen
}

fn all(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

#[tokio::test]
async fn what_is_stored_is_made_and_found_with_the_keys_of_one_account() {
    for (method, path, body) in [
        ("POST", "/v1/files", "a form with a file"),
        ("GET", "/v1/files/file-1/content", ""),
        ("POST", "/v1/batches", r#"{"input_file_id":"file-1"}"#),
        ("POST", "/v1/responses", r#"{"model":"gpt-4o","input":"hi"}"#),
        ("GET", "/v1/responses/resp_1", ""),
        ("POST", "/v1/responses", r#"{"model":"gpt-4o","store":false,"previous_response_id":"resp_1"}"#),
        ("POST", "/v1/chat/completions", r#"{"model":"gpt-4o","store":true}"#),
        ("POST", "/v1/chat/completions", r#"{"model":"ft:gpt-4o:acme::1"}"#),
        ("POST", "/v1/chat/completions", r#"{"model":"gpt-4o","messages":[{"content":[{"type":"file","file":{"file_id":"file-1"}}]}]}"#),
        ("POST", "/v1/threads/thread_1/runs", r#"{"assistant_id":"asst_1"}"#),
        ("GET", "/v1/chat/completions/chatcmpl-1", ""),
    ] {
        assert_eq!(keys_of(method, path, body).await, all(&["sk-home", "sk-home-too"]), "{method} {path} {body}");
    }
}

#[tokio::test]
async fn what_leaves_nothing_behind_is_spread_over_all_accounts() {
    for (method, path, body) in [
        ("POST", "/v1/chat/completions", r#"{"model":"gpt-4o"}"#),
        ("POST", "/v1/responses", r#"{"model":"gpt-4o","store":false}"#),
        ("POST", "/v1/embeddings", r#"{"model":"e","input":"x"}"#),
        ("GET", "/v1/models", ""),
    ] {
        assert_eq!(keys_of(method, path, body).await, all(&["sk-home", "sk-away", "sk-home-too"]), "{method} {path} {body}");
    }
}
