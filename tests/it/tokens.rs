//! Tokens that a limit counts: reserved before the call, extended while a stream runs, trued up at its end, given back where
//! nothing was used. What a client sees of it is nothing.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use sidegate::simulator::{Options, start};

use crate::support::{Client, Gate, Provider, Script, Sidegate, client::Reply, eventually};

/// What there is for all callers together. No probe comes near it by its own length.
const LIMIT: u64 = 20_000;
const LIMITED: &str = "limits: [{ name: tokens, per: all, tokens: 20k/day }]\n";

const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const WORD: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word\"}}],\"usage\":null}\n\n";
const TOLD: &str = "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":16,\"completion_tokens\":4}}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":16,"completion_tokens":4}}"#;

/// 36 bytes: ten tokens, as long as nobody knows better.
const ASK: &str = r#"{"model":"gpt-4o-mini","a":"123456"}"#;
const STREAMED: &str = r#"{"model":"gpt-4o","stream":true    }"#;
const ASKING: &str = r#"{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true}}"#;
/// What is expected of a reply that nobody knows.
const COLD: u64 = 512;

fn stream(events: &str) -> Script {
    Script::on_request().write(STREAM).chunk(events).write("0\r\n\r\n")
}

fn gzip(plain: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

async fn ask(sidegate: &Sidegate, fields: &str, body: &str) -> Reply {
    let mut client = Client::connect(sidegate.address).await;
    client.post_with("/v1/chat/completions", fields, body).await;
    client.reply("POST").await
}

/// What is used of the limit. Requests of a known length are sent where nobody answers, until one more token would be refused:
/// each of them is given back.
async fn used(sidegate: &Sidegate) -> u64 {
    let (mut fits, mut refused) = (10, LIMIT + 1);
    while refused - fits > 1 {
        let tokens = u64::midpoint(fits, refused);
        let mut body = r#"{"model":"probe","max_tokens":0}"#.to_owned();
        body.extend(std::iter::repeat_n(' ', (tokens * 36 / 10) as usize - body.len()));
        match ask(sidegate, "X-Probe: 1\r\n", &body).await.status() {
            502 | 503 => fits = tokens,
            429 => refused = tokens,
            status => panic!("a probe got {status}"),
        }
    }
    LIMIT - fits
}

/// The request that ends so has been settled.
async fn ended(sidegate: &Sidegate, end: &str) {
    let end = format!("\"end\":\"{end}\"");
    eventually("its line in the log", || sidegate.log_lines().iter().any(|line| line.contains(&end)), |there| *there).await;
}

/// A provider that answers nobody but those who come with a script, before which tokens are limited.
async fn house() -> (Provider, Sidegate) {
    let provider = Provider::always(Script::on_request().reset()).await;
    let sidegate = Sidegate::with(LIMITED, provider.address).await;
    (provider, sidegate)
}

/// What is used after one request was answered by `script`, and what its client got.
async fn after(script: Script, fields: &str, body: &str) -> (u64, Reply) {
    let (provider, sidegate) = house().await;
    provider.script(script);
    let reply = ask(&sidegate, fields, body).await;
    sidegate.log(1).await;
    (used(&sidegate).await, reply)
}

#[tokio::test]
async fn a_reply_that_tells_is_charged_exactly_what_it_told() {
    assert_eq!(after(Script::json("200 OK", USAGE), "", ASK).await.0, 20);
    let long = r#"{"usage":{"prompt_tokens":6000,"completion_tokens":7000}}"#;
    assert_eq!(after(Script::json("200 OK", long), "", ASK).await.0, 13_000, "more than was reserved");
    let embedding = r#"{"usage":{"prompt_tokens":16,"total_tokens":16}}"#;
    assert_eq!(after(Script::json("200 OK", embedding), "", ASK).await.0, 16);
    assert_eq!(after(stream(&format!("{WORD}{TOLD}{DONE}")), "", ASKING).await.0, 20);
}

#[tokio::test]
async fn what_failed_is_given_back_and_what_the_client_broke_is_not() {
    for (status, kept) in [
        ("500 Internal Server Error", 0),
        ("529 Overloaded", 0),
        ("429 Too Many Requests", 0),
        // Its prompt was read.
        ("400 Bad Request", 10),
        ("404 Not Found", 10),
    ] {
        let (used, reply) = after(Script::json(status, "{\"error\":{}}"), "", ASK).await;
        assert_eq!(reply.text(), "{\"error\":{}}");
        assert_eq!(used, kept, "{status}");
    }
    assert_eq!(after(Script::on_request().reset(), "", ASK).await.0, 0, "nobody answered");
    assert_eq!(after(Script::on_request().write("nonsense\r\n\r\n"), "", ASK).await.0, 0, "nobody could");
}

#[tokio::test]
async fn a_stream_is_asked_for_its_usage_and_its_client_sees_nothing_of_it() {
    for size in [1, 7, 50, 10_000] {
        let (mut provider, sidegate) = house().await;
        let events = format!("{WORD}{WORD}: still here\r\n\r\n{TOLD}{DONE}");
        let chunks = events.as_bytes().chunks(size).map(|part| format!("{:x}\r\n{}\r\n", part.len(), String::from_utf8_lossy(part)));
        provider.script(Script::on_request().write(STREAM).write(chunks.collect::<String>() + "0\r\n\r\n"));
        let reply = ask(&sidegate, "Content-Type: application/json\r\n", STREAMED).await;
        let request = provider.request().await;
        let sent = String::from_utf8(request.body.bytes.clone()).unwrap();
        assert_eq!(sent, STREAMED.replacen('{', "{\"stream_options\":{\"include_usage\":true},", 1));
        assert_eq!(request.head.get("content-length"), Some(sent.len().to_string()));
        assert!(reply.is_complete());
        assert_eq!(reply.text(), events.replace(TOLD, ""), "parts of {size}");
        let line = sidegate.log(1).await.remove(0);
        assert_eq!((line["tokens_in"].as_u64(), line["tokens_out"].as_u64()), (Some(16), Some(4)));
        assert_eq!(line["bytes_out"].as_u64(), Some((events.len() - TOLD.len()) as u64));
        assert_eq!(used(&sidegate).await, 20, "parts of {size}");
    }
}

#[tokio::test]
async fn a_stream_with_a_length_ends_where_it_should_without_that_chunk() {
    let events = format!("{WORD}{TOLD}{DONE}");
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {}\r\nX-Last: 1\r\n\r\n", events.len());
    let (used, reply) = after(Script::reply(head + &events), "", STREAMED).await;
    assert!(reply.is_complete());
    assert_eq!(reply.text(), format!("{WORD}{DONE}"));
    assert_eq!((reply.head.get("content-length"), reply.head.get("x-last").as_deref()), (None, Some("1")));
    assert_eq!(used, 20);
    // One that ends with that chunk, and one that breaks off in an event which may be it.
    assert_eq!(after(stream(&format!("{WORD}{TOLD}")), "", STREAMED).await.1.text(), WORD);
    let cut = format!("{WORD}data: {{\"choices\":[");
    let (_, reply) = after(Script::on_request().write(STREAM).chunk(&cut).close(), "", STREAMED).await;
    assert!(!reply.is_complete());
    assert_eq!(reply.text(), cut, "what was held goes down before the end is told");
}

#[tokio::test]
async fn nothing_is_put_into_a_request_or_taken_out_of_a_reply_but_there() {
    let events = format!("{WORD}{TOLD}{DONE}");
    for (name, sections, target, fields, body) in [
        ("no limit counts tokens", "limits: [{ name: r, per: all, requests: 9/s }]\n", "/v1/chat/completions", "", STREAMED),
        (
            "its limit is for another model",
            "limits: [{ name: t, when: { model: x }, per: all, tokens: 9k/s }]\n",
            "/v1/chat/completions",
            "",
            STREAMED,
        ),
        ("the client has asked", LIMITED, "/v1/chat/completions", "", ASKING),
        ("it is no stream", LIMITED, "/v1/chat/completions", "", ASK),
        ("another operation", LIMITED, "/v1/responses", "", STREAMED),
        ("it was digested", LIMITED, "/v1/chat/completions", "Content-Digest: sha-256=:x:\r\n", STREAMED),
        ("an old version", LIMITED, "/v1/chat/completions?api-version=2024-02-01", "", STREAMED),
    ] {
        let mut provider = Provider::always(stream(&events)).await;
        let sidegate = Sidegate::with(sections, provider.address).await;
        let mut client = Client::connect(sidegate.address).await;
        client.post_with(target, fields, body).await;
        assert_eq!(client.reply("POST").await.text(), events, "{name}");
        assert_eq!(provider.request().await.body.bytes, body.as_bytes(), "{name}");
    }
}

#[tokio::test]
async fn a_stream_that_is_encoded_keeps_what_it_tells() {
    let events = format!("{WORD}{TOLD}{DONE}");
    let coded = gzip(&events);
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n";
    let script = Script::on_request().write(format!("{head}Content-Length: {}\r\n\r\n", coded.len())).write(coded.clone());
    let (used, reply) = after(script, "", STREAMED).await;
    assert_eq!(reply.body.bytes, coded);
    assert_eq!(used, 20);
}

#[tokio::test]
async fn a_stream_is_reserved_then_extended_and_one_who_leaves_pays_what_was_said() {
    let (provider, sidegate) = house().await;
    let (begin, more) = (Gate::new(), Gate::new());
    let script =
        Script::on_request().write(STREAM).chunk(WORD).wait(&begin).chunk(&(WORD.repeat(599) + ": so far\n\n")).wait(&more).until_left();
    provider.script(script);
    let mut client = Client::connect(sidegate.address).await;
    client.post("/v1/chat/completions", STREAMED).await;
    client.until(WORD).await;
    assert_eq!(used(&sidegate).await, 10 + COLD, "what a prompt of 36 bytes takes, and what is expected of the reply");
    begin.open();
    client.until("so far").await;
    assert_eq!(used(&sidegate).await, 10 + COLD + 256, "600 words are more than was expected");
    drop(client);
    ended(&sidegate, "left").await;
    assert_eq!(used(&sidegate).await, 10 + 600);
    more.open();
}

#[tokio::test]
async fn what_ends_early_is_charged_what_was_told_or_else_counted() {
    let truncated = |events: &str| Script::on_request().write(STREAM).chunk(events).close();
    assert_eq!(after(truncated(&WORD.repeat(7)), "", STREAMED).await.0, 17);
    assert_eq!(after(truncated(&format!("{WORD}{TOLD}")), "", STREAMED).await.0, 20);
    assert_eq!(after(stream(&(WORD.repeat(7) + DONE)), "", STREAMED).await.0, 17, "it does not tell, though it was asked");
    let coded = gzip(&WORD.repeat(7));
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", coded.len());
    assert_eq!(after(Script::on_request().write(head).write(coded), "", STREAMED).await.0, 17, "counted in a decoded copy");
}

#[tokio::test]
async fn who_leaves_before_the_reply_pays_the_prompt() {
    let (mut provider, sidegate) = house().await;
    provider.script(Script::hang());
    let mut client = Client::connect(sidegate.address).await;
    client.post("/v1/chat/completions", ASK).await;
    provider.request().await;
    assert_eq!(used(&sidegate).await, 10 + COLD);
    drop(client);
    ended(&sidegate, "left").await;
    assert_eq!(used(&sidegate).await, 10);
}

#[tokio::test]
async fn who_is_refused_pays_nothing_and_what_he_asks_for_bounds_what_is_reserved() {
    let (provider, sidegate) = house().await;
    for _ in 0..3 {
        let refused = ask(&sidegate, "", r#"{"model":"m","max_tokens":500,"n":100}"#).await;
        assert_eq!(refused.status(), 429, "{}", refused.text());
    }
    provider.script(Script::json("200 OK", USAGE));
    assert_eq!(ask(&sidegate, "", r#"{"model":"m","max_tokens":100,"n":100}"#).await.status(), 200);
    eventually("four lines", || sidegate.log_lines().len(), |lines| *lines == 4).await;
    assert_eq!(used(&sidegate).await, 20);
}

#[tokio::test]
async fn what_a_model_takes_is_learned() {
    let (provider, sidegate) = house().await;
    let replies = 20;
    for _ in 0..replies {
        provider.script(Script::json("200 OK", r#"{"usage":{"prompt_tokens":10,"completion_tokens":1}}"#));
        assert_eq!(ask(&sidegate, "", ASK).await.status(), 200);
    }
    eventually("all lines", || sidegate.log_lines().len(), |lines| *lines == replies).await;
    provider.script(Script::on_request().write(STREAM).chunk(WORD).until_left());
    let mut client = Client::connect(sidegate.address).await;
    client.post("/v1/chat/completions", ASK).await;
    client.until(WORD).await;
    assert_eq!(used(&sidegate).await, replies as u64 * 11 + 11, "it is expected to take what it took");
}

#[tokio::test]
async fn an_encoded_request_is_read_and_passes_as_it_came() {
    let limits = "limits: [{ name: tokens, when: { model: \"gpt-*\" }, per: all, tokens: 20k/day }, { name: probes, when: { model: probe }, per: all, tokens: 9/day }]\n";
    let mut provider = Provider::always(Script::json("200 OK", USAGE)).await;
    let sidegate = Sidegate::with(limits, provider.address).await;
    let send = async |body: &[u8], coding: &str| {
        let mut client = Client::connect(sidegate.address).await;
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        client.send([head.as_bytes(), body].concat()).await;
        client.reply("POST").await.status()
    };
    let coded = gzip(STREAMED);
    assert_eq!(send(&coded, "gzip").await, 200);
    let request = provider.request().await;
    assert_eq!((request.body.bytes, request.head.get("content-encoding").as_deref()), (coded, Some("gzip")));
    assert_eq!(send(&gzip(r#"{"model":"probe"}"#), "gzip").await, 429, "its model is known, and its limit");
    for (body, coding) in [(gzip(STREAMED), "br"), (gzip(STREAMED)[..20].to_vec(), "gzip"), (b"{}".to_vec(), "deflate")] {
        assert_eq!(send(&body, coding).await, 415, "{coding}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_reserved_as_if_nothing_were_known_and_trued_up() {
    let (provider, sidegate) = house().await;
    let form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b--\r\n";
    let gate = Gate::new();
    provider.script(
        Script::on_request()
            .wait(&gate)
            .write(format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{USAGE}", USAGE.len())),
    );
    let mut client = Client::connect(sidegate.address).await;
    client.post_with("/v1/audio/transcriptions", "Content-Type: multipart/form-data; boundary=b\r\n", form).await;
    eventually("it is at the provider", || provider.asked(), |asked| *asked == 1).await;
    assert_eq!(used(&sidegate).await, 2 * COLD);
    gate.open();
    assert_eq!(client.reply("POST").await.text(), USAGE);
    ended(&sidegate, "complete").await;
    assert_eq!(used(&sidegate).await, 20);
}

#[tokio::test]
async fn operations_that_take_no_tokens_are_not_charged_any() {
    let (provider, sidegate) = house().await;
    provider.script(Script::json("200 OK", "{}"));
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    assert_eq!(client.reply("GET").await.status(), 200);
    sidegate.log(1).await;
    assert_eq!(used(&sidegate).await, 0);
}

/// What a reply says of its tokens, whatever its dialect calls them.
fn said(reply: &str) -> u64 {
    let (mut input, mut output) = (0, 0);
    for line in reply.lines() {
        let Ok(object) = serde_json::from_str::<Value>(line.strip_prefix("data: ").unwrap_or(line)) else { continue };
        for usage in [&object["usage"], &object["usageMetadata"], &object["response"]["usage"], &object["message"]["usage"]] {
            let last = |names: [&str; 3], before| names.iter().find_map(|name| usage[*name].as_u64()).unwrap_or(before);
            input = last(["prompt_tokens", "input_tokens", "promptTokenCount"], input);
            output = last(["completion_tokens", "output_tokens", "candidatesTokenCount"], output);
        }
    }
    input + output
}

const ALL: &str = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
limits: [{ name: tokens, per: all, tokens: 20k/day }]
providers:
  openai: { base_url: "http://$UPSTREAM/v1", http_version: "1.1", keys: [{ name: pool, value: "$KEY" }] }
  anthropic: { dialect: anthropic, base_url: "http://$UPSTREAM/v1", http_version: "1.1", keys: [{ name: pool, value: "$KEY" }] }
  gemini: { dialect: gemini, base_url: "http://$UPSTREAM/v1beta", http_version: "1.1", keys: [{ name: pool, value: "$KEY" }] }
  nobody: { base_url: "http://127.0.0.1:1", keys: [{ name: pool, value: "$KEY" }] }
routes:
  - { path: /v1, models: [probe], targets: [nobody] }
  - { path: /anthropic, targets: [anthropic] }
  - { path: /v1beta, targets: [gemini] }
  - { path: /v1, targets: [openai] }
"#;

#[tokio::test]
async fn every_dialect_is_charged_what_it_tells_streamed_or_whole() {
    let options = Options { first_token: Duration::ZERO, tokens_per_second: f64::INFINITY, length: 12, ..Options::default() };
    let provider = start(options).unwrap();
    let messages = json!([{ "role": "user", "content": "hello" }]);
    let chat = |stream: bool| json!({ "model": "gpt-4o", "messages": messages, "stream": stream });
    let responses = |stream: bool| json!({ "model": "gpt-5", "input": "hello", "stream": stream });
    let claude = |stream: bool| json!({ "model": "claude-x", "max_tokens": 50, "messages": messages, "stream": stream });
    let contents = json!({ "contents": [{ "role": "user", "parts": [{ "text": "hello" }] }] });
    let whole = said(&simulated(provider.address(), &chat(false)).await);
    for (target, ask, is_silent) in [
        ("/v1/chat/completions", chat(true), true),
        ("/v1/chat/completions", chat(false), false),
        ("/v1/responses", responses(true), false),
        ("/v1/responses", responses(false), false),
        ("/anthropic/messages", claude(true), false),
        ("/anthropic/messages", claude(false), false),
        ("/v1beta/models/g:streamGenerateContent?alt=sse", contents.clone(), false),
        ("/v1beta/models/g:generateContent", contents.clone(), false),
    ] {
        let sidegate = Sidegate::start(ALL, provider.address()).await;
        let mut client = Client::connect(sidegate.address).await;
        let version = if target.starts_with("/anthropic") { "anthropic-version: 2023-06-01\r\n" } else { "" };
        client.post_with(target, version, &ask.to_string()).await;
        let reply = client.reply("POST").await;
        assert_eq!(reply.status(), 200, "{target}: {}", reply.text());
        sidegate.log(1).await;
        let text = reply.text();
        let expected = if is_silent { whole } else { said(&text) };
        assert_eq!(said(&text) == 0, is_silent, "{target} {text}");
        assert!(expected > 12);
        assert_eq!(used(&sidegate).await, expected, "{target}: {ask}");
    }
}

/// What the simulated provider says when nobody stands before it.
async fn simulated(at: std::net::SocketAddr, body: &Value) -> String {
    let mut client = Client::connect(at).await;
    client.post_with("/v1/chat/completions", "Authorization: Bearer sk-x\r\n", &body.to_string()).await;
    client.reply("POST").await.text()
}

#[tokio::test]
async fn money_is_reserved_and_trued_up_like_tokens() {
    // A token of the prompt costs as much as one of the reply: a thousandth of a cent.
    let config = "prices: { unknown: deny, models: { gpt-4o-mini: { input: 10, output: 10 }, gpt-4o: { input: 10, output: 10 } } }\n\
        limits: [{ name: money, per: all, cost: 0.0120/day }]\n";
    let provider = Provider::always(Script::json("200 OK", r#"{"usage":{"prompt_tokens":100,"completion_tokens":100}}"#)).await;
    let sidegate = Sidegate::with(config, provider.address).await;
    let (mut passed, mut refused) = (0, None);
    for _ in 0..6 {
        let reply = ask(&sidegate, "", ASK).await;
        passed += usize::from(reply.status() == 200);
        refused = refused.or(Some(reply).filter(|reply| reply.status() == 429));
    }
    // A request is expected to take 522 tokens and takes 200: behind the fourth, 400 are left.
    assert_eq!(passed, 4);
    assert!(refused.is_some());
    assert_eq!(ask(&sidegate, "", r#"{"model":"gpt-4o","max_tokens":200}"#).await.status(), 200, "it asks for less");
    let unknown = ask(&sidegate, "", r#"{"model":"nobody-knows","max_tokens":1}"#).await;
    assert_eq!((unknown.status(), unknown.head.get("x-should-retry").as_deref()), (429, Some("false")), "{}", unknown.text());
    provider.otherwise(Script::json("400 Bad Request", "{}"));
    for _ in 0..3 {
        assert_eq!(ask(&sidegate, "", r#"{"model":"gpt-4o","max_tokens":90}"#).await.status(), 400, "a refusal costs nothing");
    }
}
