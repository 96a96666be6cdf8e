//! What a provider stores lives in one account: whatever makes such a thing or asks for it goes up with that account's keys,
//! and everything else is spread over all.

use std::{collections::BTreeSet, fs, net::SocketAddr};

use h2::server::Builder;
use http::Response;
use tempfile::TempDir;

use crate::support::{Client, H2Client, H2Provider, H2Script, Provider, Script, Sidegate, h2_client::post, provider::Request};

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

/// A proxy with the keys `sk-old` and `sk-new`, each of an account of its own; the one that is named first has the home.
struct House {
    folder: TempDir,
    sidegate: Sidegate,
    provider: SocketAddr,
    version: &'static str,
}

const OLD: &str = "{ value: sk-old, account: old }";
const NEW: &str = "{ value: sk-new, account: new }";

impl House {
    fn before(provider: SocketAddr, version: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(&folder, provider, version, &[OLD, NEW]);
        let sidegate = Sidegate::from_file(&folder.path().join("proxy.yaml"), false);
        Self { folder, sidegate, provider, version }
    }

    /// From now on with these keys.
    fn reload_with(&self, keys: &[&str]) {
        let before = self.sidegate.reloads().applied;
        write(&self.folder, self.provider, self.version, keys);
        self.sidegate.reload();
        assert_eq!(self.sidegate.reloads().applied, before + 1);
    }
}

fn write(folder: &TempDir, provider: SocketAddr, version: &str, keys: &[&str]) {
    let config = format!(
        r#"
listen: {{ address: "127.0.0.1:0", workers: 1 }}
admin: {{ address: "127.0.0.1:0" }}
providers:
  scripted: {{ base_url: "http://{provider}/v1", http_version: "{version}", keys: [{}] }}
routes: [{{ path: /v1, targets: [scripted] }}]
"#,
        keys.join(", ")
    );
    fs::write(folder.path().join("proxy.yaml"), config).unwrap();
}

fn key_of(request: &Request) -> String {
    request.head.get("authorization").unwrap().trim_start_matches("Bearer ").to_owned()
}

/// The key that carries this request.
async fn key_for(house: &House, provider: &mut Provider, (method, path, body): (&str, &str, &str)) -> String {
    let mut client = Client::connect(house.sidegate.address).await;
    let length = body.len();
    client.send(format!("{method} {path} HTTP/1.1\r\nHost: sidegate.test\r\nContent-Length: {length}\r\n\r\n{body}")).await;
    assert_eq!(client.reply(method).await.status(), 200);
    key_of(&provider.request().await)
}

const MAKE: (&str, &str, &str) = ("POST", "/v1/responses", r#"{"model":"gpt-4o","input":"hi"}"#);

/// With the home of the old account every object is made, and then the new account has the home.
async fn made_before_the_home_moved(provider: &mut Provider, replies: &[(&str, Script)]) -> House {
    let house = House::before(provider.address, "1.1");
    for (path, script) in replies {
        provider.script(script.clone());
        assert_eq!(key_for(&house, provider, ("POST", path, r#"{"model":"gpt-4o"}"#)).await, "sk-old");
    }
    provider.otherwise(Script::json("200 OK", "{}"));
    house.reload_with(&[NEW, OLD]);
    assert_eq!(key_for(&house, provider, MAKE).await, "sk-new", "the home has moved");
    house
}

#[tokio::test]
async fn an_object_is_asked_for_with_a_key_of_the_account_that_made_it_wherever_the_home_is_now() {
    let mut provider = Provider::start().await;
    let made = |id: &str| Script::json("200 OK", &format!(r#"{{"object":"x","id":"{id}","output":[{{"id":"msg_1"}}]}}"#));
    let replies = [
        ("/v1/responses", made("resp_1")),
        ("/v1/files", made("file-1")),
        ("/v1/conversations", made("conv_1")),
        ("/v1/threads", made("thread_1")),
        ("/v1/vector_stores", made("vs_1")),
        ("/v1/batches", Script::json("200 OK", r#"{"id":"batch_1","output_file_id":"file-2"}"#)),
    ];
    let house = made_before_the_home_moved(&mut provider, &replies).await;
    for (method, path, body) in [
        ("POST", "/v1/responses", r#"{"model":"gpt-4o","previous_response_id":"resp_1"}"#),
        ("POST", "/v1/responses", r#"{"model":"gpt-4o","store":false,"previous_response_id":"resp\u005f1"}"#),
        ("POST", "/v1/responses", r#"{"model":"gpt-4o","conversation":{"id":"conv_1"}}"#),
        ("POST", "/v1/responses", r#"{"model":"gpt-4o","conversation":"conv_1"}"#),
        ("POST", "/v1/responses", r#"{"model":"gpt-4o","tools":[{"type":"file_search","vector_store_ids":["vs_9","vs_1"]}]}"#),
        ("POST", "/v1/chat/completions", r#"{"model":"gpt-4o","messages":[{"content":[{"type":"file","file":{"file_id":"file-1"}}]}]}"#),
        ("GET", "/v1/responses/resp_1", ""),
        ("GET", "/v1/responses/resp%5F1/input_items?limit=2", ""),
        ("DELETE", "/v1//Responses/resp_1/", ""),
        ("GET", "/v1/files/file-1/content", ""),
        ("GET", "/v1/files/file-2/content", ""),
        ("POST", "/v1/threads/thread_1/runs", r#"{"assistant_id":"asst_1"}"#),
        ("GET", "/v1/threads/thread_1/runs/run_1", ""),
        ("POST", "/v1/batches/batch_1/cancel", ""),
    ] {
        for _ in 0..2 {
            assert_eq!(key_for(&house, &mut provider, (method, path, body)).await, "sk-old", "{method} {path} {body}");
        }
    }
    for (method, path, body) in [
        ("POST", "/v1/responses", r#"{"model":"gpt-4o","previous_response_id":"resp_of_somebody"}"#),
        ("GET", "/v1/responses/resp_2", ""),
        ("GET", "/v1/files", ""),
        // An item within is no object of its own.
        ("GET", "/v1/responses/msg_1", ""),
    ] {
        for _ in 0..2 {
            assert_eq!(key_for(&house, &mut provider, (method, path, body)).await, "sk-new", "unknown: {method} {path} {body}");
        }
    }
}

#[tokio::test]
async fn a_streamed_response_is_known_with_its_first_event_while_it_goes_on() {
    let mut provider = Provider::start().await;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let created = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\n";
    provider.script(Script::on_request().write(head).chunk(created).until_left());
    provider.otherwise(Script::json("200 OK", "{}"));
    let house = House::before(provider.address, "1.1");
    let mut client = Client::connect(house.sidegate.address).await;
    client.post("/v1/responses", r#"{"model":"gpt-4o","stream":true,"background":true}"#).await;
    assert_eq!(client.head().await.status(), 200);
    client.until("resp_1").await;
    assert_eq!(key_of(&provider.request().await), "sk-old");
    house.reload_with(&[NEW, OLD]);
    assert_eq!(key_for(&house, &mut provider, ("POST", "/v1/responses/resp_1/cancel", "")).await, "sk-old");
    assert_eq!(key_for(&house, &mut provider, ("POST", "/v1/responses/resp_2/cancel", "")).await, "sk-new");
    drop(client);
    provider.departure().await;
}

#[tokio::test]
async fn over_http2_it_is_the_same() {
    let mut provider = H2Provider::start(Builder::new()).await;
    let json = || Response::builder().header("content-type", "application/json").body(()).unwrap();
    provider.script(H2Script::on_request().reply(json()).last(r#"{"id":"resp_1"}"#));
    provider.otherwise(H2Script::ok("served"));
    let house = House::before(provider.address, "2");
    let client = H2Client::connect(house.sidegate.address).await;
    assert_eq!(client.ask(post("/v1/responses", MAKE.2)).await.status, 200);
    house.reload_with(&[NEW, OLD]);
    for (body, key) in [
        (r#"{"model":"gpt-4o","previous_response_id":"resp_1"}"#, "Bearer sk-old"),
        (r#"{"model":"gpt-4o","previous_response_id":"resp_2"}"#, "Bearer sk-new"),
    ] {
        assert_eq!(client.ask(post("/v1/responses", body)).await.status, 200);
        let mut seen = provider.request().await;
        if seen.body == MAKE.2.as_bytes() {
            seen = provider.request().await;
        }
        assert_eq!(seen.head.headers["authorization"], key, "{body}");
    }
}

#[tokio::test]
async fn an_object_of_an_account_that_is_gone_is_asked_for_at_home_and_one_of_a_key_out_of_use_by_nobody() {
    let mut provider = Provider::start().await;
    let replies = [("/v1/responses", Script::json("200 OK", r#"{"id":"resp_1"}"#))];
    let house = made_before_the_home_moved(&mut provider, &replies).await;
    let ask = ("GET", "/v1/responses/resp_1", "");
    house.reload_with(&[NEW]);
    assert_eq!(key_for(&house, &mut provider, ask).await, "sk-new", "whose answer the client gets: it is not there");
    // Another key of the same account finds it again.
    house.reload_with(&[NEW, "{ value: sk-old-too, account: old }"]);
    assert_eq!(key_for(&house, &mut provider, ask).await, "sk-old-too");
    house.reload_with(&[NEW, "{ value: sk-old-too, account: old, weight: 0 }"]);
    let mut client = Client::connect(house.sidegate.address).await;
    client.get("/v1/responses/resp_1").await;
    assert_eq!(client.reply("GET").await.status(), 503, "it is there, and out of reach for now");
}

#[tokio::test]
async fn what_tells_nothing_of_an_object_teaches_nothing() {
    let mut provider = Provider::start().await;
    let megabyte = "x".repeat(1 << 20);
    let replies = [
        ("/v1/responses", Script::json("200 OK", &format!(r#"{{"id":"{megabyte}"}}"#))),
        ("/v1/responses", Script::json("404 Not Found", r#"{"id":"resp_1"}"#)),
        ("/v1/responses", Script::ok(r#"{"id":"resp_1"}"#)),
        ("/v1/responses", Script::json("200 OK", r#"{"metadata":{"id":"resp_1"},"data":[{"id":"resp_1"}],"text":"\"id\":\"resp_1\""}"#)),
        ("/v1/files/file-1/content", Script::json("200 OK", r#"{"id":"resp_1"}"#)),
    ];
    let house = House::before(provider.address, "1.1");
    for (path, script) in replies {
        provider.script(script);
        let mut client = Client::connect(house.sidegate.address).await;
        client.post(path, r#"{"model":"gpt-4o"}"#).await;
        client.reply("POST").await;
        assert_eq!(key_of(&provider.request().await), "sk-old");
    }
    // What is not stored has no maker either.
    provider.script(Script::json("200 OK", r#"{"id":"resp_1"}"#));
    key_for(&house, &mut provider, ("POST", "/v1/responses", r#"{"model":"gpt-4o","store":false}"#)).await;
    provider.otherwise(Script::json("200 OK", "{}"));
    house.reload_with(&[NEW, OLD]);
    assert_eq!(key_for(&house, &mut provider, ("GET", "/v1/responses/resp_1", "")).await, "sk-new");
    let long = format!(r#"{{"model":"gpt-4o","previous_response_id":"{megabyte}"}}"#);
    assert_eq!(key_for(&house, &mut provider, ("POST", "/v1/responses", &long)).await, "sk-new");
}
