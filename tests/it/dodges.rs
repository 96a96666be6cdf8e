//! Who would like to be counted less than others: what a client can write into a request so that a limit does not see it.

use crate::support::{Client, Provider, Script, Sidegate, client::Reply};

const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

fn told(usage: &str) -> Script {
    let body = format!("{{\"usage\":{usage}}}");
    Script::reply(format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

async fn post(sidegate: &Sidegate, target: &str, fields: &str, body: &str) -> Reply {
    let mut client = Client::connect(sidegate.address).await;
    client.post_with(target, fields, body).await;
    client.reply("POST").await
}

/// Whether a request is refused that follows upon one which took more than there is.
async fn is_counted(provider: &Provider, limits: &str, target: &str, fields: &str, body: &str) -> bool {
    let sidegate = Sidegate::with(limits, provider.address).await;
    assert_eq!(post(&sidegate, target, fields, body).await.status(), 200, "{target}");
    sidegate.log(1).await;
    post(&sidegate, target, fields, body).await.status() == 429
}

const TOKENS: &str = "limits: [{ name: t, per: all, tokens: 2000/day }]\n";

#[tokio::test]
async fn a_stream_of_text_completions_is_counted_and_asked_for_its_usage() {
    let word = "data: {\"object\":\"text_completion\",\"choices\":[{\"text\":\" word\",\"index\":0,\"logprobs\":null}]}\n\n";
    let told = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4000}}\n\n";
    let ask = r#"{"model":"m","stream":true,"prompt":"x"}"#;
    for (events, seen) in [(word.repeat(3_000), word.repeat(3_000)), (format!("{word}{told}"), word.to_owned())] {
        let mut provider = Provider::always(Script::on_request().write(STREAM).chunk(&events).write("0\r\n\r\n")).await;
        assert!(is_counted(&provider, TOKENS, "/v1/completions", "", ask).await);
        let request = provider.request().await;
        assert!(String::from_utf8(request.body.bytes).unwrap().contains("include_usage"));
        let sidegate = Sidegate::with(TOKENS, provider.address).await;
        assert_eq!(post(&sidegate, "/v1/completions", "", ask).await.text(), seen);
    }
}

#[tokio::test]
async fn a_reply_comes_in_a_coding_that_can_be_read_where_it_is_counted() {
    let ask = r#"{"model":"m"}"#;
    for (limits, asked, expected) in [
        (TOKENS, "Accept-Encoding: br\r\n", Some("identity")),
        (TOKENS, "Accept-Encoding: gzip, deflate, br, zstd\r\n", Some("gzip, deflate")),
        (TOKENS, "Accept-Encoding: br;q=1.0\r\nAccept-Encoding: gzip;q=0.5, *;q=0.1\r\n", Some("gzip;q=0.5")),
        (TOKENS, "Accept-Encoding: gzip ,identity;q=0\r\n", Some("gzip ,identity;q=0")),
        (TOKENS, "", None),
        ("limits: [{ name: r, per: all, requests: 9/s }]\n", "Accept-Encoding: br, gzip\r\n", Some("br, gzip")),
    ] {
        let mut provider = Provider::always(told("{}")).await;
        let sidegate = Sidegate::with(limits, provider.address).await;
        assert_eq!(post(&sidegate, "/v1/chat/completions", asked, ask).await.status(), 200);
        let request = provider.request().await;
        assert_eq!(request.head.get("accept-encoding").as_deref(), expected, "{asked}");
    }
}

#[tokio::test]
async fn a_model_that_stands_where_nobody_looks_is_any_model() {
    let limits = "limits: [{ name: dear, per: all, when: { model: dear }, requests: 1/day }]\n";
    let provider = Provider::always(told("{}")).await;
    for target in ["/v1/images/edits", "/v1/audio/transcriptions", "/v1/realtime/calls", "/v1/realtime?intent=x"] {
        assert!(is_counted(&provider, limits, target, "Content-Type: multipart/form-data; boundary=b\r\n", "--b--\r\n").await, "{target}");
    }
    assert!(!is_counted(&provider, limits, "/v1/files", "", "x").await, "what has no model is not concerned");
    assert!(!is_counted(&provider, limits, "/v1/chat/completions", "", r#"{"model":"cheap"}"#).await);
}

#[tokio::test]
async fn a_model_that_may_yet_be_another_is_any_model() {
    let bounds = "body: { buffer: 1KiB }\n";
    let limits = format!("{bounds}limits: [{{ name: dear, per: all, when: {{ model: dear }}, requests: 1/day }}]\n");
    let provider = Provider::always(told("{}")).await;
    let long = format!(r#"{{"model":"cheap","x":"{}","model":"dear"}}"#, "x".repeat(100_000));
    assert!(is_counted(&provider, &limits, "/v1/chat/completions", "", &long).await);
    let limits = format!("{bounds}limits: [{{ name: each, per: model, requests: 1/day }}]\n");
    let sidegate = Sidegate::with(&limits, provider.address).await;
    let mut statuses = Vec::new();
    for other in ["a", "b"] {
        statuses.push(post(&sidegate, "/v1/chat/completions", "", &long.replace("cheap", other)).await.status());
    }
    assert_eq!(statuses, [200, 429], "a name of its own each time is no model of its own");
    let prices = "prices: { models: { cheap: { input: 0, output: 0 }, dear: { input: 1000, output: 1000 } } }\n";
    let limits = format!("{bounds}{prices}limits: [{{ name: money, per: all, cost: 10/day }}]\n");
    let provider = Provider::always(told(r#"{"prompt_tokens":90000000,"completion_tokens":1}"#)).await;
    assert!(is_counted(&provider, &limits, "/v1/chat/completions", "", &long).await, "nor is it as cheap");
}

#[tokio::test]
async fn a_conversation_that_is_compacted_is_counted() {
    let provider = Provider::always(told(r#"{"input_tokens":4000,"output_tokens":10}"#)).await;
    assert!(is_counted(&provider, TOKENS, "/v1/responses/compact", "", r#"{"model":"m","input":"x"}"#).await);
}
