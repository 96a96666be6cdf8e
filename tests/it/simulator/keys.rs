//! Keys and their accounts: limits, standings, counts, and faults that come by chance.

use std::time::Duration;

use serde_json::{Value, json};
use sidegate::simulator::{Limits, Options};

use super::{
    caller::{Protocol, Simulated, body, call, chat, request},
    quick,
    surface::{by, told},
};

#[tokio::test]
async fn an_account_is_limited_as_a_whole_and_every_reply_says_where_it_stands() {
    let provider = Simulated::start(Options { limits: Limits { requests: Some(2), tokens: None }, ..quick() });
    let ask = |key: &str| by(key, "POST", "/v1/chat/completions", Some(&json!({ "model": "gpt-4o", "messages": [] })));
    let reply = call(&provider, Protocol::Http1, ask("sk-account-a-1")).await;
    let field = |name: &str| reply.headers()[name].to_str().unwrap().to_owned();
    assert_eq!((field("x-ratelimit-limit-requests"), field("x-ratelimit-remaining-requests")), ("2".to_owned(), "1".to_owned()));
    assert!(field("x-ratelimit-reset-requests").ends_with('s'));
    assert_eq!(told(&provider, ask("sk-account-a-2")).await.0, 200);

    let reply = call(&provider, Protocol::Http1, ask("sk-account-a-3")).await;
    assert_eq!((reply.status().as_u16(), &reply.headers()["x-ratelimit-remaining-requests"]), (429, &"0".parse().unwrap()));
    let wait: u64 = reply.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    let error: Value = serde_json::from_slice(&body(reply).await).unwrap();
    assert_eq!((&error["error"]["code"], &error["error"]["type"]), (&json!("rate_limit_exceeded"), &json!("requests")));
    assert_eq!(told(&provider, ask("sk-account-b-1")).await.0, 200, "another account");
}

#[tokio::test]
async fn tokens_are_limited_by_what_a_request_may_take() {
    let provider = Simulated::start(Options { limits: Limits { requests: None, tokens: Some(60) }, ..quick() });
    let ask = |most: usize| by("sk-a", "POST", "/v1/chat/completions", Some(&json!({ "model": "m", "messages": [], "max_tokens": most })));
    assert_eq!(told(&provider, ask(12)).await.0, 200);
    assert_eq!(told(&provider, ask(12)).await.0, 200);
    let (status, error) = told(&provider, ask(12)).await;
    assert_eq!((status, &error["error"]["type"]), (429, &json!("tokens")));
    assert_eq!(told(&provider, by("sk-a", "GET", "/v1/models", None)).await.0, 200, "it takes no tokens");
}

#[tokio::test]
async fn each_dialect_tells_of_a_limit_in_its_own_way() {
    let provider = Simulated::start(Options { limits: Limits { requests: Some(1), tokens: None }, ..quick() });
    let ask = || {
        let mut ask = request("GET", "/v1/models", None);
        ask.headers_mut().insert("x-api-key", "k".parse().unwrap());
        ask.headers_mut().insert("anthropic-version", "2023-06-01".parse().unwrap());
        ask
    };
    let reply = call(&provider, Protocol::Http1, ask()).await;
    let reset = reply.headers()["anthropic-ratelimit-requests-reset"].to_str().unwrap();
    assert_eq!((reply.status().as_u16(), reset.len(), reset.as_bytes()[10], reset.as_bytes()[19]), (200, 20, b'T', b'Z'));
    let reply = call(&provider, Protocol::Http1, ask()).await;
    assert_eq!((reply.status().as_u16(), reply.headers().contains_key("retry-after")), (429, true));

    let ask = || request("GET", "/v1beta/models?key=AIza", None);
    assert_eq!(told(&provider, ask()).await.0, 200);
    let (status, error) = told(&provider, ask()).await;
    let delay = error["error"]["details"][1]["retryDelay"].as_str().unwrap();
    assert!(status == 429 && delay.ends_with('s') && delay.trim_end_matches('s').parse::<f64>().unwrap() > 1.0, "{error}");
}

#[tokio::test]
async fn a_key_may_be_dead_by_its_name() {
    let provider = Simulated::start(quick());
    for (key, status, code) in [
        ("sk-invalid-1", 401, "invalid_api_key"),
        ("sk-dead-1", 429, "insufficient_quota"),
        ("sk-forbidden-1", 403, "insufficient_permissions"),
    ] {
        let reply = call(&provider, Protocol::Http1, by(key, "GET", "/v1/models", None)).await;
        assert!(reply.headers().get("retry-after").is_none());
        let (seen, error): (u16, Value) = (reply.status().as_u16(), serde_json::from_slice(&body(reply).await).unwrap());
        assert_eq!((seen, &error["error"]["code"]), (status, &json!(code)), "{key}");
    }
}

#[tokio::test]
async fn the_admin_path_tells_what_each_key_did_and_never_shows_one() {
    let provider = Simulated::start(Options { tokens_per_second: 50.0, length: 1_000, ..quick() });
    let mut stream = chat(&json!({ "model": "gpt-4o", "messages": [], "stream": true }));
    stream.headers_mut().insert("authorization", "Bearer sk-dead-very-secret".parse().unwrap());
    assert_eq!(call(&provider, Protocol::Http1, stream).await.status(), 429);
    let open = call(
        &provider,
        Protocol::Http1,
        by("sk-a", "POST", "/v1/chat/completions", Some(&json!({ "model": "m", "messages": [], "stream": true }))),
    )
    .await;

    let counts = || async { told(&provider, request("GET", "/_simulator", None)).await.1 };
    let now = counts().await;
    assert!(!now.to_string().contains("secret"), "{now}");
    let row = |counts: &Value, which: &dyn Fn(&Value) -> bool| counts["keys"].as_object().unwrap().values().find(|row| which(row)).cloned();
    let dead = row(&now, &|row| row["status_429"] == 1).unwrap();
    assert_eq!((&dead["requests"], &dead["open"]), (&json!(1), &json!(0)));
    let busy = row(&now, &|row| row["open"] == 1).unwrap();
    assert_eq!((&busy["requests"], &busy["max_concurrent"], &busy["cancelled"]), (&json!(1), &json!(1), &json!(0)));

    drop(open);
    let deadline = tokio::time::Instant::now() + super::caller::DEADLINE;
    while row(&counts().await, &|row| row["cancelled"] == 1 && row["open"] == 0).is_none() {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(told(&provider, request("DELETE", "/_simulator", None)).await.0, 200);
    let after = counts().await;
    assert!(after["keys"].as_object().unwrap().values().all(|row| row["requests"] == 0 && row["cancelled"] == 0), "{after}");
}

#[tokio::test]
async fn faults_come_by_chance_and_the_same_ones_for_the_same_seed() {
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let faults = vec!["error-500=30%".parse().unwrap()];
        let provider = Simulated::start(Options { faults, seed, ..quick() });
        let mut statuses = Vec::new();
        for _ in 0..40 {
            statuses.push(told(&provider, chat(&json!({ "model": "gpt-4o", "messages": [] }))).await.0);
        }
        runs.push(statuses);
    }
    let failed = runs[0].iter().filter(|status| **status == 500).count();
    assert!((4..=20).contains(&failed), "{failed} of 40");
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn several_threads_serve_one_provider() {
    let provider = Simulated::start(Options { workers: 3, ..quick() });
    for _ in 0..12 {
        assert_eq!(told(&provider, by("sk-a", "POST", "/v1/threads", Some(&json!({})))).await.0, 200);
    }
    assert_eq!(told(&provider, by("sk-a", "GET", "/v1/threads?limit=50", None)).await.1["data"].as_array().unwrap().len(), 12);
    assert_eq!(provider.counters().requests(), 13);
}
