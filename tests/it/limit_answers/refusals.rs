//! A refusal names its limit and says when to come back, and what it says is true.

use std::time::Duration;

use serde_json::Value;

use super::{ask, fields, limits, texts};
use crate::support::{Client, Gate, Provider, Script, Sidegate, client::Reply};

/// Code, type and message.
fn error(reply: &Reply) -> [String; 3] {
    let body = reply.json();
    assert_eq!((reply.status(), &body["error"]["param"]), (429, &Value::Null), "{body}");
    ["code", "type", "message"].map(|member| body["error"][member].as_str().unwrap().to_owned())
}

/// A field that is a number.
fn number(reply: &Reply, name: &str) -> Option<u64> {
    reply.head.get(name).map(|text| text.parse().unwrap())
}

#[tokio::test]
async fn a_long_wait_is_told_and_left_to_the_program() {
    let provider = Provider::always(Script::ok("served")).await;
    let sidegate = Sidegate::with(&limits("{ name: free, per: all, requests: 2/15min }"), provider.address).await;
    for _ in 0..2 {
        assert_eq!(ask(&sidegate, "/v1/models").await.text(), "served");
    }
    let refused = ask(&sidegate, "/v1/models").await;
    let seconds = number(&refused, "retry-after").unwrap();
    assert!((840..=900).contains(&seconds), "{seconds}");
    let (minutes, rest) = (seconds / 60, seconds % 60);
    let message = format!("Limit `free` (2 requests in 15 minutes) is used up. Please try again in {minutes}m{rest}s.");
    assert_eq!(error(&refused), ["rate_limit_exceeded", "requests", message.as_str()]);
    let names = ["x-sidegate-limit", "x-should-retry", "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests"];
    assert_eq!(fields(&refused.head, names), texts(["free", "false", "2", "0"]));
    assert_eq!(number(&refused, "retry-after-ms"), None);
    assert!(refused.head.get("x-ratelimit-reset-requests").unwrap().starts_with("1"));
    assert_eq!(refused.head.get("x-ratelimit-limit-tokens"), None);
    assert_eq!(provider.asked(), 2);
    let line = sidegate.log(3).await.pop().unwrap();
    assert_eq!((&line["status"], &line["error"], &line["end"]), (&429.into(), &"rate_limit_exceeded".into(), &"rejected".into()));
    sidegate.metric_becomes(r#"sidegate_rejects_total{code="rate_limit_exceeded"}"#, 1.0).await;
}

#[tokio::test]
async fn who_waits_as_long_as_he_is_told_is_served() {
    let provider = Provider::always(Script::ok("served")).await;
    let sidegate = Sidegate::with(&limits("{ name: brisk, per: all, requests: 1/s }"), provider.address).await;
    assert_eq!(ask(&sidegate, "/v1/models").await.text(), "served");
    // How long the machine takes for the next request is its own affair: it may come when there is room again.
    let refused = loop {
        let reply = ask(&sidegate, "/v1/models").await;
        if reply.status() == 429 {
            break reply;
        }
    };
    let (seconds, millis) = (number(&refused, "retry-after"), number(&refused, "retry-after-ms").unwrap());
    assert_eq!((seconds, refused.head.get("x-should-retry")), (Some(1), None));
    assert!((1..=1_001).contains(&millis), "{millis}");
    assert_eq!(error(&refused)[2], "Limit `brisk` (1 request a second) is used up. Please try again in 1s.");
    tokio::time::sleep(Duration::from_millis(millis)).await;
    assert_eq!(ask(&sidegate, "/v1/models").await.text(), "served");
}

/// Who waits for `100 Continue` never gets it, and the provider never hears of the request.
#[tokio::test]
async fn nobody_is_invited_to_send_what_is_refused_already() {
    let provider = Provider::always(Script::ok("served")).await;
    let sidegate = Sidegate::with(&limits("{ name: free, per: all, requests: 1/day }"), provider.address).await;
    assert_eq!(ask(&sidegate, "/v1/models").await.status(), 200);
    let mut client = Client::connect(sidegate.address).await;
    let fields = "Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 40\r\n";
    client.send(format!("POST /v1/chat/completions HTTP/1.1\r\nHost: sidegate.test\r\n{fields}\r\n")).await;
    assert_eq!(client.head().await.status(), 429);
    assert_eq!((provider.asked(), sidegate.metric("sidegate_body_buffered_bytes").await), (1, 0.0));
}

#[tokio::test]
async fn a_place_among_those_at_the_same_time_is_asked_for_again_soon() {
    let (provider, asked, gate) = (Provider::start().await, Gate::new(), Gate::new());
    provider.script(Script::on_request().tell(&asked).wait(&gate).write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    let sidegate = Sidegate::with(&limits("{ name: one, per: all, concurrent: 1 }"), provider.address).await;
    let mut first = Client::connect(sidegate.address).await;
    first.get("/v1/models").await;
    asked.reached("the provider").await;
    let refused = ask(&sidegate, "/v1/models").await;
    let message = "Limit `one` (1 request at the same time) is used up. Please try again when one of them has ended.";
    assert_eq!(error(&refused), ["rate_limit_exceeded", "requests", message]);
    let millis = number(&refused, "retry-after-ms").unwrap();
    assert!((1_002..=2_000).contains(&millis), "{millis}");
    assert_eq!(number(&refused, "retry-after"), Some(2));
    assert_eq!(fields(&refused.head, ["x-should-retry", "x-ratelimit-limit-requests"]), [None, None]);
    gate.open();
    assert_eq!(first.reply("GET").await.status(), 200);
}

#[tokio::test]
async fn of_several_limits_the_longest_wait_counts_and_the_tightest_is_told() {
    let provider = Provider::always(Script::ok("served")).await;
    let both = "{ name: hourly, per: all, requests: 1/h }, { name: daily, per: all, requests: 2/24h }";
    let sidegate = Sidegate::with(&limits(both), provider.address).await;
    let first = ask(&sidegate, "/v1/models").await;
    assert_eq!(fields(&first.head, ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests"]), texts(["1", "0"]));
    let refused = ask(&sidegate, "/v1/models").await;
    assert_eq!(refused.head.get("x-sidegate-limit").as_deref(), Some("hourly"));
    assert!(error(&refused)[2].starts_with("Limit `hourly` (1 request an hour) is used up."));
}

/// Who guesses is told so, and that to wait with the same key is of no use.
#[tokio::test]
async fn too_many_credentials_that_fail_are_no_reason_to_wait() {
    let provider = Provider::start().await;
    let sections = format!("clients: {{ anonymous: free }}\n{}", limits("{ name: guessing, per: ip, failed_auth: 1/15min }"));
    let sidegate = Sidegate::with(&sections, provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.get_with("/v1/models", "x-api-key: sg-wrong\r\n").await;
    assert_eq!(client.reply("GET").await.status(), 401);
    client.get_with("/v1/models", "x-api-key: sg-wrong\r\n").await;
    let refused = client.reply("GET").await;
    let [code, kind, message] = error(&refused);
    assert_eq!((code.as_str(), kind.as_str()), ("too_many_failed_credentials", "authentication_error"));
    assert!(message.starts_with("Limit `guessing` (1 failed credential in 15 minutes) is used up. Please try again in 1"), "{message}");
    assert_eq!(fields(&refused.head, ["x-sidegate-limit", "x-should-retry"]), texts(["guessing", "false"]));
    assert!(number(&refused, "retry-after").is_some_and(|seconds| (840..=900).contains(&seconds)));
    assert_eq!(fields(&refused.head, ["retry-after-ms", "x-ratelimit-limit-requests"]), [None, None]);
}

/// The limits of both steps are told, whichever refuses.
#[tokio::test]
async fn a_limit_for_a_model_refuses_beside_one_for_all() {
    let provider = Provider::always(Script::ok("served")).await;
    let both = "{ name: all, per: all, requests: 100/h }, { name: costly, when: { model: \"o*\" }, per: model, requests: 1/h }";
    let sidegate = Sidegate::with(&limits(both), provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    for (model, status, limit) in [("o3", 200, None), ("o3", 429, Some("costly")), ("gpt-4o", 200, None)] {
        client.post("/v1/chat/completions", &format!(r#"{{"model":"{model}"}}"#)).await;
        let reply = client.reply("POST").await;
        assert_eq!((reply.status(), reply.head.get("x-sidegate-limit").as_deref()), (status, limit), "{model}");
        let tightest = if model == "o3" { "1" } else { "100" };
        assert_eq!(reply.head.get("x-ratelimit-limit-requests").as_deref(), Some(tightest), "{model}");
    }
}
