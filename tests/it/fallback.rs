//! When a target can't serve, the next one does: with its own key and its own name for the model, and only for the reasons that
//! the config gives.

use std::{collections::BTreeMap, time::Duration};

use h2::server::Builder;

use crate::support::{Client, Gate, H2Provider, H2Script, Provider, Refused, Script, Setup, client::Reply};

const DOWN: &str = r#"{"error":{"message":"The server is overloaded.","type":"server_error","param":null,"code":null}}"#;
const REVOKED: &str =
    r#"{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
const TOO_FAST: &str = r#"{"error":{"message":"Rate limit reached.","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
const TOO_LONG: &str =
    r#"{"error":{"message":"Too long.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;

/// A target that renames says for which models it stands in.
const ALL: &str = r#"models: ["*"]"#;

fn down() -> Script {
    Script::json("503 Service Unavailable", DOWN)
}

/// A route to `first`, then to `second`.
fn two(first: std::net::SocketAddr, second: std::net::SocketAddr) -> Setup {
    Setup::default().provider("first", first, "").provider("second", second, "").target("first").target("second")
}

/// Which target answered, after how many sends.
fn told(reply: &Reply) -> (Option<String>, Option<String>) {
    (reply.head.get("x-sidegate-target"), reply.head.get("x-sidegate-attempts"))
}

fn some(target: &str, attempts: &str) -> (Option<String>, Option<String>) {
    (Some(target.to_owned()), Some(attempts.to_owned()))
}

#[tokio::test]
async fn the_first_that_can_serve_does_and_the_reply_says_which() {
    let (mut first, mut second) = (Provider::start().await, Provider::start().await);
    let sidegate = two(first.address, second.address).section("retry: { attempts: 2 }").start().await;
    first.script(Script::ok("from the first"));
    let reply = sidegate.chat("gpt-4o").await;
    assert_eq!((reply.text().as_str(), told(&reply)), ("from the first", some("first", "1")));
    first.script(down());
    second.script(Script::ok("from the second"));
    let reply = sidegate.chat("gpt-4o").await;
    assert_eq!((reply.text().as_str(), told(&reply)), ("from the second", some("second", "2")));
    let ([_, one], [two]) =
        (<[_; 2]>::try_from(first.new_requests()).ok().unwrap(), <[_; 1]>::try_from(second.new_requests()).ok().unwrap());
    assert_eq!((one.key().as_str(), two.key().as_str()), ("sk-first", "sk-second"));
    assert_eq!(one.body.bytes, two.body.bytes);
    assert_eq!(two.head.get("host"), Some(second.address.to_string()), "nothing of the first is told to the second");
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn a_host_that_refuses_the_connection_costs_nothing_but_a_moment() {
    let (refused, second) = (Refused::new(), Provider::always(Script::ok("from the second")).await);
    let sidegate = two(refused.address, second.address).start().await;
    assert_eq!(sidegate.chats("gpt-4o", 30).await, [200; 30]);
    assert_eq!(sidegate.breaker("first", None).await, "open");
    let reply = sidegate.chat("gpt-4o").await;
    assert_eq!(told(&reply), some("second", "1"), "it is not even tried");
}

#[tokio::test]
async fn an_open_breaker_is_passed_over_without_a_try() {
    let (mut first, second) = (Provider::always(down()).await, Provider::always(Script::ok("from the second")).await);
    let sidegate = two(first.address, second.address).start().await;
    assert_eq!(sidegate.chats("gpt-4o", 30).await, [200; 30]);
    assert_eq!(first.new_requests().len(), 5);
    assert_eq!(told(&sidegate.chat("gpt-4o").await), some("second", "1"));
}

#[tokio::test]
async fn an_h2_provider_falls_back_to_an_h1_one_and_back() {
    let mut modern = H2Provider::start(Builder::new()).await;
    let mut plain = Provider::start().await;
    let setup = Setup::default().provider("modern", modern.address, "http_version: 2").provider("plain", plain.address, "");
    for (targets, expected) in [(["modern", "plain"], "plain"), (["plain", "modern"], "modern")] {
        let sidegate = setup.clone().target(targets[0]).target(targets[1]).section("retry: { attempts: 2 }").start().await;
        if expected == "plain" {
            modern.script(H2Script::on_request().head(500).last(DOWN));
            plain.script(Script::ok("served"));
        } else {
            plain.script(Script::json("500 Internal Server Error", DOWN));
            modern.script(H2Script::ok("served"));
        }
        let reply = sidegate.chat("gpt-4o").await;
        assert_eq!((reply.text().as_str(), told(&reply)), ("served", some(expected, "2")));
        let (above, below) = (modern.request().await, plain.request().await);
        assert_eq!(above.body, below.body.bytes);
        assert_eq!((above.key().as_str(), below.key().as_str()), ("sk-modern", "sk-plain"));
    }
}

/// Everything but the name stays as it was written, and the reply as it came.
#[tokio::test]
async fn a_model_is_renamed_in_its_place_and_nowhere_else() {
    for (body, expected) in [
        (r#"{"model":"gpt-4o","messages":[]}"#, r#"{"model":"meta/llama-3:free","messages":[]}"#),
        (
            "{ \"messages\" : [{\"content\":\"\\\"model\\\":\\\"gpt-4o\\\" é \\ud83d\\ude00\"}],\r\n\t\"model\" :  \"gpt-4o\" , \"x\":1.0e0,\"x\":2 }",
            "{ \"messages\" : [{\"content\":\"\\\"model\\\":\\\"gpt-4o\\\" é \\ud83d\\ude00\"}],\r\n\t\"model\" :  \"meta/llama-3:free\" , \"x\":1.0e0,\"x\":2 }",
        ),
        (
            r#"{"tools":[{"model":"gpt-4o"}],"model":"gpt\u002d4o","stream":false}"#,
            r#"{"tools":[{"model":"gpt-4o"}],"model":"meta/llama-3:free","stream":false}"#,
        ),
    ] {
        let (mut first, mut second) = (Provider::always(down()).await, Provider::start().await);
        let answer = r#"{"model":"meta/llama-3:free","choices":[]}"#;
        second.script(Script::json("200 OK", answer));
        let setup = Setup::default().provider("first", first.address, "").provider("second", second.address, "").target("first");
        let setup = setup.target("{ provider: second, model: 'meta/llama-3:free' }").route(ALL);
        let sidegate = setup.section("retry: { attempts: 2 }").start().await;
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", body).await;
        assert_eq!(client.reply("POST").await.text(), answer);
        assert_eq!(String::from_utf8(first.request().await.body.bytes).unwrap(), body);
        let renamed = second.request().await;
        assert_eq!(String::from_utf8(renamed.body.bytes).unwrap(), expected);
        assert_eq!(renamed.head.get("content-length"), Some(expected.len().to_string()));
    }
}

#[tokio::test]
async fn the_first_target_may_rename_too() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let setup = Setup::default().provider("only", provider.address, "").target("{ provider: only, model: gpt-mini }").route(ALL);
    let sidegate = setup.start().await;
    assert_eq!(sidegate.chat("gpt-4o").await.status(), 200);
    assert_eq!(provider.request().await.model(), "gpt-mini");
}

/// The conditions by their names, what brings each about at the first target, and what the client sees if none takes over.
fn troubles() -> [(&'static str, Option<Script>, u16); 6] {
    [
        ("open", None, 502),
        ("exhausted", Some(Script::json("401 Unauthorized", REVOKED)), 401),
        ("server_error", Some(Script::json("500 Internal Server Error", DOWN)), 500),
        ("timeout", Some(Script::on_request().wait(&Gate::new())), 504),
        ("rate_limited", Some(Script::json_with("429 Too Many Requests", "Retry-After: 600\r\n", TOO_FAST)), 429),
        ("context_length", Some(Script::json("400 Bad Request", TOO_LONG)), 400),
    ]
}

#[tokio::test]
async fn a_target_takes_over_for_the_reasons_that_it_names_and_for_no_other() {
    for (trouble, script, status) in troubles() {
        let conditions = troubles().map(|(name, ..)| format!("when: [{name}]"));
        for when in conditions.iter().map(String::as_str).chain([""]) {
            let first = Provider::start().await;
            script.iter().for_each(|script| first.otherwise(script.clone()));
            let (refused, second) = (Refused::new(), Provider::always(Script::ok("from the second")).await);
            let address = if script.is_some() { first.address } else { refused.address };
            let setup =
                Setup::default().provider("first", address, "timeouts: { first_byte: 200ms }").provider("second", second.address, "");
            let target = if when.is_empty() { "second".to_owned() } else { format!("{{ provider: second, {when} }}") };
            let setup = setup.target("first").target(&target);
            let sidegate = setup.section("retry: { attempts: 2, ambiguous: always, within: 5s }").start().await;
            let reply = sidegate.chat("gpt-4o").await;
            // A host that can't be reached is one that failed, too.
            let is_down = trouble == "open" && when.contains("server_error");
            let takes_over = if when.is_empty() { trouble != "context_length" } else { when.contains(trouble) || is_down };
            let expected = if takes_over { 200 } else { status };
            assert_eq!(reply.status(), expected, "{trouble}, {when}: {}", reply.text());
        }
    }
}

#[tokio::test]
async fn several_reasons_may_be_named() {
    let (first, second) = (Provider::start().await, Provider::always(Script::ok("from the second")).await);
    let setup = Setup::default().provider("first", first.address, "breaker: off").provider("second", second.address, "");
    let setup = setup.target("first").target("{ provider: second, when: [server_error, context_length] }");
    let sidegate = setup.section("retry: { attempts: 2, within: 2s }").start().await;
    for (script, expected) in [
        (down(), 200),
        (Script::json("400 Bad Request", TOO_LONG), 200),
        (Script::json_with("429 Too Many Requests", "Retry-After: 600\r\n", TOO_FAST), 429),
    ] {
        first.otherwise(script);
        assert_eq!(sidegate.chat("gpt-4o").await.status(), expected);
    }
}

#[tokio::test]
async fn what_the_caller_did_wrong_is_asked_of_nobody_else() {
    for status in ["400 Bad Request", "404 Not Found", "413 Payload Too Large", "422 Unprocessable Entity"] {
        let (first, mut second) = (Provider::always(Script::json(status, "{}")).await, Provider::always(Script::ok("no")).await);
        let sidegate = two(first.address, second.address).start().await;
        assert_eq!(sidegate.chat("gpt-4o").await.status().to_string(), status[..3]);
        assert_eq!(second.new_requests().len(), 0);
    }
}

#[tokio::test]
async fn the_last_attempt_is_kept_for_the_next_target() {
    let (mut first, second) = (Provider::always(down()).await, Provider::always(Script::ok("from the second")).await);
    let reply = two(first.address, second.address).start().await.chat("gpt-4o").await;
    assert_eq!((reply.text().as_str(), told(&reply)), ("from the second", some("second", "3")));
    assert_eq!(first.new_requests().len(), 2);
}

#[tokio::test]
async fn three_targets_and_three_attempts_are_one_each() {
    let (mut first, mut second, third) =
        (Provider::always(down()).await, Provider::always(down()).await, Provider::always(Script::ok("from the third")).await);
    let setup = two(first.address, second.address).provider("third", third.address, "").target("third");
    let reply = setup.start().await.chat("gpt-4o").await;
    assert_eq!((reply.text().as_str(), told(&reply)), ("from the third", some("third", "3")));
    assert_eq!((first.new_requests().len(), second.new_requests().len()), (1, 1));
}

#[tokio::test]
async fn the_last_resort_stands_in_for_an_error_of_ours_and_of_theirs() {
    let last_resort = r#"last_resort: { status: 200, content_type: text/plain, body: "We are closed." }"#;
    let (refused, second) = (Refused::new(), Provider::always(down()).await);
    let sidegate = two(refused.address, second.address).route(last_resort).start().await;
    for _ in 0..20 {
        let reply = sidegate.chat("gpt-4o").await;
        assert_eq!((reply.status(), reply.text().as_str()), (200, "We are closed."));
        assert_eq!(reply.head.get("content-type").as_deref(), Some("text/plain"));
        assert_eq!(reply.head.all("x-request-id").len(), 1);
    }
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn the_last_resort_is_no_answer_to_the_callers_mistakes() {
    let first = Provider::always(Script::json("400 Bad Request", TOO_LONG)).await;
    let setup = Setup::of(first.address, "").route(r#"last_resort: { status: 200, content_type: text/plain, body: "We are closed." }"#);
    let reply = setup.start().await.chat("gpt-4o").await;
    assert_eq!((reply.status(), reply.text().as_str()), (400, TOO_LONG));
}

#[tokio::test]
async fn the_cheapest_comes_first_where_that_is_wanted() {
    let (dear, cheap) = (Provider::always(Script::ok("dear")).await, Provider::start().await);
    let prices = "prices: { models: { dear: { input: 10, output: 40 }, cheap: { input: 1, output: 4 } } }";
    let setup = Setup::default().provider("first", dear.address, "").provider("second", cheap.address, "").section(prices);
    let setup =
        setup.target("{ provider: first, model: dear }").target("{ provider: second, model: cheap }").route(ALL).route("order: cheapest");
    let sidegate = setup.start().await;
    cheap.otherwise(Script::ok("cheap"));
    for _ in 0..5 {
        assert_eq!(sidegate.chat("gpt-4o").await.text(), "cheap");
    }
    cheap.otherwise(down());
    assert_eq!(sidegate.chat("gpt-4o").await.text(), "dear");
}

#[tokio::test]
async fn the_fastest_comes_first_where_that_is_wanted() {
    let (asked, answer) = (Gate::new(), Gate::new());
    let slow =
        Provider::always(Script::on_request().tell(&asked).wait(&answer).write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")).await;
    let fast = Provider::always(Script::ok("fast")).await;
    let sidegate = two(slow.address, fast.address).route("order: fastest").start().await;
    let slowness = tokio::spawn(async move {
        loop {
            asked.pass().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            answer.open();
        }
    });
    let mut from = BTreeMap::new();
    for _ in 0..40 {
        *from.entry(sidegate.chat("gpt-4o").await.text()).or_insert(0) += 1;
    }
    slowness.abort();
    assert!(from.get("fast").is_some_and(|count| *count >= 30), "{from:?}");
}
