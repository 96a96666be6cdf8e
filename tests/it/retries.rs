//! What failed is tried again as long as nobody pays twice and the client has seen nothing of it; and never more than that.

mod ambiguous;
mod bodies;
mod streams;

use std::time::Instant;

use h2::server::Builder;

use crate::support::{Client, H2Provider, H2Script, Provider, Script, Setup, client::Reply};

const DOWN: &str = r#"{"error":{"message":"The server is overloaded.","type":"server_error","param":null,"code":null}}"#;
const REVOKED: &str =
    r#"{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
const TOO_FAST: &str = r#"{"error":{"message":"Rate limit reached.","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
const MISTAKE: &str = r#"{"error":{"message":"Invalid value.","type":"invalid_request_error","param":"messages","code":"invalid_value"}}"#;
const ASK: &str = r#"{"model":"gpt-4o","messages":[]}"#;
const TWO: &str = "keys: [{ name: one, value: sk-one }, { name: two, value: sk-two }]";

fn down() -> Script {
    Script::json("503 Service Unavailable", DOWN)
}

/// How many attempts a reply took, as it says itself.
fn attempts(reply: &Reply) -> Option<String> {
    reply.head.get("x-sidegate-attempts")
}

fn some(count: &str) -> Option<String> {
    Some(count.to_owned())
}

#[tokio::test]
async fn a_503_is_tried_again_and_the_client_sees_the_reply_alone() {
    let mut provider = Provider::start().await;
    let sidegate = Setup::of(provider.address, "").start().await;
    for (script, expected) in
        [(Script::ok("served"), "served"), (Script::events(&["data: 1\n\n", "data: [DONE]\n\n"]), "data: 1\n\ndata: [DONE]\n\n")]
    {
        provider.script(down());
        provider.script(script);
        let reply = sidegate.chat("gpt-4o").await;
        assert_eq!((reply.status(), reply.text().as_str(), attempts(&reply)), (200, expected, some("2")));
        let sent = provider.new_requests();
        assert_eq!((sent.len(), &sent[0].body.bytes), (2, &sent[1].body.bytes));
        assert_eq!(sent[0].head.line, sent[1].head.line);
    }
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn a_503_of_an_h2_provider_is_tried_again_too() {
    let mut provider = H2Provider::start(Builder::new()).await;
    let sidegate = Setup::of(provider.address, "http_version: 2").start().await;
    provider.script(H2Script::on_request().head(503).last(DOWN));
    provider.script(H2Script::ok("served"));
    let reply = sidegate.chat("gpt-4o").await;
    assert_eq!((reply.status(), reply.text().as_str(), attempts(&reply)), (200, "served", some("2")));
    let bodies = [provider.request().await.body, provider.request().await.body];
    assert_eq!(bodies[0], bodies[1]);
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn after_three_attempts_the_providers_own_error_goes_down() {
    let mut provider = Provider::always(down()).await;
    let sidegate = Setup::of(provider.address, TWO).start().await;
    let reply = sidegate.chat("gpt-4o").await;
    assert_eq!((reply.status(), reply.text().as_str(), attempts(&reply)), (503, DOWN, some("3")));
    assert_eq!(reply.head.get("x-should-retry").as_deref(), Some("false"), "an SDK would make nine of three");
    assert_eq!(provider.new_requests().len(), 3);
}

/// It was not tried to the end: its caller can mend it, and what the provider says about that stands alone.
#[tokio::test]
async fn a_callers_mistake_behind_a_retry_is_no_end_of_all_that_could_be_tried() {
    let provider = Provider::start().await;
    let sidegate = Setup::of(provider.address, "").start().await;
    provider.script(down());
    provider.script(Script::json("400 Bad Request", MISTAKE));
    let reply = sidegate.chat("gpt-4o").await;
    assert_eq!((reply.status(), reply.text().as_str(), attempts(&reply)), (400, MISTAKE, some("2")));
    assert_eq!(reply.head.get("x-should-retry"), None);
}

#[tokio::test]
async fn one_attempt_is_one() {
    let mut provider = Provider::always(down()).await;
    let sidegate = Setup::of(provider.address, "").section("retry: { attempts: 1 }").start().await;
    let reply = sidegate.chat("gpt-4o").await;
    assert_eq!((reply.status(), attempts(&reply)), (503, some("1")));
    assert_eq!(provider.new_requests().len(), 1);
}

/// What an SDK tries again is not tried three times each time.
#[tokio::test]
async fn what_the_sdk_has_tried_already_counts() {
    let mut provider = Provider::always(down()).await;
    let sidegate = Setup::of(provider.address, "breaker: off").start().await;
    for (before, sends) in [("0", 3), ("1", 3), ("2", 2), ("3", 1), ("7", 1), ("many", 3)] {
        let mut client = Client::connect(sidegate.address).await;
        client.post_with("/v1/chat/completions", &format!("x-stainless-retry-count: {before}\r\n"), ASK).await;
        assert_eq!(client.reply("POST").await.status(), 503);
        assert_eq!(provider.new_requests().len(), sends, "after {before}");
    }
}

#[tokio::test]
async fn an_outage_is_not_multiplied() {
    let mut provider = Provider::always(down()).await;
    let sidegate = Setup::of(provider.address, "breaker: off").section("retry: { budget: 20%, floor: 1 }").start().await;
    let begun = Instant::now();
    let mut client = Client::connect(sidegate.address).await;
    let mut last = None;
    for _ in 0..200 {
        last = Some(client.chat("gpt-4o").await);
    }
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap() + 1;
    let sent = provider.new_requests().len();
    // A floor of one a second may have been saved up for ten.
    assert!(sent > 200 && sent <= 240 + 10 + seconds, "{sent} sent for 200 requests in {seconds} s");
    let last = last.unwrap();
    assert_eq!((last.status(), last.text().as_str(), last.head.get("x-should-retry").as_deref()), (503, DOWN, Some("false")));
    assert!(sidegate.metric("sidegate_attempt_retries_total{provider=\"scripted\"}").await > 0.0);
}

#[tokio::test]
async fn a_wait_longer_than_the_deadline_is_the_clients_to_wait() {
    let mut provider = Provider::always(Script::json_with("503 Service Unavailable", "Retry-After: 120\r\n", DOWN)).await;
    let sidegate = Setup::of(provider.address, "").start().await;
    let reply = sidegate.chat("gpt-4o").await;
    assert_eq!((reply.status(), reply.text().as_str(), reply.head.get("retry-after").as_deref()), (503, DOWN, Some("120")));
    assert_eq!(provider.new_requests().len(), 1);
}

/// It is for the client to wait: an SDK does, and is told nothing else.
#[tokio::test]
async fn a_wait_that_is_the_clients_is_left_to_its_sdk() {
    let provider = Provider::always(Script::json_with("429 Too Many Requests", "Retry-After: 30\r\n", TOO_FAST)).await;
    let sidegate = Setup::of(provider.address, "").section("retry: { within: 1s }").start().await;
    for of in ["the provider", "ours"] {
        let reply = sidegate.chat("gpt-4o").await;
        assert_eq!((reply.status(), reply.head.get("x-should-retry")), (429, None), "the word of {of}");
        assert!(reply.head.get("retry-after").is_some());
    }
}

#[tokio::test]
async fn a_reply_that_has_begun_is_never_begun_again() {
    let stream = Script::sse().chunk("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n");
    let half = Script::reply("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"id\":");
    for script in [stream.clone().close(), stream.reset(), half.close()] {
        let mut provider = Provider::always(script).await;
        let sidegate = Setup::of(provider.address, TWO).section("retry: { ambiguous: always }").start().await;
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", ASK).await;
        let reply = client.reply("POST").await;
        assert!(reply.status() == 200 && !reply.is_complete() && !reply.text().contains("[DONE]"), "{}", reply.text());
        assert_eq!(provider.new_requests().len(), 1);
        sidegate.holds_nothing().await;
    }
}

/// Of these, nobody knows what a second one would do, and a picture costs as much as a thousand replies.
#[tokio::test]
async fn what_stores_something_is_never_sent_again() {
    let json = r#"{"model":"gpt-4o","prompt":"a cat"}"#;
    for target in ["/v1/files", "/v1/batches", "/v1/images/generations", "/v1/fine_tuning/jobs", "/v1/assistants", "/v1/something/new"] {
        let mut provider = Provider::start().await;
        let keys = "keys: [{ name: one, value: sk-one, account: a }, { name: two, value: sk-two, account: a }]";
        let sidegate = Setup::of(provider.address, keys).section("retry: { ambiguous: idempotent }").start().await;
        for (script, expected) in
            [(down(), 503), (Script::json("500 Internal Server Error", DOWN), 500), (Script::on_request().close(), 502)]
        {
            provider.script(script);
            let mut client = Client::connect(sidegate.address).await;
            client.post(target, json).await;
            let reply = client.reply("POST").await;
            assert_eq!((reply.status(), provider.new_requests().len()), (expected, 1), "{target}");
        }
    }
}

/// A refusal of the key says that nothing was done, so another key may do it.
#[tokio::test]
async fn what_stores_something_goes_to_another_key_where_one_was_refused() {
    let keys = "keys: [{ name: one, value: sk-one, account: a }, { name: two, value: sk-two, account: a }]";
    let stored = r#"{"model":"gpt-4o","input":"hi","store":true}"#;
    for (method, target, body) in
        [("POST", "/v1/responses", stored), ("DELETE", "/v1/files/file-1", ""), ("POST", "/v1/batches/b/cancel", "")]
    {
        let mut provider = Provider::start().await;
        let sidegate = Setup::of(provider.address, keys).start().await;
        provider.script(Script::json("401 Unauthorized", REVOKED));
        provider.script(Script::ok("served"));
        let mut client = Client::connect(sidegate.address).await;
        let length = body.len();
        client.send(format!("{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")).await;
        assert_eq!((client.reply(method).await.status(), provider.new_requests().len()), (200, 2), "{method} {target}");
    }
}

#[tokio::test]
async fn a_response_that_is_stored_or_runs_in_the_background_is_never_sent_again() {
    for body in [r#"{"model":"gpt-4o","input":"hi","background":true}"#, r#"{"model":"gpt-4o","input":"hi","store":true}"#] {
        let mut provider = Provider::always(down()).await;
        let sidegate = Setup::of(provider.address, "").start().await;
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/responses", body).await;
        assert_eq!((client.reply("POST").await.status(), provider.new_requests().len()), (503, 1), "{body}");
    }
}

#[tokio::test]
async fn a_rate_limit_at_one_account_is_no_reason_to_wait_where_there_is_another() {
    let mut provider = Provider::always(Script::ok("served")).await;
    provider.for_key("sk-one", Script::json_with("429 Too Many Requests", "Retry-After: 30\r\n", TOO_FAST));
    let sidegate = Setup::of(provider.address, TWO).start().await;
    assert_eq!(sidegate.chats("gpt-4o", 20).await, [200; 20]);
    assert_eq!(provider.new_keys().iter().filter(|key| *key == "sk-one").count(), 1);
}

#[tokio::test]
async fn a_websocket_is_opened_with_another_key_where_one_is_refused() {
    let asking =
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let accepted = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let mut provider = Provider::start().await;
    let sidegate = Setup::of(provider.address, TWO).start().await;
    provider.script(Script::json("401 Unauthorized", REVOKED));
    provider.script(Script::on_request().write(accepted).until_left());
    let mut client = Client::connect(sidegate.address).await;
    client.get_with("/v1/realtime?model=gpt-realtime", asking).await;
    assert_eq!(client.head().await.status(), 101);
    let keys = [provider.request().await.key(), provider.request().await.key()];
    assert_ne!(keys[0], keys[1]);
    drop(client);
    provider.departure().await;
    sidegate.holds_nothing().await;
}
