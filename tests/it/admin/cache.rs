//! The cache as operators see it: what it holds, how it answered, what that saved, and what it is made to forget.

use serde_json::{Value, json as value};
use sidegate::config::KeyHash;

use super::{
    ask, code,
    description::{document, flaws, operation},
    json, json_becomes,
};
use crate::support::{Client, Provider, Script, Setup, Sidegate};

/// A whole and good reply, of 16 tokens and 4.
const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":16,"completion_tokens":4,"total_tokens":20}}"#;

/// A client who proves his name, and whoever else comes.
fn clients() -> String {
    format!("clients: {{ anonymous: free, keys: [{{ name: web, sha256: {}, tier: premium }}] }}", KeyHash::of(b"sg-web-0123456789"))
}

/// Before a provider with a good answer for everybody, at a dollar a million tokens in and two a million out.
async fn with_a_cache(provider: &Provider) -> Sidegate {
    provider.otherwise(Script::json("200 OK", ANSWER));
    let prices = "prices: { models: { gpt-4o: { input: 1, output: 2 }, o3: { input: 1, output: 2 } } }";
    let cache = "cache: { max_entries: 50, max_size: 8MiB }";
    [cache, prices, &clients(), "retry: { attempts: 1 }"].into_iter().fold(Setup::of(provider.address, ""), Setup::section).start().await
}

/// Asks this model as this client, with more beside the model.
async fn chat(sidegate: &Sidegate, model: &str, fields: &str, more: &str) -> u16 {
    let mut client = Client::connect(sidegate.address).await;
    client.post_with("/v1/chat/completions", fields, &format!(r#"{{"model":"{model}","messages":[]{more}}}"#)).await;
    client.reply("POST").await.status()
}

const WEB: &str = "Authorization: Bearer sg-web-0123456789\r\n";

/// As soon as there are so many.
async fn decisions(sidegate: &Sidegate, count: usize) -> Value {
    json_becomes(sidegate, "/decisions", |told| told["decisions"].as_array().unwrap().len() == count).await
}

async fn purge(sidegate: &Sidegate, query: &str) -> Value {
    let reply = ask(sidegate.admin, "POST", &format!("/cache/purge{query}"), "").await;
    assert_eq!(reply.status(), 200, "{query}: {}", reply.text());
    let document = document();
    let described = &operation(&document, "/cache/purge", "POST")["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(flaws(&document, described, &reply.json(), query), [""; 0]);
    reply.json()
}

#[tokio::test]
async fn it_is_told_what_is_held_how_requests_were_answered_and_what_that_saved() {
    let provider = Provider::start().await;
    let sidegate = with_a_cache(&provider).await;
    let untouched = json(&sidegate, "/cache").await;
    assert_eq!((&untouched["routes"], &untouched["entries"], &untouched["bytes"]), (&1.into(), &0.into(), &0.into()));
    assert_eq!((&untouched["max_entries"], &untouched["max_bytes"]), (&50.into(), &(8 << 20).into()));
    assert_eq!(untouched["total"]["hit_ratio"], Value::Null);

    for _ in 0..4 {
        assert_eq!(chat(&sidegate, "gpt-4o", "", "").await, 200);
    }
    chat(&sidegate, "gpt-4o", "Cache-Control: no-store\r\n", "").await;
    provider.script(Script::json("500 Oh No", "{}"));
    chat(&sidegate, "gpt-4o", "", r#","seed":1"#).await;
    // Each is counted where it ends, and it has ended when its line is there.
    sidegate.log(6).await;
    let cache = json_becomes(&sidegate, "/cache", |cache| cache["flights"]["in_progress"] == 0).await;
    let outcomes = value!({ "hit": 3, "stale": 0, "collapsed": 0, "miss": 2, "bypass": 1, "hit_ratio": 0.6 });
    assert_eq!((&cache["total"], &cache["last_minute"]), (&outcomes, &outcomes));
    assert_eq!((&cache["bypasses"]["no_store"], &cache["bypasses"]["tools"]), (&1.into(), &0.into()));
    assert_eq!((&cache["entries"], &cache["stored"], &cache["evictions"]), (&1.into(), &1.into(), &0.into()));
    assert!((200..5_000).contains(&cache["bytes"].as_u64().unwrap()), "{cache}");
    assert_eq!(cache["saved"], value!({ "tokens_in": 48, "tokens_out": 12, "cost_usd": 0.000_072 }));
    assert_eq!(cache["flights"], value!({ "in_progress": 0, "ended": 2, "joined": 0 }));
    let document = document();
    assert_eq!(flaws(&document, &document["components"]["schemas"]["Cache"], &cache, "cache"), [""; 0]);
}

#[tokio::test]
async fn metrics_say_the_same_and_nothing_where_there_is_no_cache() {
    let provider = Provider::start().await;
    let without = Sidegate::before(provider.address).await;
    assert!(!without.ask_admin("/metrics").await.text().contains("sidegate_cache_"));
    assert_eq!(json(&without, "/cache").await["routes"], 0);

    let sidegate = with_a_cache(&provider).await;
    for _ in 0..3 {
        chat(&sidegate, "gpt-4o", "", "").await;
    }
    chat(&sidegate, "gpt-4o", "Cache-Control: no-store\r\n", "").await;
    sidegate.log(4).await;
    for (series, wanted) in [
        (r#"sidegate_cache_requests_total{outcome="hit"}"#, 2.0),
        (r#"sidegate_cache_requests_total{outcome="stale"}"#, 0.0),
        (r#"sidegate_cache_requests_total{outcome="miss"}"#, 1.0),
        (r#"sidegate_cache_bypasses_total{reason="no_store"}"#, 1.0),
        (r#"sidegate_cache_bypasses_total{reason="tools"}"#, 0.0),
        (r#"sidegate_cache_not_stored_total{reason="error"}"#, 0.0),
        ("sidegate_cache_stored_total", 1.0),
        ("sidegate_cache_entries", 1.0),
        ("sidegate_cache_evictions_total", 0.0),
        (r#"sidegate_cache_saved_tokens_total{direction="in"}"#, 32.0),
        (r#"sidegate_cache_saved_tokens_total{direction="out"}"#, 8.0),
        ("sidegate_cache_saved_cost_total", 0.000_048),
    ] {
        assert_eq!(sidegate.metric(series).await, wanted, "{series}");
    }
    sidegate.metric_becomes("sidegate_cache_flights", 0.0).await;
    assert!(sidegate.metric("sidegate_cache_bytes").await > 200.0);
}

#[tokio::test]
async fn a_line_of_the_log_and_a_decision_say_what_the_cache_had_to_do_with_it() {
    let provider = Provider::start().await;
    let sidegate = with_a_cache(&provider).await;
    for fields in ["", "", "Cache-Control: no-store\r\n"] {
        chat(&sidegate, "gpt-4o", fields, "").await;
    }
    let lines = sidegate.log(3).await;
    let said: Vec<_> = lines.iter().map(|line| line["cache"].as_str().unwrap()).collect();
    assert_eq!(said, ["miss", "hit", "bypass"]);
    assert_eq!((&lines[0]["tokens_out"], &lines[1]["tokens_out"], &lines[1]["attempts"]), (&4.into(), &Value::Null, &0.into()));
    let told = decisions(&sidegate, 3).await;
    let told = told["decisions"].as_array().unwrap();
    // The latest first.
    let said: Vec<_> = told.iter().map(|decision| (&decision["cache"], decision["tried"].as_array().unwrap().len())).collect();
    assert_eq!(said, [(&value!("bypass"), 1), (&value!("hit"), 0), (&value!("miss"), 1)]);

    let without = Sidegate::before(provider.address).await;
    without.chat("gpt-4o").await;
    assert_eq!(decisions(&without, 1).await["decisions"][0]["cache"], Value::Null);
    assert_eq!(without.log(1).await[0]["cache"], Value::Null);
}

#[tokio::test]
async fn a_purge_takes_what_it_names_and_nothing_else() {
    let provider = Provider::start().await;
    let sidegate = with_a_cache(&provider).await;
    for (model, fields) in [("gpt-4o", ""), ("o3", ""), ("gpt-4o", WEB), ("o3", WEB)] {
        assert_eq!(chat(&sidegate, model, fields, "").await, 200);
    }
    assert_eq!(json(&sidegate, "/cache").await["entries"], 4);
    assert_eq!(purge(&sidegate, "?client=nobody").await, value!({ "purged": 0, "entries": 4 }));
    assert_eq!(purge(&sidegate, "?client=web").await, value!({ "purged": 2, "entries": 2 }));
    assert_eq!(purge(&sidegate, "?model=o3").await, value!({ "purged": 1, "entries": 1 }));
    assert_eq!(purge(&sidegate, "?all=true").await, value!({ "purged": 1, "entries": 0 }));
    // What was purged is asked for again, and kept again.
    chat(&sidegate, "gpt-4o", "", "").await;
    assert_eq!(sidegate.log(5).await[4]["cache"], "miss");
    assert_eq!(json(&sidegate, "/cache").await["entries"], 1);
    assert_eq!(json(&sidegate, "/cache").await["evictions"], 0, "an operator's wish is no want of room");
}

#[tokio::test]
async fn a_purge_that_does_not_say_of_what_forgets_nothing() {
    let provider = Provider::start().await;
    let sidegate = with_a_cache(&provider).await;
    chat(&sidegate, "gpt-4o", "", "").await;
    for query in [
        "",
        "?all",
        "?all=false",
        "?all=1",
        "?client=",
        "?model=",
        "?model=a&client=b",
        "?all=true&model=gpt-4o",
        "?model=a&model=b",
        "?everything=true",
        "?model=%ff",
    ] {
        let reply = ask(sidegate.admin, "POST", &format!("/cache/purge{query}"), "").await;
        assert_eq!((reply.status(), code(&reply).as_str()), (400, "query_wrong"), "{query}");
    }
    let reply = ask(sidegate.admin, "POST", "/cache/purge?all=true", "Origin: http://evil.example\r\n").await;
    assert_eq!((reply.status(), code(&reply).as_str()), (403, "origin_not_allowed"));
    assert_eq!(ask(sidegate.admin, "GET", "/cache/purge?all=true", "").await.status(), 405);
    assert_eq!(json(&sidegate, "/cache").await["entries"], 1);
}
