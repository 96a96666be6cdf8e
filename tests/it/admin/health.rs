//! Keys and breakers as operators see them when something is wrong, and setting them right by hand.

use serde_json::Value;

use super::{THREE_KEYS, ask, code, credential, json, json_becomes, key, one};
use crate::support::{Client, Provider, Script, Sidegate};

const ASK: &str = r#"{"model":"gpt-4o","messages":[]}"#;

/// One key, and a breaker that opens soon and stays open for longer than a test takes.
const ONE_KEY: &str = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
providers:
  scripted:
    base_url: http://$UPSTREAM/v1
    keys: [{ name: only, value: "$KEY" }]
    breaker: { consecutive: 3, open: 5m }
routes: [{ path: /v1, targets: [scripted] }]
retry: { attempts: 1 }
"#;

fn failing() -> Script {
    Script::json("500 Internal Server Error", r#"{"error":{"message":"oops","type":"server_error"}}"#)
}

fn refusing() -> Script {
    Script::json(
        "401 Unauthorized",
        r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","code":"invalid_api_key"}}"#,
    )
}

/// Asks for this model; the status of the answer.
async fn chat(sidegate: &Sidegate, model: &str) -> u16 {
    let mut client = Client::connect(sidegate.address).await;
    client.post("/v1/chat/completions", &ASK.replace("gpt-4o", model)).await;
    client.reply("POST").await.status()
}

/// What an operator's word to a breaker is answered.
async fn tell(sidegate: &Sidegate, word: &str) -> Vec<Value> {
    let reply = ask(sidegate.admin, "POST", &format!("/breakers/scripted/{word}"), "").await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    reply.json()["breakers"].as_array().unwrap().clone()
}

/// The breaker of this model; of the host without one.
async fn breaker(sidegate: &Sidegate, model: Option<&str>) -> Value {
    let breakers = json(sidegate, "/breakers").await;
    let all = breakers["breakers"].as_array().unwrap();
    all.iter().find(|breaker| breaker["model"].as_str() == model).unwrap_or_else(|| panic!("none of {model:?} in {breakers}")).clone()
}

#[tokio::test]
async fn a_key_that_was_refused_says_so_until_it_is_reset() {
    let mut provider = Provider::start().await;
    let sidegate = Sidegate::start(THREE_KEYS, provider.address).await;
    provider.script(refusing());
    provider.otherwise(Script::ok("served"));
    assert_eq!(one(&sidegate, "/v1/models").await, 200);
    assert_eq!(credential(&mut provider).await, "Bearer sk-canary-first");
    assert_eq!(credential(&mut provider).await, "Bearer sk-canary-second");
    let first = key(&sidegate, "first").await;
    assert_eq!((&first["state"], &first["cause"], &first["until"]), (&"quarantined".into(), &"invalid_key".into(), &().into()));
    assert!(first["next_probe"].as_str().unwrap().ends_with('Z'), "{first}");
    assert_eq!(key(&sidegate, "second").await["state"], "active");
    let labels = format!("provider=\"scripted\",key={}", first["fingerprint"]);
    let moved = format!("sidegate_key_transitions_total{{{labels},to=\"quarantined\",cause=\"invalid_key\"}}");
    assert_eq!(sidegate.metric(&moved).await, 1.0);
    assert_eq!(sidegate.metric(&format!("sidegate_key_state{{{labels},state=\"quarantined\"}}")).await, 1.0);
    assert_eq!(sidegate.metric(r#"sidegate_attempt_swaps_total{provider="scripted"}"#).await, 1.0);
    for _ in 0..3 {
        assert_eq!(one(&sidegate, "/v1/models").await, 200);
        assert_eq!(credential(&mut provider).await, "Bearer sk-canary-second");
    }

    let reply = ask(sidegate.admin, "POST", &format!("/keys/{}/reset", first["id"].as_str().unwrap()), "").await;
    let told = reply.json();
    assert_eq!((&told["state"], &told["cause"], &told["next_probe"]), (&"active".into(), &().into(), &().into()));
    for _ in 0..2 {
        assert_eq!(one(&sidegate, "/v1/models").await, 200);
    }
    let used = [credential(&mut provider).await, credential(&mut provider).await];
    assert!(used.contains(&"Bearer sk-canary-first".to_owned()), "{used:?}");
}

#[tokio::test]
async fn with_every_key_in_quarantine_traffic_still_comes_or_nobody_would_find_out() {
    let provider = Provider::always(refusing()).await;
    let sidegate = Sidegate::start(ONE_KEY, provider.address).await;
    one(&sidegate, "/v1/models").await;
    assert_eq!(key(&sidegate, "only").await["state"], "quarantined");
    let health = sidegate.ask_admin("/health").await;
    let provider = &health.json()["providers"][0];
    assert_eq!((health.status(), &health.json()["status"]), (200, &"degraded".into()));
    assert_eq!((&provider["state"], &provider["keys_active"], &provider["keys_total"]), (&"down".into(), &0.into(), &1.into()));
    assert_eq!(sidegate.ask_admin("/readyz").await.status(), 200);
}

#[tokio::test]
async fn what_an_account_has_left_is_told_for_each_model() {
    let provider = Provider::always(Script::reply(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-ratelimit-limit-requests: 500\r\nx-ratelimit-remaining-requests: 420\r\n\
         x-ratelimit-reset-requests: 30s\r\nContent-Length: 2\r\n\r\n{}",
    ))
    .await;
    let sidegate = Sidegate::start(ONE_KEY, provider.address).await;
    assert_eq!(chat(&sidegate, "gpt-4o").await, 200);
    let keys = json_becomes(&sidegate, "/keys", |keys| keys["keys"][0]["models"][0]["model"] == "gpt-4o").await;
    let model = &keys["keys"][0]["models"][0];
    assert_eq!((&model["state"], &model["cause"], &model["until"]), (&"active".into(), &().into(), &().into()));
    let left = model["requests"]["remaining"].as_u64().unwrap();
    assert!((400..=500).contains(&left) && model["requests"]["limit"] == 500, "{model}");
}

#[tokio::test]
async fn a_models_breaker_tells_why_it_is_open_and_closes_when_an_operator_says_so() {
    let provider = Provider::always(failing()).await;
    let sidegate = Sidegate::start(ONE_KEY, provider.address).await;
    let host = breaker(&sidegate, None).await;
    assert_eq!(
        (&host["scope"], &host["state"], &host["forced"], &host["until"]),
        (&"host".into(), &"closed".into(), &().into(), &().into())
    );
    for _ in 0..3 {
        assert_eq!(chat(&sidegate, "gpt-4o").await, 500);
    }
    let open = breaker(&sidegate, Some("gpt-4o")).await;
    assert_eq!((&open["scope"], &open["state"], &open["reason"]), (&"model".into(), &"open".into(), &"server_error".into()));
    assert!(open["until"].as_str().unwrap().ends_with('Z'), "{open}");
    assert_eq!(sidegate.metric(r#"sidegate_breaker_state{provider="scripted",scope="model",state="open"}"#).await, 1.0);
    let moved = r#"sidegate_breaker_transitions_total{provider="scripted",scope="model",to="open",cause="server_error"}"#;
    assert_eq!(sidegate.metric(moved).await, 1.0);
    assert_eq!(sidegate.metric(r#"sidegate_attempt_total{provider="scripted",verdict="server_error"}"#).await, 3.0);
    let health = json(&sidegate, "/health").await;
    assert_eq!((&health["status"], &health["providers"][0]["state"]), (&"degraded".into(), &"degraded".into()));

    provider.otherwise(Script::json("200 OK", "{}"));
    let asked = provider.asked();
    assert_eq!(chat(&sidegate, "gpt-4o").await, 503);
    assert_eq!((provider.asked(), chat(&sidegate, "o3").await), (asked, 200), "the other model is served");
    assert_eq!(sidegate.metric(r#"sidegate_breaker_refused_total{provider="scripted",scope="model"}"#).await, 1.0);
    tell(&sidegate, "reset?model=gpt-4o").await;
    assert_eq!(chat(&sidegate, "gpt-4o").await, 200);
}

#[tokio::test]
async fn an_operator_holds_a_host_open_and_closed() {
    let provider = Provider::always(Script::json("200 OK", "{}")).await;
    let sidegate = Sidegate::start(ONE_KEY, provider.address).await;
    let told = tell(&sidegate, "open").await;
    assert_eq!((&told[0]["state"], &told[0]["forced"], &told[0]["reason"]), (&"open".into(), &"open".into(), &"operator".into()));
    assert_eq!((chat(&sidegate, "gpt-4o").await, provider.asked()), (503, 0));
    let health = sidegate.ask_admin("/health").await;
    assert_eq!((health.status(), &health.json()["providers"][0]["state"]), (200, &"down".into()));
    assert_eq!(sidegate.ask_admin("/readyz").await.status(), 200);

    let told = tell(&sidegate, "close").await;
    assert_eq!((&told[0]["state"], &told[0]["forced"]), (&"closed".into(), &"closed".into()));
    tell(&sidegate, "close?model=gpt-4o").await;
    provider.otherwise(failing());
    for _ in 0..5 {
        assert_eq!(chat(&sidegate, "gpt-4o").await, 500, "whatever becomes of it");
    }
    let told = tell(&sidegate, "reset").await;
    assert!(told.iter().all(|breaker| breaker["forced"] == Value::Null && breaker["state"] == "closed"), "{told:?}");
}

#[tokio::test]
async fn a_breaker_that_is_not_there_and_a_query_that_makes_no_sense_are_refused() {
    let provider = Provider::start().await;
    let config = ONE_KEY.replace("breaker: { consecutive: 3, open: 5m }", "breaker: off");
    let (sidegate, without) = (Sidegate::start(ONE_KEY, provider.address).await, Sidegate::start(&config, provider.address).await);
    let long = format!("/breakers/scripted/open?model={}", "m".repeat(300));
    for (at, path, status, told) in [
        (&sidegate, "/breakers/nobody/open", 404, "provider_not_found"),
        (&sidegate, "/breakers/%ff/reset", 404, "provider_not_found"),
        (&without, "/breakers/scripted/open", 404, "provider_not_found"),
        (&sidegate, "/breakers/scripted/open?modle=gpt-4o", 400, "query_wrong"),
        (&sidegate, "/breakers/scripted/open?model=", 400, "query_wrong"),
        (&sidegate, "/breakers/scripted/reset?model=a&model=b", 400, "query_wrong"),
        (&sidegate, &long, 400, "query_wrong"),
    ] {
        let reply = ask(at.admin, "POST", path, "").await;
        assert_eq!((reply.status(), code(&reply).as_str()), (status, told), "{path}");
    }
    assert_eq!(breaker(&sidegate, None).await["state"], "closed");
    assert_eq!(json(&without, "/breakers").await["breakers"], serde_json::json!([]));
}
