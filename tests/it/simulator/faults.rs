//! What goes wrong when a model's name asks for it, and what a client's leaving looks like.

use std::{
    future::Future,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    task::Poll,
    time::{Duration, Instant},
};

use http_body_util::BodyExt;
use serde_json::{Value, json};
use sidegate::simulator::{End, Options, faults};

use super::{
    caller::{DEADLINE, Protocol, Simulated, body, call, chat},
    quick,
};

#[tokio::test]
async fn errors_have_their_status_code_and_retry_fields() {
    let provider = Simulated::start(quick());
    for (model, status, kind, code, retry_after) in [
        ("fault-400", 400, "invalid_request_error", json!("context_length_exceeded"), None),
        ("fault-401", 401, "invalid_request_error", json!("invalid_api_key"), None),
        ("fault-403", 403, "request_forbidden", json!("unsupported_country_region_territory"), None),
        ("fault-404", 404, "invalid_request_error", json!("model_not_found"), None),
        ("fault-413", 413, "invalid_request_error", json!("request_too_large"), None),
        ("fault-422", 422, "invalid_request_error", json!("unprocessable_entity"), None),
        ("fault-429", 429, "requests", json!("rate_limit_exceeded"), Some("1")),
        ("fault-quota", 429, "insufficient_quota", json!("insufficient_quota"), None),
        ("fault-500", 500, "server_error", Value::Null, None),
        ("fault-503", 503, "service_unavailable_error", json!("server_is_overloaded"), Some("1")),
    ] {
        for stream in [false, true] {
            let reply = call(&provider, Protocol::Http1, chat(&json!({ "model": model, "messages": [], "stream": stream }))).await;
            assert_eq!(reply.status(), status, "{model}");
            assert_eq!(reply.headers().get("retry-after").map(|value| value.to_str().unwrap()), retry_after, "{model}");
            let error: Value = serde_json::from_slice(&body(reply).await).unwrap();
            assert_eq!((&error["error"]["type"], &error["error"]["code"]), (&json!(kind), &code), "{model}");
        }
    }
}

#[tokio::test]
async fn a_flaky_model_fails_and_answers_by_turns() {
    let provider = Simulated::start(quick());
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(call(&provider, Protocol::Http1, chat(&json!({ "model": "fault-flaky", "messages": [] }))).await.status().as_u16());
    }
    assert_eq!(statuses, [503, 200, 503, 200]);
}

#[test]
fn every_fault_is_in_the_table_once() {
    let table = faults::table();
    for fault in &faults::FAULTS {
        assert_eq!(table.matches(&format!("  {} ", fault.model)).count(), 1, "{}", fault.model);
    }
}

/// What is on the wire when a stream of this model has ended, and the error of the last read.
fn raw(provider: &Simulated, model: &str) -> (String, Option<ErrorKind>) {
    let json = json!({ "model": model, "messages": [], "stream": true }).to_string();
    let mut socket = TcpStream::connect(provider.address()).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: simulated\r\nauthorization: Bearer key\r\nconnection: close";
    write!(socket, "{head}\r\ncontent-length: {}\r\n\r\n{json}", json.len()).unwrap();
    let mut bytes = Vec::new();
    let error = socket.read_to_end(&mut bytes).err().map(|error| error.kind());
    (String::from_utf8(bytes).unwrap(), error)
}

#[test]
fn streams_break_off_in_three_ways_that_differ_on_the_wire() {
    let provider = Simulated::start(quick());
    let last_chunk = "\r\n0\r\n\r\n";

    let (whole, error) = raw(&provider, "gpt-4o");
    assert!(whole.contains("[DONE]") && whole.ends_with(last_chunk) && error.is_none(), "{whole}");

    let (unfinished, error) = raw(&provider, "fault-unfinished");
    assert!(!unfinished.contains("[DONE]") && unfinished.ends_with(last_chunk) && error.is_none(), "{unfinished}");

    let (truncated, error) = raw(&provider, "fault-truncated");
    assert!(!truncated.ends_with(last_chunk) && error.is_none(), "{truncated}");

    let (reset, error) = raw(&provider, "fault-reset");
    assert!(!reset.ends_with(last_chunk), "{reset}");
    assert_eq!(error, Some(ErrorKind::ConnectionReset));

    for broken in [unfinished, truncated, reset] {
        assert_eq!(broken.matches("data: ").count(), 1 + 6, "a role and half of the tokens: {broken}");
    }
    assert_eq!((provider.counters().completed(), provider.counters().broken(), provider.counters().cancelled()), (1, 3, 0));
}

#[tokio::test]
async fn a_plain_reply_breaks_off_half_way() {
    let mut provider = Simulated::start(quick());
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for model in ["fault-truncated", "fault-reset"] {
            let reply = call(&provider, protocol, chat(&json!({ "model": model, "messages": [] }))).await;
            assert_eq!(reply.status(), 200);
            assert!(reply.into_body().collect().await.is_err(), "{protocol:?} {model}");
            assert_eq!(provider.seen().await.end, End::Broken);
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_head_is_seen_to_leave() {
    let mut provider = Simulated::start(quick());
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let ask = chat(&json!({ "model": "fault-hang", "messages": [] }));
        let before = provider.counters().requests();
        {
            let mut reply = Box::pin(call(&provider, protocol, ask));
            std::future::poll_fn(|cx| {
                assert!(reply.as_mut().poll(cx).is_pending(), "a hanging model answered");
                if provider.counters().requests() > before {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
        let seen = provider.seen().await;
        assert_eq!((seen.end, seen.status), (End::Cancelled, None), "{protocol:?}");
        assert_eq!(seen.model.as_deref(), Some("fault-hang"));
    }
}

#[tokio::test]
async fn a_client_that_leaves_mid_stream_is_seen_to_leave_and_when() {
    let mut provider = Simulated::start(Options { tokens_per_second: 50.0, length: 1_000, ..quick() });
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut reply = call(&provider, protocol, chat(&json!({ "model": "gpt-4o", "messages": [], "stream": true }))).await;
        assert!(reply.body_mut().frame().await.unwrap().is_ok());
        let left = Instant::now();
        drop(reply);
        let seen = provider.seen().await;
        assert_eq!(seen.end, End::Cancelled, "{protocol:?}");
        assert!(seen.tokens < 1_000 && seen.ended >= left && seen.ended - left < Duration::from_secs(1), "{protocol:?} {seen:?}");
    }
    assert_eq!((provider.counters().cancelled(), provider.counters().open()), (2, 0));
}

#[tokio::test]
async fn a_stalled_stream_brings_half_and_then_nothing_until_its_reader_leaves() {
    let mut provider = Simulated::start(quick());
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut reply = call(&provider, protocol, chat(&json!({ "model": "fault-stall", "messages": [], "stream": true }))).await;
        let mut text = String::new();
        while text.matches("data: ").count() < 1 + 6 {
            let frame = tokio::time::timeout(DEADLINE, reply.body_mut().frame()).await.unwrap().unwrap().unwrap();
            text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
        assert_eq!(provider.counters().open(), 1, "{protocol:?}: it ended");
        drop(reply);
        let seen = provider.seen().await;
        assert_eq!((seen.end, seen.tokens), (End::Cancelled, 6), "{protocol:?}");
    }
}
