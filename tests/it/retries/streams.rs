//! An error at the start of a 200 stream is an answer like any other error: another attempt is made while the client has
//! seen nothing, and every byte that was looked at arrives as it came.

use h2::server::Builder;
use http::Response;

use crate::support::{Client, Gate, H2Provider, H2Script, Provider, Script, Setup, client::Reply};

use super::{ASK, attempts, some};

/// As OpenRouter, OpenAI and Anthropic say it.
const ERRORS: [(&str, &str); 3] = [
    ("openai", "data: {\"error\":{\"code\":502,\"message\":\"Provider returned error\"},\"choices\":[]}\n\n"),
    ("openai", "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"server_error\",\"message\":\"No.\"}}\n\n"),
    ("anthropic", "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"),
];

const HELLO: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hé\"}}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

async fn ask(to: std::net::SocketAddr, dialect: &str) -> Reply {
    let mut client = Client::connect(to).await;
    let target = if dialect == "anthropic" { "/v1/messages" } else { "/v1/chat/completions" };
    client.post(target, r#"{"model":"m","messages":[],"stream":true}"#).await;
    client.reply("POST").await
}

#[tokio::test]
async fn an_error_before_any_content_is_tried_again() {
    for (dialect, error) in ERRORS {
        for before in [&[][..], &[": OPENROUTER PROCESSING\n\n"], &["\n\n", ": keep-alive\n\n"]] {
            let mut provider = Provider::start().await;
            let sidegate = Setup::of(provider.address, &format!("dialect: {dialect}")).start().await;
            provider.script(Script::events(&[before, &[error]].concat()));
            provider.script(Script::events(&[HELLO, DONE]));
            let reply = ask(sidegate.address, dialect).await;
            assert_eq!((reply.status(), reply.text(), attempts(&reply)), (200, [HELLO, DONE].concat(), some("2")), "{error}");
            assert_eq!(provider.new_requests().len(), 2);
            sidegate.holds_nothing().await;
        }
    }
}

#[tokio::test]
async fn an_h2_providers_error_before_any_content_is_tried_again() {
    let head = || Response::builder().header("content-type", "text/event-stream").body(()).unwrap();
    let mut provider = H2Provider::start(Builder::new()).await;
    let sidegate = Setup::of(provider.address, "http_version: 2").start().await;
    provider.script(H2Script::on_request().reply(head()).part(": wait\n\n").last(ERRORS[0].1));
    provider.script(H2Script::on_request().reply(head()).part(HELLO).last(DONE));
    let reply = ask(sidegate.address, "openai").await;
    assert_eq!((reply.text(), attempts(&reply)), ([HELLO, DONE].concat(), some("2")));
    assert_eq!(provider.new_keys().len(), 2);
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn with_no_attempt_left_the_error_passes_as_it_is() {
    for (dialect, error) in ERRORS {
        let mut provider = Provider::always(Script::events(&[": wait\n\n", error])).await;
        let sidegate = Setup::of(provider.address, &format!("dialect: {dialect}")).section("retry: { attempts: 2 }").start().await;
        let reply = ask(sidegate.address, dialect).await;
        assert_eq!((reply.status(), reply.text()), (200, [": wait\n\n", error].concat()));
        assert!(reply.is_complete());
        assert_eq!(provider.new_requests().len(), 2);
    }
}

#[tokio::test]
async fn an_error_behind_content_passes_and_is_not_tried_again() {
    let mut provider = Provider::always(Script::events(&[HELLO, ERRORS[0].1])).await;
    let sidegate = Setup::of(provider.address, "").start().await;
    let reply = ask(sidegate.address, "openai").await;
    assert_eq!((reply.text(), attempts(&reply)), ([HELLO, ERRORS[0].1].concat(), some("1")));
    assert_eq!(provider.new_requests().len(), 1);
}

#[tokio::test]
async fn the_callers_mistake_in_a_stream_is_not_tried_again() {
    let error = "data: {\"error\":{\"code\":400,\"type\":\"invalid_request_error\",\"message\":\"No.\"}}\n\n";
    let mut provider = Provider::always(Script::events(&[error])).await;
    let sidegate = Setup::of(provider.address, "").start().await;
    assert_eq!(ask(sidegate.address, "openai").await.text(), error);
    assert_eq!(provider.new_requests().len(), 1);
}

/// A model that thinks for minutes must not look dead to its client.
#[tokio::test]
async fn a_stream_whose_first_word_is_late_goes_down_without_it() {
    let next = Gate::new();
    for early in [&[][..], &[": thinking\n\n"]] {
        let mut provider = Provider::start().await;
        let sidegate = Setup::of(provider.address, "").start().await;
        let script = early.iter().fold(Script::sse(), |script, event| script.chunk(event));
        provider.script(script.wait(&next).chunk(ERRORS[0].1).end());
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", ASK).await;
        // Nothing more comes before the gate opens, so this is what time has let through.
        assert_eq!(client.head().await.status(), 200);
        for event in early {
            client.until(event).await;
        }
        next.open();
        client.until(ERRORS[0].1).await;
        client.until("0\r\n\r\n").await;
        assert_eq!(provider.new_requests().len(), 1);
    }
}

#[tokio::test]
async fn a_stream_that_has_begun_to_speak_is_not_held_up() {
    let next = Gate::new();
    let provider = Provider::always(Script::sse().chunk(HELLO).wait(&next).chunk(DONE).end()).await;
    let sidegate = Setup::of(provider.address, "").start().await;
    let mut client = Client::connect(sidegate.address).await;
    client.post("/v1/chat/completions", ASK).await;
    client.until(HELLO).await;
    next.open();
    client.until(DONE).await;
}

/// Cut anywhere, also within a letter, a line end or the first event.
#[tokio::test]
async fn what_was_looked_at_arrives_as_it_came_however_it_was_cut() {
    let stream = [": wait\r\n\r\n", "event: ping\ndata: {}\n\n", HELLO, "data:{\"choices\":[]}\n\n", DONE].concat();
    let bytes = stream.as_bytes();
    let provider = Provider::start().await;
    let sidegate = Setup::of(provider.address, "").start().await;
    let mut client = Client::connect(sidegate.address).await;
    let chunk = |script: Script, part: &[u8]| {
        if part.is_empty() { script } else { script.write([format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat()) }
    };
    let cuts = (0..bytes.len()).map(|at| vec![&bytes[..at], &bytes[at..]]);
    for parts in cuts.chain([bytes.chunks(1).collect(), bytes.chunks(7).collect()]) {
        provider.script(parts.iter().fold(Script::sse(), |script, part| chunk(script, part)).end());
        client.post("/v1/chat/completions", ASK).await;
        let reply = client.reply("POST").await;
        assert_eq!((reply.text(), reply.is_complete(), attempts(&reply)), (stream.clone(), true, some("1")));
    }
    sidegate.holds_nothing().await;
}

/// More than what is looked at, in comments, and still not a word.
#[tokio::test]
async fn a_stream_of_comments_is_not_held_for_ever() {
    let comments = ": nothing to say yet\n\n".repeat(2000);
    let mut provider = Provider::always(Script::sse().chunk(&comments).chunk(HELLO).chunk(DONE).end()).await;
    let sidegate = Setup::of(provider.address, "").start().await;
    let reply = ask(sidegate.address, "openai").await;
    assert!(reply.text() == [comments.as_str(), HELLO, DONE].concat(), "{} bytes", reply.text().len());
    assert_eq!(provider.new_requests().len(), 1);
}

#[tokio::test]
async fn a_client_that_leaves_while_it_is_looked_at_cuts_the_provider() {
    let reached = Gate::new();
    let mut provider = Provider::always(Script::sse().tell(&reached).until_left()).await;
    let sidegate = Setup::of(provider.address, "").start().await;
    let mut client = Client::connect(sidegate.address).await;
    client.post("/v1/chat/completions", ASK).await;
    reached.reached("the head of the stream").await;
    drop(client);
    provider.departure().await;
    sidegate.holds_nothing().await;
    sidegate.blames_nobody().await;
}
