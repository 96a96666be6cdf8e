//! What an answer from the cache takes of limits, and that it needs nobody: no place, no key, no closed breaker.

use super::*;
use crate::support::{Gate, Setup};

/// Reserves some 35 tokens and is told to have taken 20.
const SMALL: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"max_tokens":10}"#;
const SMALL_TOO: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"ho"}],"max_tokens":10}"#;

fn code(reply: &Reply) -> String {
    reply.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_hit_takes_no_tokens_and_is_served_where_none_are_left() {
    let (mut provider, sidegate) = house("limits: [{ name: tokens, per: all, tokens: 35/day }]\n").await;
    provider.script(reply("one"));
    let first = ask(&sidegate, SMALL).await;
    assert_eq!(first.status(), 200, "{}", first.text());
    stored(&sidegate, 1).await;
    for _ in 0..20 {
        let hit = ask(&sidegate, SMALL).await;
        assert_eq!((hit.status(), cached(&hit).as_str()), (200, "hit"));
        assert_same(&first, &hit);
    }
    let refused = ask(&sidegate, SMALL_TOO).await;
    assert_eq!((refused.status(), code(&refused).as_str()), (429, "rate_limit_exceeded"), "fifteen are left, which is too little");
    assert_eq!(cached(&ask(&sidegate, SMALL).await), "hit");
    assert_eq!(provider.new_requests().len(), 1);
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn a_hit_counts_against_tokens_where_the_operator_says_so() {
    for (count_hits, expected) in [(false, 200), (true, 429)] {
        let sections = format!("cache: {{ ttl: 10m, count_hits: {count_hits} }}\nlimits: [{{ name: tokens, per: all, tokens: 75/day }}]\n");
        let (provider, sidegate) = house(&sections).await;
        provider.script(reply("one"));
        ask(&sidegate, SMALL).await;
        stored(&sidegate, 1).await;
        sidegate.log(1).await;
        // Two more of them are forty tokens, or none.
        for n in 2..=3 {
            let hit = ask(&sidegate, SMALL).await;
            assert_eq!((hit.status(), cached(&hit).as_str()), (200, "hit"), "{}", hit.text());
            sidegate.log(n).await;
        }
        provider.script(reply("two"));
        assert_eq!(ask(&sidegate, SMALL_TOO).await.status(), expected, "with count_hits: {count_hits}");
        assert_eq!(provider.forget_scripts(), count_hits);
        sidegate.holds_nothing().await;
    }
}

#[tokio::test]
async fn a_hit_costs_nothing_unless_the_operator_says_so() {
    let prices = "prices: { models: { \"gpt-*\": { input: 1000, output: 1000 } } }\n";
    for (count_hits, expected) in [(false, 200), (true, 429)] {
        // A reply of twenty tokens is two cents; what is reserved before that is known is about four.
        let limits = "limits: [{ name: cost, per: all, cost: 0.085 USD/day }]\n";
        let sections = format!("cache: {{ ttl: 10m, count_hits: {count_hits} }}\n{prices}{limits}");
        let (provider, sidegate) = house(&sections).await;
        provider.script(reply("one"));
        assert_eq!(ask(&sidegate, SMALL).await.status(), 200);
        stored(&sidegate, 1).await;
        sidegate.log(1).await;
        for n in 2..=3 {
            assert_eq!(cached(&ask(&sidegate, SMALL).await), "hit");
            sidegate.log(n).await;
        }
        provider.script(reply("two"));
        assert_eq!(ask(&sidegate, SMALL_TOO).await.status(), expected, "with count_hits: {count_hits}");
        provider.forget_scripts();
    }
}

#[tokio::test]
async fn a_hit_is_a_request() {
    let (mut provider, sidegate) = house("limits: [{ name: few, per: all, requests: 3/day }]\n").await;
    provider.script(reply("one"));
    ask(&sidegate, ASK).await;
    stored(&sidegate, 1).await;
    for left in ["1", "0"] {
        let hit = ask(&sidegate, ASK).await;
        assert_eq!(cached(&hit), "hit");
        assert_eq!(hit.head.get("x-ratelimit-remaining-requests").as_deref(), Some(left), "it is told what is left now, not then");
    }
    let refused = ask(&sidegate, ASK).await;
    assert_eq!((refused.status(), code(&refused).as_str()), (429, "rate_limit_exceeded"));
    assert_eq!(provider.new_requests().len(), 1);
}

#[tokio::test]
async fn a_hit_needs_no_place_at_the_provider() {
    let go = Gate::new();
    let provider = Provider::start().await;
    let setup = Setup::of(provider.address, "breaker: off, queue: { concurrent: 1, waiting: 0 }").section(CACHED);
    let sidegate = setup.section("retry: { attempts: 1 }").start().await;
    provider.script(reply("one"));
    ask(&sidegate, ASK).await;
    stored(&sidegate, 1).await;
    let begun = Gate::new();
    let length = answer("two").len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
    provider.script(Script::on_request().tell(&begun).wait(&go).write(head + &answer("two")));
    let mut busy = Client::connect(sidegate.address).await;
    busy.post(CHAT, OTHER).await;
    begun.reached("the only place is taken").await;
    let third = ASK.replace("hi", "third");
    assert_eq!(code(&ask(&sidegate, &third).await), "queue_full");
    let hit = ask(&sidegate, ASK).await;
    assert_eq!((hit.text(), cached(&hit).as_str()), (answer("one"), "hit"));
    go.open();
    assert_eq!(busy.reply("POST").await.text(), answer("two"));
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn a_hit_needs_no_closed_breaker_and_no_key() {
    let mut provider = Provider::start().await;
    let setup = Setup::of(provider.address, "breaker: { consecutive: 2, minimum: 1000 }").section(CACHED);
    let sidegate = setup.section("retry: { attempts: 1 }").start().await;
    provider.script(reply("one"));
    ask(&sidegate, ASK).await;
    stored(&sidegate, 1).await;
    provider.otherwise(Script::json("503 Service Unavailable", "{\"error\":{\"message\":\"down\"}}"));
    for _ in 0..2 {
        assert_eq!(ask(&sidegate, OTHER).await.status(), 503);
    }
    assert_eq!(code(&ask(&sidegate, OTHER).await), "circuit_open");
    assert_eq!(cached(&ask(&sidegate, ASK).await), "hit");
    sidegate.change_key("scripted", "disable").await;
    assert_eq!(cached(&ask(&sidegate, ASK).await), "hit");
    assert_eq!(provider.new_requests().len(), 3);
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn what_was_saved_is_counted() {
    let prices = "prices: { models: { \"gpt-*\": { input: 1000, output: 1000 } } }\n";
    let (provider, sidegate) = house(prices).await;
    provider.script(reply("one"));
    ask(&sidegate, ASK).await;
    stored(&sidegate, 1).await;
    for _ in 0..3 {
        assert_eq!(cached(&ask(&sidegate, ASK).await), "hit");
    }
    settled(&sidegate, 4).await;
    sidegate.metric_becomes(r#"sidegate_cache_requests_total{outcome="hit"}"#, 3.0).await;
    sidegate.metric_becomes(r#"sidegate_cache_requests_total{outcome="miss"}"#, 1.0).await;
    sidegate.metric_becomes(r#"sidegate_cache_saved_tokens_total{direction="in"}"#, 48.0).await;
    sidegate.metric_becomes(r#"sidegate_cache_saved_tokens_total{direction="out"}"#, 12.0).await;
    let saved = sidegate.metric("sidegate_cache_saved_cost_total").await;
    assert!((saved - 0.06).abs() < 1e-9, "{saved}");
    sidegate.metric_becomes("sidegate_cache_entries", 1.0).await;
    assert!(sidegate.metric("sidegate_cache_bytes").await >= answer("one").len() as f64);
}
