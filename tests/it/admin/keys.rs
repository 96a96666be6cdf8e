//! Keys as operators see them, and taking one out of use.

use super::{THREE_KEYS, ask, credential, json, json_becomes, key, one, one_post, settled, three_plain_keys};
use crate::support::{Client, Gate, Provider, Script, Sidegate};

/// Disables or enables the key of this name; what is answered.
async fn change(sidegate: &Sidegate, name: &str, to: &str) -> serde_json::Value {
    let id = key(sidegate, name).await["id"].as_str().unwrap().to_owned();
    let reply = ask(sidegate.admin, "POST", &format!("/keys/{id}/{to}"), "").await;
    assert_eq!(reply.status(), 200);
    reply.json()
}

#[tokio::test]
async fn a_disabled_key_gets_no_request_while_what_runs_on_it_finishes() {
    let (mut provider, reached, go) = (Provider::start().await, Gate::new(), Gate::new());
    let sidegate = Sidegate::start(THREE_KEYS, provider.address).await;
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    provider.script(Script::on_request().write(head).chunk("data: 1\n\n").tell(&reached).wait(&go).chunk("data: 2\n\n").write("0\r\n\r\n"));
    let mut streaming = Client::connect(sidegate.address).await;
    streaming.get("/v1/stream").await;
    reached.reached("the stream").await;
    assert_eq!(credential(&mut provider).await, "Bearer sk-canary-first");

    let answer = change(&sidegate, "first", "disable").await;
    assert_eq!((&answer["state"], &answer["in_flight"]), (&"disabled".into(), &1.into()));
    provider.otherwise(Script::ok("served"));
    for _ in 0..5 {
        assert_eq!(one(&sidegate, "/v1/models").await, 200);
        assert_eq!(credential(&mut provider).await, "Bearer sk-canary-second");
    }
    go.open();
    let stream = streaming.reply("GET").await;
    assert!(stream.is_complete() && stream.text().ends_with("data: 2\n\n"), "{}", stream.text());

    // Disabled twice is disabled, and with both there is none to lease.
    change(&sidegate, "first", "disable").await;
    change(&sidegate, "second", "disable").await;
    assert_eq!(one(&sidegate, "/v1/models").await, 503);
    assert_eq!(sidegate.ask_admin("/readyz").await.status(), 503);
    assert_eq!(sidegate.ask_admin("/livez").await.status(), 200);
    assert_eq!(json(&sidegate, "/health").await["status"], "unready");

    assert_eq!(change(&sidegate, "first", "enable").await["state"], "active");
    assert_eq!(one(&sidegate, "/v1/models").await, 200);
    assert_eq!(credential(&mut provider).await, "Bearer sk-canary-first");
    assert_eq!(sidegate.ask_admin("/readyz").await.status(), 200);
}

#[tokio::test]
async fn each_key_tells_what_it_has_lived_through() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::start(&three_plain_keys(), provider.address).await;
    let untouched = key(&sidegate, "second").await;
    assert_eq!((&untouched["success_rate"], &untouched["latency_ms"], &untouched["last_error"]), (&().into(), &().into(), &().into()));
    assert_eq!((&untouched["account"], &untouched["requests"], &untouched["weight"]), (&"org-b".into(), &0.into(), &1.0.into()));
    assert_eq!(key(&sidegate, "spare").await["state"], "unused");
    change(&sidegate, "second", "disable").await;

    let status = |line: &str| Script::reply(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n"));
    for script in [Script::ok("served"), status("404 Not Found"), status("429 Too Many Requests"), Script::on_request().close()] {
        provider.script(script);
        one_post(&sidegate, "/v1/files").await;
    }
    settled(&sidegate, 4).await;
    let first = key(&sidegate, "first").await;
    assert_eq!((&first["requests"], &first["success_rate"], &first["in_flight"]), (&4.into(), &0.5.into(), &0.into()));
    assert_eq!(first["last_error"]["class"], "closed");
    assert!(first["last_error"]["at"].as_str().unwrap().ends_with('Z'), "{first}");
    assert!(first["latency_ms"].as_f64().unwrap() > 0.0, "{first}");
    provider.script(status("503 Service Unavailable"));
    one(&sidegate, "/v1/models").await;
    settled(&sidegate, 5).await;
    assert_eq!(key(&sidegate, "first").await["last_error"]["class"], "http_503");
    // The other has seen nothing of it.
    assert_eq!(key(&sidegate, "second").await["requests"], 0);
}

#[tokio::test]
async fn a_client_that_leaves_is_not_held_against_the_key() {
    let (provider, reached) = (Provider::start().await, Gate::new());
    let sidegate = Sidegate::before(provider.address).await;
    provider.script(Script::on_request().tell(&reached).until_left());
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    reached.reached("the request").await;
    json_becomes(&sidegate, "/keys", |keys| keys["keys"][0]["in_flight"] == 1).await;
    drop(client);
    let keys = json_becomes(&sidegate, "/keys", |keys| keys["keys"][0]["requests"] == 1).await;
    assert_eq!((&keys["keys"][0]["success_rate"], &keys["keys"][0]["last_error"]), (&().into(), &().into()));
    sidegate
        .metric_becomes(
            &format!("sidegate_key_requests_total{{provider=\"scripted\",key={},status=\"left\"}}", keys["keys"][0]["fingerprint"]),
            1.0,
        )
        .await;
}
