//! What requests cost is told to the last digit, where it is asked for, and marked where it is a guess.

use std::{fs, time::Duration};

use serde_json::{Value, json};
use sidegate::{
    config,
    runtime::reload::Outcome,
    simulator::{Options, start},
    types::Money,
};

use crate::support::{Client, Provider, Script, Sidegate};

/// Every dialect before one provider, with prices that tell each kind of token from the others.
const ALL: &str = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
prices: { models: { "gpt-*": { input: 0.075, output: 0.6 }, "claude-*": { input: 3, output: 15 }, g: { input: 1.25, output: 10 } } }
providers:
  openai: { base_url: "http://$UPSTREAM/v1", http_version: "1.1", keys: [{ name: pool, value: "$KEY" }] }
  anthropic: { dialect: anthropic, base_url: "http://$UPSTREAM/v1", http_version: "1.1", keys: [{ name: pool, value: "$KEY" }] }
  gemini: { dialect: gemini, base_url: "http://$UPSTREAM/v1beta", http_version: "1.1", keys: [{ name: pool, value: "$KEY" }] }
routes:
  - { path: /anthropic, models: ["claude-*"], targets: [anthropic] }
  - { path: /v1beta, targets: [gemini] }
  - { path: /v1, targets: [openai] }
"#;

/// One reply of 1,000 tokens of a prompt, 200 of them cached, and 100 of a reply.
const TOLD: &str = r#"{"usage":{"prompt_tokens":1000,"completion_tokens":100,"prompt_tokens_details":{"cached_tokens":200}}}"#;

/// The cost as it is written in a line, digit by digit, and whether it is marked.
fn cost(line: &str) -> (Option<&str>, bool) {
    let written = line.split_once("\"cost_usd\":").and_then(|(_, rest)| rest.split_once(',')).map(|(number, _)| number);
    (written, line.contains("\"cost_estimated\":true"))
}

/// Asks once, and the line that the log has of it.
async fn asked(sidegate: &Sidegate, target: &str, headers: &str, ask: &Value) -> String {
    let before = sidegate.log_lines().len();
    let mut client = Client::connect(sidegate.address).await;
    client.post_with(target, headers, &ask.to_string()).await;
    let reply = client.reply("POST").await;
    assert_eq!(reply.status(), 200, "{target}: {}", reply.text());
    sidegate.log(before + 1).await;
    sidegate.log_lines().pop().unwrap()
}

async fn asked_for(sidegate: &Sidegate, model: &str) -> String {
    asked(sidegate, "/v1/chat/completions", "", &json!({ "model": model })).await
}

#[tokio::test]
async fn every_dialect_has_its_cost_streamed_or_whole() {
    let options = Options { first_token: Duration::ZERO, tokens_per_second: f64::INFINITY, length: 12, ..Options::default() };
    let provider = start(options).unwrap();
    let messages = json!([{ "role": "user", "content": "hello" }]);
    let chat = json!({ "model": "gpt-4o", "messages": messages });
    let chat_streamed = json!({ "model": "gpt-4o", "messages": messages, "stream": true, "stream_options": { "include_usage": true } });
    let responses = |stream: bool| json!({ "model": "gpt-5", "input": "hello", "stream": stream });
    let claude = |stream: bool| json!({ "model": "claude-x", "max_tokens": 50, "messages": messages, "stream": stream });
    let contents = json!({ "contents": [{ "role": "user", "parts": [{ "text": "hello" }] }] });
    let sidegate = Sidegate::start(ALL, provider.address()).await;
    let mut sum = Money(0);
    for (target, ask, [input, output]) in [
        ("/v1/chat/completions", chat, [75_000, 600_000]),
        ("/v1/chat/completions", chat_streamed, [75_000, 600_000]),
        ("/v1/responses", responses(false), [75_000, 600_000]),
        ("/v1/responses", responses(true), [75_000, 600_000]),
        ("/anthropic/messages", claude(false), [3_000_000, 15_000_000]),
        ("/anthropic/messages", claude(true), [3_000_000, 15_000_000]),
        ("/v1beta/models/g:generateContent", contents.clone(), [1_250_000, 10_000_000]),
        ("/v1beta/models/g:streamGenerateContent?alt=sse", contents.clone(), [1_250_000, 10_000_000]),
    ] {
        let version = if target.starts_with("/anthropic") { "anthropic-version: 2023-06-01\r\n" } else { "" };
        let line = asked(&sidegate, target, version, &ask).await;
        let read: Value = serde_json::from_str(&line).unwrap();
        let (tokens_in, tokens_out) = (read["tokens_in"].as_u64().unwrap(), read["tokens_out"].as_u64().unwrap());
        assert!(tokens_in > 0 && tokens_out > 0, "{line}");
        let expected = Money(tokens_in * input + tokens_out * output);
        assert_eq!(cost(&line), (Some(expected.to_string().as_str()), false), "{target}: {line}");
        if target.starts_with("/v1/") {
            sum = sum.plus(expected);
        }
    }
    let told = sidegate.metric(r#"sidegate_cost_usd_total{route="/v1",provider="openai",model="other"}"#).await;
    assert!((told - sum.dollars()).abs() < 1e-12, "{told} and {sum}");
}

#[tokio::test]
async fn what_is_cached_stored_or_in_a_long_prompt_has_its_own_price() {
    let prices = "prices: { models: { m: { input: 2, cached: 0.5, output: 10, long: { above: 999, input: 4, cached: 1, output: 20 } }, n: { input: 2, cached: 0.5, stored: 2.5, output: 10 } } }\n";
    let provider = Provider::always(Script::json("200 OK", TOLD)).await;
    let sidegate = Sidegate::with(prices, provider.address).await;
    // 800 at 4, 200 at 1, 100 at 20.
    assert_eq!(cost(&asked_for(&sidegate, "m").await), (Some("0.0054"), false));
    // 800 at 2, 200 at 0.5, 100 at 10.
    assert_eq!(cost(&asked_for(&sidegate, "n").await), (Some("0.0027"), false));
    let stored = TOLD.replace("\"cached_tokens\":200", "\"cached_tokens\":200,\"cache_write_tokens\":300");
    let provider = Provider::always(Script::json("200 OK", &stored)).await;
    let sidegate = Sidegate::with(prices, provider.address).await;
    // 500 at 2, 200 at 0.5, 300 at 2.5, 100 at 10.
    assert_eq!(cost(&asked_for(&sidegate, "n").await), (Some("0.00285"), false));
}

#[tokio::test]
async fn a_model_without_a_price_costs_what_the_rule_says_and_is_marked() {
    let provider = Provider::always(Script::json("200 OK", TOLD)).await;
    for (prices, marked) in [
        // gpt-5.4-pro: 1,000 at 30 and 100 at 180.
        ("prices: {}\n", (Some("0.048"), true)),
        ("prices: { unknown: free }\n", (Some("0"), true)),
        ("prices: { unknown: { input: 1, cached: 0, output: 3 } }\n", (Some("0.0011"), true)),
        ("prices: { unknown: deny }\n", (None, false)),
    ] {
        let sidegate = Sidegate::with(prices, provider.address).await;
        assert_eq!(cost(&asked_for(&sidegate, "mine").await), marked, "{prices}");
        // 800 at 2.50, 200 at 1.25, 100 at 10: known, whatever the rule.
        assert_eq!(cost(&asked_for(&sidegate, "gpt-4o-2024-08-06").await), (Some("0.00325"), false), "{prices}");
    }
}

#[tokio::test]
async fn without_prices_nobody_is_told_and_without_tokens_nothing_is_known() {
    let provider = Provider::always(Script::json("200 OK", TOLD)).await;
    let sidegate = Sidegate::before(provider.address).await;
    assert_eq!(cost(&asked_for(&sidegate, "gpt-4o").await), (None, false));
    let page = sidegate.ask_admin("/metrics").await.text();
    assert!(!page.contains("sidegate_cost_usd_total"), "{page}");
    let provider = Provider::always(Script::json("200 OK", r#"{"choices":[]}"#)).await;
    let sidegate = Sidegate::with("prices: {}\n", provider.address).await;
    assert_eq!(cost(&asked_for(&sidegate, "gpt-4o").await), (None, false));
}

#[tokio::test]
async fn a_file_of_prices_is_read_anew_when_it_changes_and_a_broken_one_changes_nothing() {
    let (folder, provider) = (tempfile::tempdir().unwrap(), Provider::always(Script::json("200 OK", TOLD)).await);
    let file = folder.path().join("prices.json");
    fs::write(&file, r#"{ "models": { "mine": { "input": 1, "output": 1 } } }"#).unwrap();
    let config = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
prices: { file: prices.json }
providers: { p: { base_url: "http://$UPSTREAM/v1", keys: [{ value: sk-0 }] } }
routes: [{ path: /v1, targets: [p] }]
"#;
    let path = folder.path().join("proxy.yaml");
    fs::write(&path, config.replace("$UPSTREAM", &provider.address.to_string())).unwrap();
    let sidegate = Sidegate::from_file(&path, true);
    assert_eq!(cost(&asked_for(&sidegate, "mine").await), (Some("0.0011"), false));
    fs::write(&file, r#"{ "models": { "mine": { "input": 2, "output": 2 } } }"#).unwrap();
    sidegate.metric_becomes("sidegate_config_generation", 2.0).await;
    assert_eq!(cost(&asked_for(&sidegate, "mine").await), (Some("0.0022"), false));
    fs::write(&file, "{ \"models\": {\n  \"mine\": { \"input\": -2, \"output\": 2 } } }").unwrap();
    let Outcome::Refused(problems) = sidegate.reload().outcome.clone() else { panic!("it was taken") };
    let refused = problems.to_string();
    assert!(refused.contains("prices.json") && refused.contains("line 2: models.mine.input"), "{refused}");
    assert_eq!(cost(&asked_for(&sidegate, "mine").await), (Some("0.0022"), false));
}

#[test]
fn a_file_that_is_not_there_is_an_error_of_the_config() {
    let text = "prices: { file: /nowhere/prices.yaml }\nproviders: { p: { keys: [{ value: sk-0 }], base_url: http://p } }\nroutes: [{ path: /v1, targets: [p] }]\n";
    let refused = config::from_text("proxy.yaml", text, &config::Environment::default()).unwrap_err().to_string();
    assert!(refused.contains("there is no such file") && refused.contains("prices.file"), "{refused}");
}
