//! What replies tell of their tokens is counted, and nothing of a reply changes for it.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use sidegate::simulator::{Options, start};

use crate::support::{Client, Gate, Provider, Script, Sidegate, eventually};

/// Every dialect before one provider, models told apart.
const ALL: &str = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
metrics: { models: ["gpt-4o-mini*", "gpt-*"] }
providers:
  openai: { base_url: "http://$UPSTREAM/v1", http_version: "1.1", keys: [{ name: pool, value: "$KEY" }] }
  anthropic: { dialect: anthropic, base_url: "http://$UPSTREAM/v1", http_version: "1.1", keys: [{ name: pool, value: "$KEY" }] }
  gemini: { dialect: gemini, base_url: "http://$UPSTREAM/v1beta", http_version: "1.1", keys: [{ name: pool, value: "$KEY" }] }
routes:
  - { path: /anthropic, models: ["claude-*"], targets: [anthropic] }
  - { path: /v1beta, targets: [gemini] }
  - { path: /v1, targets: [openai] }
"#;

const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const WORD: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\n";
const TOLD: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":16,\"completion_tokens\":4,\"prompt_tokens_details\":{\"cached_tokens\":6}}}\n\n";
const ASK: &str = r#"{"model":"gpt-4o","stream":true}"#;

fn tokens(line: &Value) -> (Option<u64>, Option<u64>) {
    (line["tokens_in"].as_u64(), line["tokens_out"].as_u64())
}

/// The only line of the log, as soon as it is there.
async fn only_line(sidegate: &Sidegate) -> Value {
    sidegate.log(1).await.remove(0)
}

async fn counted(sidegate: &Sidegate, of: &str, kind: &str) -> f64 {
    sidegate.metric(&format!("sidegate_tokens_total{{{of},kind=\"{kind}\"}}")).await
}

/// What a reply says of its tokens, by the names that each dialect uses, read by looking at all of it.
fn said(reply: &str) -> (Option<u64>, Option<u64>) {
    let objects = reply.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
    let (mut input, mut output) = (None, None);
    for object in objects.filter_map(|object| serde_json::from_str::<Value>(object).ok()) {
        for usage in [&object["usage"], &object["usageMetadata"], &object["response"]["usage"], &object["message"]["usage"]] {
            let last = |names: [&str; 3], before| names.iter().find_map(|name| usage[*name].as_u64()).or(before);
            input = last(["prompt_tokens", "input_tokens", "promptTokenCount"], input);
            output = last(["completion_tokens", "output_tokens", "candidatesTokenCount"], output);
        }
    }
    (input, output)
}

#[tokio::test]
async fn every_dialect_is_counted_streamed_or_whole() {
    let options = Options { first_token: Duration::ZERO, tokens_per_second: f64::INFINITY, length: 12, ..Options::default() };
    let provider = start(options).unwrap();
    let messages = json!([{ "role": "user", "content": "hello" }]);
    let chat = |stream: bool| json!({ "model": "gpt-4o-mini-2024", "messages": messages, "stream": stream, "stream_options": { "include_usage": true } });
    let chat_whole = json!({ "model": "gpt-4o-mini-2024", "messages": messages });
    let responses = |stream: bool| json!({ "model": "gpt-5", "input": "hello", "stream": stream });
    let claude = |stream: bool| json!({ "model": "claude-x", "max_tokens": 50, "messages": messages, "stream": stream });
    let contents = json!({ "contents": [{ "role": "user", "parts": [{ "text": "hello" }] }] });
    for (target, ask, of) in [
        ("/v1/chat/completions", chat(true), r#"route="/v1",provider="openai",model="gpt-4o-mini*""#),
        ("/v1/chat/completions", chat_whole, r#"route="/v1",provider="openai",model="gpt-4o-mini*""#),
        ("/v1/responses", responses(true), r#"route="/v1",provider="openai",model="gpt-*""#),
        ("/v1/responses", responses(false), r#"route="/v1",provider="openai",model="gpt-*""#),
        ("/anthropic/messages", claude(true), r#"route="/anthropic",provider="anthropic",model="claude-*""#),
        ("/anthropic/messages", claude(false), r#"route="/anthropic",provider="anthropic",model="claude-*""#),
        ("/v1beta/models/g:streamGenerateContent?alt=sse", contents.clone(), r#"route="/v1beta",provider="gemini",model="other""#),
        ("/v1beta/models/g:streamGenerateContent", contents.clone(), r#"route="/v1beta",provider="gemini",model="other""#),
        ("/v1beta/models/g:generateContent", contents.clone(), r#"route="/v1beta",provider="gemini",model="other""#),
    ] {
        let sidegate = Sidegate::start(ALL, provider.address()).await;
        let mut client = Client::connect(sidegate.address).await;
        let version = if target.starts_with("/anthropic") { "anthropic-version: 2023-06-01\r\n" } else { "" };
        client.post_with(target, version, &ask.to_string()).await;
        let reply = client.reply("POST").await;
        assert_eq!(reply.status(), 200, "{target}: {}", reply.text());
        let line = only_line(&sidegate).await;
        let text = reply.text();
        let expected = said(&if target.ends_with("streamGenerateContent") { one_value_a_line(&text) } else { text });
        assert!(expected.0.is_some() && expected.1.is_some(), "{target} tells nothing: {}", reply.text());
        assert_eq!(tokens(&line), expected, "{target}: {ask}");
        assert_eq!(counted(&sidegate, of, "input").await, expected.0.unwrap() as f64, "{target}: {ask}");
        assert_eq!(counted(&sidegate, of, "output").await, expected.1.unwrap() as f64, "{target}: {ask}");
    }
}

fn one_value_a_line(array: &str) -> String {
    let values: Vec<Value> = serde_json::from_str(array).unwrap();
    values.iter().map(|value| format!("{value}\n")).collect()
}

#[tokio::test]
async fn a_stream_is_counted_however_it_is_cut_and_passes_as_it_came() {
    let events = format!("{WORD}{WORD}{TOLD}data: [DONE]\n\n");
    for size in [1, 2, 7, 50, events.len()] {
        let chunks = events.as_bytes().chunks(size).map(|part| format!("{:x}\r\n{}\r\n", part.len(), String::from_utf8_lossy(part)));
        let provider = Provider::always(Script::on_request().write(STREAM).write(chunks.collect::<String>() + "0\r\n\r\n")).await;
        let sidegate = Sidegate::before(provider.address).await;
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", ASK).await;
        assert_eq!(client.reply("POST").await.text(), events, "parts of {size}");
        assert_eq!(tokens(&only_line(&sidegate).await), (Some(16), Some(4)), "parts of {size}");
        let of = r#"route="/v1",provider="scripted",model="other""#;
        assert_eq!(counted(&sidegate, of, "cached").await, 6.0);
        assert_eq!(sidegate.metric(&format!("sidegate_ttft_seconds_count{{{of}}}")).await, 1.0);
        assert_eq!(sidegate.metric(&format!("sidegate_request_duration_seconds_count{{{of}}}")).await, 1.0);
    }
}

#[tokio::test]
async fn an_encoded_reply_is_counted_and_passes_as_it_came() {
    let gzip = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let body = r#"{"choices":[],"usage":{"prompt_tokens":16,"completion_tokens":4}}"#;
    let events = format!("{WORD}{TOLD}data: [DONE]\n\n");
    for (media, coding, encoded, expected) in [
        ("application/json", "gzip", gzip(body), (Some(16), Some(4))),
        ("text/event-stream", "gzip", gzip(&events), (Some(16), Some(4))),
        ("application/json", "gzip", b"this is no gzip at all".to_vec(), (None, None)),
        ("application/json", "br", b"a coding that is not read".to_vec(), (None, None)),
    ] {
        let coded = format!("Content-Type: {media}\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n", encoded.len());
        let script = Script::on_request().write(format!("HTTP/1.1 200 OK\r\n{coded}\r\n")).write(encoded.clone());
        let provider = Provider::always(script).await;
        let sidegate = Sidegate::before(provider.address).await;
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", ASK).await;
        assert_eq!(client.reply("POST").await.body.bytes, encoded, "{media}, {coding}");
        assert_eq!(tokens(&only_line(&sidegate).await), expected, "{media}, {coding}");
    }
}

#[tokio::test]
async fn what_was_told_before_a_stream_ended_early_counts() {
    let told = Gate::new();
    let head = |script: Script| script.write(STREAM).chunk(WORD).chunk(TOLD);
    let truncated = head(Script::on_request()).close();
    let open = head(Script::on_request()).tell(&told).until_left();
    for (end, script) in [("truncated", truncated), ("left", open)] {
        let provider = Provider::always(script).await;
        let sidegate = Sidegate::before(provider.address).await;
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", ASK).await;
        client.until(TOLD).await;
        if end == "left" {
            told.reached("the provider has told").await;
            assert_eq!(sidegate.metric(r#"sidegate_streams_open{route="/v1",provider="scripted"}"#).await, 1.0);
        }
        drop(client);
        let line = only_line(&sidegate).await;
        assert_eq!((line["end"].as_str(), tokens(&line)), (Some(end), (Some(16), Some(4))));
        assert_eq!(sidegate.metric(r#"sidegate_streams_open{route="/v1",provider="scripted"}"#).await, 0.0);
    }
}

#[tokio::test]
async fn only_replies_of_models_that_succeed_are_read() {
    let usage = r#"{"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    let text = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 51\r\n\r\n";
    let refused = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 51\r\n\r\n";
    for (name, method, target, script, expected) in [
        ("a completion", "POST", "/v1/chat/completions", Script::json("200 OK", usage), (Some(1), Some(2))),
        ("a transcription, whose request is a form", "POST", "/v1/audio/transcriptions", Script::json("200 OK", usage), (Some(1), Some(2))),
        ("a response that was stored before", "GET", "/v1/responses/resp_1", Script::json("200 OK", usage), (None, None)),
        ("an operation of no model", "POST", "/v1/files", Script::json("200 OK", usage), (None, None)),
        ("a reply that is no JSON", "POST", "/v1/chat/completions", Script::reply(format!("{text}{usage}")), (None, None)),
        ("a refusal", "POST", "/v1/chat/completions", Script::reply(format!("{refused}{usage}")), (None, None)),
    ] {
        assert_eq!(usage.len(), 51);
        let provider = Provider::always(script).await;
        let sidegate = Sidegate::before(provider.address).await;
        let mut client = Client::connect(sidegate.address).await;
        client.send(format!("{method} {target} HTTP/1.1\r\nHost: sidegate.test\r\nContent-Length: 2\r\n\r\n{{}}")).await;
        assert_eq!(client.reply(method).await.text(), usage, "{name}");
        assert_eq!(tokens(&only_line(&sidegate).await), expected, "{name}");
    }
}

#[tokio::test]
async fn a_provider_that_tells_nonsense_harms_nobody() {
    let deep = format!(r#"{{"usage":{}{}}}"#, "{\"a\":".repeat(50_000), "}".repeat(50_000));
    let long = format!("data: {}\n\n", "x".repeat(10 << 20));
    let stream = |events: &str| Script::on_request().write(STREAM).chunk(events).write("0\r\n\r\n");
    for (name, script, body, expected) in [
        (
            "numbers beyond reason",
            Script::json("200 OK", r#"{"usage":{"prompt_tokens":99999999999,"completion_tokens":-4}}"#),
            None,
            (None, None),
        ),
        ("a deep body", Script::json("200 OK", &deep), Some(deep.clone()), (None, None)),
        ("a deep event", stream(&format!("data: {deep}\n\n{TOLD}")), None, (Some(16), Some(4))),
        ("an event of 10 MiB", stream(&format!("{long}{TOLD}")), Some(format!("{long}{TOLD}")), (Some(16), Some(4))),
        ("no JSON at all", Script::json("200 OK", "\"usage\":{{{{]]"), None, (None, None)),
    ] {
        let provider = Provider::always(script).await;
        let sidegate = Sidegate::before(provider.address).await;
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", ASK).await;
        let reply = client.reply("POST").await;
        assert!(reply.is_complete(), "{name}");
        assert!(body.is_none_or(|body| body == reply.text()), "{name}");
        assert_eq!(tokens(&only_line(&sidegate).await), expected, "{name}");
    }
}

#[tokio::test]
async fn any_number_of_model_names_makes_one_more_series() {
    let provider = Provider::always(Script::json("200 OK", r#"{"usage":{"prompt_tokens":1,"completion_tokens":2}}"#)).await;
    let sidegate = Sidegate::with("metrics: { models: [\"gpt-*\"] }\n", provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    let mut ask = async |model: &str| {
        client.post("/v1/chat/completions", &json!({ "model": model }).to_string()).await;
        assert_eq!(client.reply("POST").await.status(), 200);
    };
    ask("gpt-4o").await;
    ask("of nobody").await;
    let series = async || sidegate.ask_admin("/metrics").await.text().lines().filter(|line| !line.starts_with('#')).count();
    eventually("two lines", || sidegate.log_lines().len(), |lines| *lines == 2).await;
    let before = series().await;
    for name in 0..500 {
        ask(&format!("model-{name}-{}", "x".repeat(name))).await;
    }
    eventually("all lines", || sidegate.log_lines().len(), |lines| *lines == 502).await;
    assert_eq!(series().await, before);
    assert_eq!(counted(&sidegate, r#"route="/v1",provider="scripted",model="other""#, "output").await, 2.0 * 501.0);
    assert_eq!(counted(&sidegate, r#"route="/v1",provider="scripted",model="gpt-*""#, "input").await, 1.0);
}
