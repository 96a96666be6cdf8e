//! The simulated provider as a client meets it: formats, pace, faults, and what an onlooker is told.

mod caller;
mod control;
mod demo;
mod dialects;
mod faults;
mod keys;
mod realtime;
mod surface;
mod tls;

use std::{
    io::{ErrorKind, Read},
    net::TcpStream,
    time::{Duration, Instant},
};

use clap::Parser;
use serde_json::{Value, json};
use sidegate::{
    simulator::{End, Limits, Options, mock, start},
    types::Dialect,
};

use caller::{DEADLINE, Protocol, Simulated, body, call, chat, events, frames, request};

/// Everything at once: for tests that are not about time.
fn quick() -> Options {
    Options { first_token: Duration::ZERO, tokens_per_second: f64::INFINITY, length: 12, ..Options::default() }
}

#[tokio::test]
async fn equal_requests_get_equal_bytes_and_another_seed_or_prompt_gets_others() {
    let first = Simulated::start(quick());
    let second = Simulated::start(quick());
    let other_seed = Simulated::start(Options { seed: 2, ..quick() });
    let ask = |prompt: &str| chat(&json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": prompt }] }));

    let reply = body(call(&first, Protocol::Http1, ask("hello")).await).await;
    assert_eq!(body(call(&second, Protocol::Http2, ask("hello")).await).await, reply);
    assert_ne!(body(call(&other_seed, Protocol::Http1, ask("hello")).await).await, reply);
    assert_ne!(body(call(&first, Protocol::Http1, ask("goodbye")).await).await, reply);
}

#[tokio::test]
async fn a_reply_that_was_given_before_is_given_again_in_its_time() {
    let options = Options { first_token: Duration::from_millis(40), tokens_per_second: 100.0, length: 6, ..Options::default() };
    let mut provider = Simulated::start(options);
    let ask = || chat(&json!({ "model": "gpt-4o", "messages": [], "stream": true }));
    let first = frames(call(&provider, Protocol::Http2, ask()).await).await;
    let start = Instant::now();
    let again = frames(call(&provider, Protocol::Http2, ask()).await).await;
    assert!(start.elapsed() >= Duration::from_millis(40 + 5 * 10), "it came before its time");
    assert_eq!(first, again);
    for _ in 0..2 {
        let seen = provider.seen().await;
        assert_eq!((seen.model.as_deref(), seen.tokens, seen.end), (Some("gpt-4o"), 6, End::Complete));
    }
}

#[tokio::test]
async fn each_event_is_a_frame_of_its_own_and_comes_in_its_time() {
    let options = Options { first_token: Duration::from_millis(40), tokens_per_second: 100.0, length: 6, ..Options::default() };
    let provider = Simulated::start(options);
    let start = Instant::now();
    let reply = call(&provider, Protocol::Http2, chat(&json!({ "model": "gpt-4o", "messages": [], "stream": true }))).await;
    assert!(start.elapsed() >= Duration::from_millis(40), "the head came before the first token");

    let frames = frames(reply).await;
    assert!(start.elapsed() >= Duration::from_millis(40 + 5 * 10), "the tokens came before their time");
    assert_eq!(frames.len(), 1 + 6 + 2, "a role, the tokens, a finish_reason, [DONE]");
    for frame in &frames {
        assert!(frame.starts_with("data: ") && frame.ends_with("\n\n") && frame.matches("data: ").count() == 1, "{frame:?}");
    }
    assert_eq!(frames.last().map(String::as_str), Some("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_stream_and_a_plain_reply_say_the_same() {
    let provider = Simulated::start(quick());
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let ask = |stream: bool| chat(&json!({ "model": "gpt-4o", "messages": [], "stream": stream }));
        let plain: Value = serde_json::from_slice(&body(call(&provider, protocol, ask(false)).await).await).unwrap();
        let chunks = events(call(&provider, protocol, ask(true)).await).await;
        let text: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(plain["choices"][0]["message"]["content"], text);
        assert_eq!(plain["usage"]["completion_tokens"], 12);
    }
}

#[tokio::test]
async fn the_usage_comes_last_and_without_choices_where_it_is_asked_for() {
    let provider = Simulated::start(quick());
    let ask = json!({ "model": "gpt-4o", "messages": [], "stream": true, "stream_options": { "include_usage": true } });
    let chunks = events(call(&provider, Protocol::Http1, chat(&ask)).await).await;
    let (last, others) = chunks.split_last().unwrap();
    assert_eq!((&last["choices"], &last["usage"]["completion_tokens"]), (&json!([]), &json!(12)));
    assert!(others.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
}

#[tokio::test]
async fn a_streamed_response_names_and_numbers_its_events() {
    let provider = Simulated::start(quick());
    let ask = request("POST", "/v1/responses", Some(&json!({ "model": "gpt-5", "input": "hello", "stream": true })));
    let frames = frames(call(&provider, Protocol::Http2, ask).await).await;
    for (number, frame) in frames.iter().enumerate() {
        let (name, data) = frame.trim_end().strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
        let event: Value = serde_json::from_str(data).unwrap();
        assert_eq!((event["type"].as_str(), event["sequence_number"].as_u64()), (Some(name), Some(number as u64)));
    }
    assert!(frames.last().unwrap().starts_with("event: response.completed\n"));
}

#[tokio::test]
async fn what_it_does_not_know_is_refused_as_the_provider_refuses_it() {
    let provider = Simulated::start(quick());
    let no_messages = json!({ "model": "gpt-4o" });
    let cases = [
        (request("GET", "/v1/nothing", None), 404, "unknown_url"),
        (request("DELETE", "/v1/models", None), 404, "unknown_url"),
        (request("GET", "/v1/models/gpt-0", None), 404, "model_not_found"),
        (request("POST", "/v1/chat/completions", Some(&no_messages)), 400, "missing_required_parameter"),
        (request("POST", "/v1/chat/completions", Some(&json!({ "messages": [] }))), 400, "missing_required_parameter"),
        (request("POST", "/v1/chat/completions", Some(&json!({ "model": 4 }))), 400, "invalid_type"),
        (request("POST", "/v1/embeddings", Some(&json!({ "model": "e", "input": "a", "encoding_format": "hex" }))), 400, "invalid_value"),
        (request("POST", "/v1/embeddings", Some(&json!({ "model": "e", "input": "a", "dimensions": 0 }))), 400, "invalid_value"),
        (request("POST", "/v1/embeddings", Some(&json!({ "model": "e", "input": vec!["a"; 2_049] }))), 400, "array_above_max_length"),
        (request("POST", "/v1/moderations", Some(&json!({ "input": vec!["a"; 2_049] }))), 400, "array_above_max_length"),
    ];
    for (ask, status, code) in cases {
        let path = ask.uri().path().to_owned();
        let reply = call(&provider, Protocol::Http1, ask).await;
        assert_eq!(reply.status(), status, "{path}");
        let error: Value = serde_json::from_slice(&body(reply).await).unwrap();
        assert_eq!(error["error"]["code"], code, "{path}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_a_bad_request() {
    let provider = Simulated::start(quick());
    for text in ["", "{", "[]", "\"text\"", "{\"model\": \"gpt-4o\"} and more"] {
        let ask = request("POST", "/v1/chat/completions", None).map(|_| text.to_owned().into());
        assert_eq!(call(&provider, Protocol::Http1, ask).await.status(), 400, "{text:?}");
    }
}

#[tokio::test]
async fn a_request_needs_a_key_in_either_of_two_places() {
    let provider = Simulated::start(quick());
    for (name, value, status) in [
        ("x-nothing", "", 401),
        ("authorization", "Bearer ", 401),
        ("authorization", "Basic a2V5", 401),
        ("authorization", "Bearer key", 200),
        ("api-key", "key", 200),
    ] {
        let mut ask = request("GET", "/v1/models", None);
        ask.headers_mut().remove("authorization");
        ask.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(call(&provider, Protocol::Http1, ask).await.status(), status, "{name}: {value}");
    }
}

#[tokio::test]
async fn an_onlooker_is_told_of_each_request_once_and_never_sees_the_key() {
    let mut provider = Simulated::start(quick());
    let reply = call(&provider, Protocol::Http1, chat(&json!({ "model": "gpt-4o", "messages": [], "stream": true }))).await;
    let _ = frames(reply).await;

    let seen = provider.seen().await;
    assert_eq!((seen.path.as_str(), seen.model.as_deref()), ("/v1/chat/completions", Some("gpt-4o")));
    assert_eq!((seen.status.unwrap().as_u16(), seen.stream, seen.tokens, seen.end), (200, true, 12, End::Complete));
    assert_eq!(seen.key.unwrap().to_string(), "2c70e12b7a06", "the head of the SHA-256 of `key`");
    assert!(!format!("{seen:?}").contains("Bearer"));
    let counters = provider.counters();
    assert_eq!((counters.requests(), counters.completed(), counters.open()), (1, 1, 0));
}

#[tokio::test]
async fn another_process_may_read_the_counters_and_is_not_counted() {
    let provider = Simulated::start(quick());
    let _ = body(call(&provider, Protocol::Http1, request("GET", "/v1/models", None)).await).await;
    let mut ask = request("GET", "/simulator/counters", None);
    ask.headers_mut().remove("authorization");
    let counters: Value = serde_json::from_slice(&body(call(&provider, Protocol::Http1, ask).await).await).unwrap();
    assert_eq!(counters, json!({ "requests": 1, "open": 0, "completed": 1, "broken": 0, "cancelled": 0, "processed": 1 }));
}

#[tokio::test]
async fn a_request_for_the_head_alone_is_complete_without_a_body() {
    let mut provider = Simulated::start(quick());
    let reply = call(&provider, Protocol::Http1, request("HEAD", "/v1/models", None)).await;
    assert_eq!(reply.status(), 404);
    drop(reply);
    assert_eq!(provider.seen().await.end, End::Complete);
}

#[test]
fn flags_that_make_no_sense_are_refused() {
    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        mock: mock::Args,
    }

    let parse =
        |flags: &[&str]| Flags::try_parse_from(["mock"].iter().chain(flags)).map(|flags| flags.mock.replies.options(flags.mock.listen));
    let options = parse(&["--first-token", "1s", "--tokens-per-second", "inf", "--length", "5", "--seed", "7"]).unwrap();
    assert_eq!((options.first_token, options.tokens_per_second), (Duration::from_secs(1), f64::INFINITY));
    assert_eq!((options.length, options.seed), (5, 7));
    for flags in
        [["--length", "0"], ["--tokens-per-second", "0"], ["--tokens-per-second", "NaN"], ["--first-token", "1"], ["--listen", "9090"]]
    {
        assert!(parse(&flags).is_err(), "{flags:?}");
    }
}

#[test]
fn flags_settle_limits_faults_and_threads() {
    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        mock: mock::Args,
    }

    let parse = |flags: &[&str]| Flags::try_parse_from(["mock"].iter().chain(flags)).map(|flags| flags.mock.options());
    let flags = ["--requests-per-minute", "60", "--tokens-per-minute", "9000", "--dialect", "gemini", "--workers", "2"];
    let options =
        parse(&[&flags[..], &["--fault", "error-500=2%", "--fault", "reset=1%", "--account", "a=60/-", "--bucket", "5s"]].concat())
            .unwrap();
    assert_eq!(options.limits, Limits { requests: Some(60), tokens: Some(9000) });
    assert_eq!((options.dialect, options.workers, options.faults.len()), (Some(Dialect::Gemini), 2, 2));
    assert_eq!((options.quotas.len(), options.bucket), (1, Duration::from_secs(5)));
    for flags in [
        ["--dialect", "cobol"],
        ["--fault", "reset"],
        ["--certificate", "a.pem"],
        ["--key", "a.pem"],
        ["--requests-per-minute", "0"],
        ["--account", "a=60"],
    ] {
        assert!(parse(&flags).is_err(), "{flags:?}");
    }
}

#[test]
fn a_stopped_provider_has_closed_its_connections() {
    let provider = start(quick()).unwrap();
    let mut open = TcpStream::connect(provider.address()).unwrap();
    open.set_read_timeout(Some(DEADLINE)).unwrap();
    provider.stop();
    // An end or a reset, but no time-out.
    assert!(!matches!(open.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock));
}

#[test]
fn a_taken_port_is_an_error_and_not_another_port() {
    let provider = start(quick()).unwrap();
    let error = start(Options { address: provider.address(), ..quick() }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}
