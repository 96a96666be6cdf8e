//! What was sent and not answered may have been worked on, and be charged for: whether it is sent again is the operator's word.

use crate::support::{Client, Gate, H2Provider, H2Script, Provider, Script, Setup};

use super::{ASK, REVOKED, TWO, attempts, some};

/// One request that the provider takes and closes upon without a word; how it ended, and how often it was sent.
async fn unanswered(retry: &str, method: &str, fields: &str) -> (u16, usize) {
    let mut provider = Provider::start().await;
    provider.script(Script::on_request().close());
    provider.otherwise(Script::ok("served"));
    let sidegate = Setup::of(provider.address, "").section(&format!("retry: {{ {retry} }}")).start().await;
    let mut client = Client::connect(sidegate.address).await;
    match method {
        "GET" => client.get_with("/v1/models", fields).await,
        _ => client.post_with("/v1/chat/completions", fields, ASK).await,
    }
    let status = client.reply(method).await.status();
    sidegate.holds_nothing().await;
    (status, provider.new_requests().len())
}

#[tokio::test]
async fn it_is_not_by_default() {
    assert_eq!(unanswered("ambiguous: never", "POST", "").await, (502, 1));
    assert_eq!(unanswered("", "POST", "").await, (502, 1));
    assert_eq!(unanswered("", "POST", "Idempotency-Key: 1\r\n").await, (502, 1));
}

#[tokio::test]
async fn it_is_where_the_provider_can_tell_or_where_nothing_changes() {
    assert_eq!(unanswered("ambiguous: idempotent", "POST", "").await, (502, 1));
    assert_eq!(unanswered("ambiguous: idempotent", "POST", "Idempotency-Key: 1\r\n").await, (200, 2));
    assert_eq!(unanswered("ambiguous: idempotent", "GET", "").await, (200, 2));
}

#[tokio::test]
async fn it_always_is_where_that_is_wanted() {
    assert_eq!(unanswered("ambiguous: always", "POST", "").await, (200, 2));
}

#[tokio::test]
async fn a_reset_a_silence_and_what_is_no_reply_are_the_same() {
    let never = Gate::new();
    let half_a_head = Script::reply("HTTP/1.1 200 OK\r\nContent-Le").close();
    let garbage = Script::reply("this is no HTTP at all\r\n\r\n").close();
    let silent = Script::on_request().wait(&never);
    for (what, script, status) in [
        ("a reset", Script::on_request().reset(), 502),
        ("half a head", half_a_head, 502),
        ("garbage", garbage, 502),
        ("silence", silent, 504),
    ] {
        for (ambiguous, expected, sends) in [("never", status, 1), ("always", 200, 2)] {
            let mut provider = Provider::start().await;
            provider.script(script.clone());
            provider.otherwise(Script::ok("served"));
            let setup = Setup::of(provider.address, "timeouts: { first_byte: 300ms }");
            let sidegate = setup.section(&format!("retry: {{ ambiguous: {ambiguous} }}")).start().await;
            let reply = sidegate.chat("gpt-4o").await;
            assert_eq!((reply.status(), provider.new_requests().len()), (expected, sends), "{what}, {ambiguous}");
        }
    }
}

#[tokio::test]
async fn an_h2_stream_that_is_reset_is_the_same_and_a_refused_one_is_not() {
    for (reason, ambiguous, expected, sends) in [
        (h2::Reason::INTERNAL_ERROR, "never", 502, 1),
        (h2::Reason::INTERNAL_ERROR, "always", 200, 2),
        (h2::Reason::REFUSED_STREAM, "never", 200, 2),
    ] {
        let mut provider = H2Provider::start(h2::server::Builder::new()).await;
        provider.script(H2Script::on_request().reset(reason));
        provider.otherwise(H2Script::ok("served"));
        let sidegate =
            Setup::of(provider.address, "http_version: 2").section(&format!("retry: {{ ambiguous: {ambiguous} }}")).start().await;
        let reply = sidegate.chat("gpt-4o").await;
        assert_eq!((reply.status(), provider.new_keys().len()), (expected, sends), "{reason:?} {ambiguous}");
    }
}

#[tokio::test]
async fn a_504_of_the_providers_own_may_have_been_worked_on_too() {
    for (ambiguous, expected, sends) in [("never", 504, 1), ("always", 200, 2)] {
        let mut provider = Provider::start().await;
        provider.script(Script::json("504 Gateway Timeout", "{}"));
        provider.otherwise(Script::ok("served"));
        let sidegate = Setup::of(provider.address, "").section(&format!("retry: {{ ambiguous: {ambiguous} }}")).start().await;
        let reply = sidegate.chat("gpt-4o").await;
        assert_eq!((reply.status(), provider.new_requests().len()), (expected, sends), "{ambiguous}");
        assert_eq!(attempts(&reply), some(if sends == 1 { "1" } else { "2" }));
    }
}

/// An earlier refusal would say that nothing was done.
#[tokio::test]
async fn what_may_have_been_worked_on_is_told_as_that_whatever_came_before() {
    let provider = Provider::start().await;
    provider.script(Script::json("401 Unauthorized", REVOKED));
    provider.script(Script::on_request().close());
    let sidegate = Setup::of(provider.address, TWO).start().await;
    let reply = sidegate.chat("gpt-4o").await;
    assert_eq!((reply.status(), reply.json()["error"]["code"].as_str()), (502, Some("upstream_failed")));
    sidegate.holds_nothing().await;
}
