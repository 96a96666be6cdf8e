//! An answer that is too old is better than none: while nobody else can answer, and no longer than the operator says.

use super::{directives::expired, *};
use crate::support::{Setup, within};

const DOWN: &str = r#"{"error":{"message":"The server is overloaded.","type":"server_error","param":null,"code":null}}"#;
const SHORT: &str = "cache: { ttl: 1s, stale_if_error: 1h }\n";

fn down() -> Script {
    Script::json("503 Service Unavailable", DOWN)
}

/// An answer to `body` is stored, and too old.
async fn aged(sidegate: &Sidegate, provider: &Provider, body: &str, script: Script) -> Reply {
    provider.script(script);
    let first = ask(sidegate, body).await;
    assert_eq!(cached(&first), "miss", "{}", first.text());
    stored(sidegate, 1).await;
    expired(sidegate, body).await;
    first
}

/// This is the old answer, marked as such.
#[track_caller]
fn assert_stale(first: &Reply, got: &Reply) {
    assert_eq!(cached(got), "stale", "{}", got.text());
    assert_same(first, got);
    let age: u64 = got.head.get("age").expect("it says how old it is").parse().unwrap();
    assert!(age <= 60, "it was kept for about a second: {age}");
}

#[tokio::test]
async fn where_the_provider_fails_the_old_answer_is_served_and_marked() {
    let failures = [
        down(),
        Script::json("500 Internal Server Error", DOWN),
        Script::json("529 Overloaded", DOWN),
        Script::on_request().close(),
        Script::on_request().reset(),
        Script::on_request().write("nonsense\r\n\r\n").close(),
    ];
    for (body, script) in [(ASK, reply("old")), (STREAMED, stream("old"))] {
        let (mut provider, sidegate) = house(SHORT).await;
        let first = aged(&sidegate, &provider, body, script).await;
        for failure in failures.clone() {
            provider.script(failure);
            assert_stale(&first, &ask(&sidegate, body).await);
        }
        assert_eq!(provider.new_requests().len(), 1 + failures.len());
        sidegate.holds_nothing().await;
        let told = || sidegate.log_lines().iter().filter(|line| line.contains(r#""cache":"stale""#)).count();
        eventually("the log says so", told, |lines| *lines == failures.len()).await;
    }
}

#[tokio::test]
async fn where_the_breaker_is_open_nobody_is_asked() {
    let mut provider = Provider::start().await;
    let setup = Setup::of(provider.address, "breaker: { consecutive: 2, minimum: 1000 }").section(SHORT);
    let sidegate = setup.section("retry: { attempts: 1 }").start().await;
    let first = aged(&sidegate, &provider, ASK, reply("old")).await;
    provider.otherwise(down());
    for _ in 0..2 {
        ask(&sidegate, OTHER).await;
    }
    sidegate.breaker_becomes("scripted", Some("gpt-4o"), "open").await;
    provider.new_requests();
    assert_eq!(ask(&sidegate, OTHER).await.status(), 503, "what was never asked has no old answer");
    for _ in 0..3 {
        assert_stale(&first, &ask(&sidegate, ASK).await);
    }
    assert_eq!(provider.new_requests().len(), 0);
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn where_no_key_is_left_the_old_answer_is_served() {
    let (mut provider, sidegate) = house(SHORT).await;
    let first = aged(&sidegate, &provider, ASK, reply("old")).await;
    sidegate.change_key("pool", "disable").await;
    assert_stale(&first, &ask(&sidegate, ASK).await);
    assert_eq!(provider.new_requests().len(), 1);
}

#[tokio::test]
async fn a_refusal_that_is_the_requests_own_fault_is_told_and_no_old_answer() {
    let refusal = r#"{"error":{"message":"No.","type":"invalid_request_error","param":null,"code":"content_policy_violation"}}"#;
    let (provider, sidegate) = house("cache: { ttl: 1s, stale_if_error: 1h, negative_ttl: 0s }\n").await;
    aged(&sidegate, &provider, ASK, reply("old")).await;
    provider.script(Script::json("400 Bad Request", refusal));
    let got = ask(&sidegate, ASK).await;
    assert_eq!((got.status(), got.text().as_str(), cached(&got).as_str()), (400, refusal, "miss"));
}

#[tokio::test]
async fn a_limit_that_refuses_is_told_and_no_old_answer() {
    let limited = format!("{SHORT}limits: [{{ name: tokens, per: all, tokens: 35/day }}]\n");
    let (mut provider, sidegate) = house(&limited).await;
    // It reserves some thirty tokens and takes twenty.
    let body = ASK.replace("\"messages\"", "\"max_tokens\":10,\"messages\"");
    aged(&sidegate, &provider, &body, reply("old")).await;
    let refused = ask(&sidegate, &body).await;
    assert_eq!(refused.status(), 429, "{}", refused.text());
    assert_eq!(provider.new_requests().len(), 1);
}

#[tokio::test]
async fn outside_of_its_window_the_error_is_told() {
    let (mut provider, sidegate) = house("cache: { ttl: 1s, stale_if_error: 1s }\n").await;
    let first = aged(&sidegate, &provider, ASK, reply("old")).await;
    provider.otherwise(down());
    let ending = async {
        loop {
            let got = ask(&sidegate, ASK).await;
            if got.status() != 200 {
                return got;
            }
            assert_stale(&first, &got);
        }
    };
    let error = within("the end of the window", ending).await;
    assert_eq!((error.status(), error.text().as_str(), cached(&error).as_str()), (503, DOWN, "miss"));
    provider.new_requests();
}

#[tokio::test]
async fn where_no_old_answer_is_wanted_there_is_none() {
    let (provider, sidegate) = house("cache: { ttl: 1s, stale_if_error: 0s }\n").await;
    aged(&sidegate, &provider, ASK, reply("old")).await;
    provider.script(down());
    let got = ask(&sidegate, ASK).await;
    assert_eq!((got.status(), got.text().as_str()), (503, DOWN));
}

#[tokio::test]
async fn an_old_answer_is_replaced_as_soon_as_there_is_a_new_one() {
    let (provider, sidegate) = house(SHORT).await;
    let first = aged(&sidegate, &provider, ASK, reply("old")).await;
    provider.script(down());
    assert_stale(&first, &ask(&sidegate, ASK).await);
    provider.script(reply("new"));
    let got = ask(&sidegate, ASK).await;
    assert_eq!((got.text(), cached(&got).as_str()), (answer("new"), "miss"));
    stored(&sidegate, 2).await;
    assert_eq!(ask(&sidegate, ASK).await.text(), answer("new"));
}

/// What has begun is not begun again, from wherever.
#[tokio::test]
async fn a_stream_that_breaks_off_is_not_patched_with_an_old_answer() {
    let (provider, sidegate) = house(SHORT).await;
    aged(&sidegate, &provider, STREAMED, stream("old")).await;
    let [role, word, _, _] = events("new");
    provider.script(Script::sse().chunk(&role).chunk(&word).close());
    let got = ask(&sidegate, STREAMED).await;
    assert_eq!((got.text(), cached(&got).as_str(), got.is_complete()), (format!("{role}{word}"), "miss", false));
    provider.script(down());
    assert_eq!(ask(&sidegate, STREAMED).await.text(), events("old").concat());
}

#[tokio::test]
async fn nobody_gets_anothers_old_answer() {
    let (provider, sidegate) = house(&format!("{SHORT}{}", clients(&["gold", "gold"]))).await;
    provider.script(reply("old"));
    ask_with(&sidegate, &credential(0), ASK).await;
    stored(&sidegate, 1).await;
    let only = format!("{}Cache-Control: only-if-cached\r\n", credential(0));
    let asking = async { while ask_with(&sidegate, &only, ASK).await.status() != 504 {} };
    within("the reply is too old", asking).await;
    for (client, status) in [(1, 503), (0, 200), (1, 503)] {
        provider.script(down());
        assert_eq!(ask_with(&sidegate, &credential(client), ASK).await.status(), status);
    }
}
