//! What a provider is told while it runs: keys that go and come back, faults of all or of one model; and what it counts as its work.

use std::time::Duration;

use serde_json::{Value, json};
use sidegate::simulator::Options;

use super::{
    caller::{DEADLINE, Protocol, Simulated, call, chat, request},
    quick,
    surface::{by, told},
};

async fn order(provider: &Simulated, order: &Value) -> u16 {
    told(provider, request("POST", "/_simulator", Some(order))).await.0
}

async fn status(provider: &Simulated, key: &str, model: &str) -> u16 {
    told(provider, by(key, "POST", "/v1/chat/completions", Some(&json!({ "model": model, "messages": [] })))).await.0
}

#[tokio::test]
async fn a_key_is_revoked_and_comes_back_and_its_account_runs_out_of_money() {
    let provider = Simulated::start(quick());
    let (first, second) = ("sk-account-a-1", "sk-account-a-2");
    assert_eq!(status(&provider, first, "m").await, 200);
    assert_eq!(order(&provider, &json!({ "key": first, "is": "invalid" })).await, 200);
    assert_eq!((status(&provider, first, "m").await, status(&provider, second, "m").await), (401, 200));
    assert_eq!(order(&provider, &json!({ "key": first, "is": "good" })).await, 200);
    assert_eq!(status(&provider, first, "m").await, 200);
    assert_eq!(order(&provider, &json!({ "key": first, "is": "dead" })).await, 200);
    assert_eq!((status(&provider, first, "m").await, status(&provider, second, "m").await), (429, 429));
}

#[tokio::test]
async fn a_key_that_flaps_is_refused_every_other_time() {
    let provider = Simulated::start(quick());
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(status(&provider, "sk-flapping-1", "m").await);
    }
    assert_eq!(statuses, [401, 200, 401, 200]);
}

#[tokio::test]
async fn a_fault_is_switched_on_and_off_for_one_model_and_for_all() {
    let provider = Simulated::start(quick());
    assert_eq!(order(&provider, &json!({ "model": "m", "fault": "503" })).await, 200);
    assert_eq!((status(&provider, "sk-1", "m").await, status(&provider, "sk-1", "other").await), (503, 200));
    assert_eq!(order(&provider, &json!({ "fault": "error-500" })).await, 200);
    assert_eq!((status(&provider, "sk-1", "m").await, status(&provider, "sk-1", "other").await), (500, 500));
    assert_eq!(order(&provider, &json!({ "fault": null })).await, 200);
    assert_eq!((status(&provider, "sk-1", "m").await, status(&provider, "sk-1", "other").await), (503, 200));
    assert_eq!(order(&provider, &json!({ "model": "m", "fault": null })).await, 200);
    assert_eq!(status(&provider, "sk-1", "m").await, 200);
}

#[tokio::test]
async fn an_order_that_means_nothing_is_refused_and_changes_nothing() {
    let provider = Simulated::start(quick());
    for wrong in [
        json!({}),
        json!([]),
        json!({ "key": "sk-1" }),
        json!({ "key": "sk-1", "is": "sad" }),
        json!({ "key": 1, "is": "dead" }),
        json!({ "key": "sk-1", "is": "dead", "fault": "503" }),
        json!({ "fault": "unheard-of" }),
        json!({ "model": "m" }),
        json!({ "model": "m", "fault": "503", "for": "1s" }),
    ] {
        assert_eq!(order(&provider, &wrong).await, 400, "{wrong}");
    }
    assert_eq!(status(&provider, "sk-1", "m").await, 200);
}

#[tokio::test]
async fn accounts_have_limits_of_their_own_and_shallow_buckets() {
    let quotas = vec!["small=60/-".parse().unwrap(), "large=6000/-".parse().unwrap()];
    let provider = Simulated::start(Options { quotas, bucket: Duration::from_secs(2), ..quick() });
    let field = async |key: &str, name: &str| {
        let reply = call(&provider, Protocol::Http1, by(key, "POST", "/v1/embeddings", Some(&json!({ "model": "m", "input": "" })))).await;
        (reply.status().as_u16(), reply.headers()[name].to_str().unwrap().to_owned())
    };
    assert_eq!(field("sk-account-small-1", "x-ratelimit-limit-requests").await, (200, "60".to_owned()));
    assert_eq!(field("sk-account-small-2", "x-ratelimit-remaining-requests").await, (200, "0".to_owned()));
    assert_eq!(field("sk-account-large-1", "x-ratelimit-remaining-requests").await, (200, "199".to_owned()));
    assert_eq!(field("sk-1", "x-ratelimit-limit-requests").await, (200, "10000".to_owned()), "an account without");
}

#[tokio::test]
async fn what_a_provider_goes_to_work_on_is_counted_once_and_refusals_are_not() {
    let mut provider = Simulated::start(quick());
    let named = |model: &str, key: &str, id: &str| {
        let mut request = by(key, "POST", "/v1/chat/completions", Some(&json!({ "model": model, "messages": [] })));
        request.headers_mut().insert("x-request-id", id.parse().unwrap());
        request
    };
    for (model, key, processed) in [
        ("m", "sk-1", true),
        ("m", "sk-1", true),
        ("fault-truncated", "sk-1", true),
        ("fault-503", "sk-1", false),
        ("fault-400", "sk-1", false),
        ("m", "sk-invalid-1", false),
        ("m", "sk-dead-1", false),
    ] {
        drop(call(&provider, Protocol::Http1, named(model, key, "id-7")).await);
        let seen = provider.seen().await;
        assert_eq!((seen.processed, seen.request_id.as_deref()), (processed, Some("id-7")), "{model} {key}");
    }
    assert_eq!(provider.counters().processed(), 3);

    let hangs = tokio::time::timeout(Duration::from_millis(100), call(&provider, Protocol::Http1, chat(&json!({ "model": "fault-hang" }))));
    assert!(hangs.await.is_err(), "a hanging model answered");
    let seen = tokio::time::timeout(DEADLINE, provider.seen()).await.unwrap();
    assert!(seen.processed, "nobody can tell that nothing came of it");
    let counts = told(&provider, request("GET", "/_simulator", None)).await.1;
    assert_eq!(counts["all"]["processed"], 4);
}
