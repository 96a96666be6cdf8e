//! Counts that add up, percentiles that are near what was seen, and words that follow from them.

use serde_json::{Value, json};

use super::{THREE_KEYS, json_becomes, one, one_post, settled, three_plain_keys};
use crate::support::{Client, Gate, Provider, Script, Sidegate};

fn sum(series: &Value) -> u64 {
    let series = series.as_array().unwrap();
    assert_eq!(series.len(), 60);
    series.iter().map(|count| count.as_u64().unwrap()).sum()
}

#[tokio::test]
async fn what_ended_is_counted_once_in_every_place() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::start(&three_plain_keys(), provider.address).await;
    let reply = |line: &str| Script::reply(format!("HTTP/1.1 {line}\r\nContent-Length: 3\r\n\r\nabc"));
    for script in [reply("200 OK"), reply("201 Created"), reply("302 Found"), reply("404 Not Found"), reply("500 Oh No")] {
        provider.script(script);
        one(&sidegate, "/v1/models").await;
    }
    provider.script(Script::on_request().close());
    assert_eq!(one_post(&sidegate, "/v1/files").await, 502);
    assert_eq!(one(&sidegate, "/nowhere").await, 404);
    provider.script(Script::reply("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").close());
    one(&sidegate, "/v1/models").await;
    settled(&sidegate, 8).await;

    let stats = json_becomes(&sidegate, "/stats", |stats| sum(&stats["series"]["requests"]) == 8).await;
    assert_eq!(stats["statuses"], json!({ "2xx": 3, "3xx": 1, "4xx": 2, "5xx": 2 }));
    for class in ["2xx", "3xx", "4xx", "5xx"] {
        assert_eq!(sum(&stats["series"][class]), stats["statuses"][class].as_u64().unwrap(), "{class}");
    }
    assert_eq!(stats["totals"], json!({ "requests": 8, "errors": 3, "bytes_up": 0, "bytes_down": 18 }));
    assert_eq!((&stats["in_flight"], &stats["streams"]), (&0.into(), &0.into()));
    assert!(stats["requests_per_second"].as_f64().unwrap() > 0.0, "{stats}");
    let busy = |name: &str| stats["series"][name].as_array().unwrap().iter().filter(|value| value.is_number()).count();
    assert!((1..=8).contains(&busy("latency_p50_ms")) && busy("latency_p50_ms") == busy("latency_p95_ms"), "{stats}");
    let provider = &json_becomes(&sidegate, "/health", |health| health["providers"][0]["error_rate"].is_number()).await["providers"][0];
    // 500, no reply, and one that broke off, of seven that went out.
    assert_eq!(provider["error_rate"], 0.429, "{provider}");
    assert_eq!((&provider["keys_active"], &provider["keys_total"], &provider["in_flight"]), (&2.into(), &3.into(), &0.into()));
}

#[tokio::test]
async fn what_runs_is_in_flight_and_a_stream_once_its_reply_has_begun() {
    let (provider, reached, go) = (Provider::start().await, Gate::new(), Gate::new());
    let sidegate = Sidegate::before(provider.address).await;
    let held = Script::on_request().tell(&reached).wait(&go);
    provider.script(held.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").chunk("a").wait(&go).write("0\r\n\r\n"));
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    reached.reached("the request").await;
    let stats = json_becomes(&sidegate, "/stats", |stats| stats["in_flight"] == 1).await;
    assert_eq!((&stats["streams"], &stats["connections"]), (&0.into(), &1.into()));
    go.open();
    client.until("1\r\na\r\n").await;
    json_becomes(&sidegate, "/stats", |stats| stats["streams"] == 1).await;
    let health = json_becomes(&sidegate, "/health", |health| health["streams"] == 1).await;
    assert_eq!((&health["providers"][0]["in_flight"], &health["providers"][0]["connections"]), (&1.into(), &1.into()));
    go.open();
    client.until("0\r\n\r\n").await;
    drop(client);
    json_becomes(&sidegate, "/stats", |stats| stats["streams"] == 0 && stats["in_flight"] == 0 && stats["connections"] == 0).await;
}

#[tokio::test]
async fn latency_is_about_what_a_client_waits() {
    let provider = Provider::always(Script::ok("served")).await;
    let sidegate = Sidegate::before(provider.address).await;
    for _ in 0..20 {
        one(&sidegate, "/v1/models").await;
    }
    settled(&sidegate, 20).await;
    let logged = sidegate.log(20).await;
    let mut seen: Vec<_> = logged.iter().map(|line| line["duration_ms"].as_f64().unwrap()).collect();
    seen.sort_by(f64::total_cmp);
    let stats = json_becomes(&sidegate, "/stats", |stats| sum(&stats["series"]["requests"]) == 20).await;
    for (name, rank) in [("p50", 10), ("p90", 18), ("p95", 19), ("p99", 20)] {
        let (told, exact) = (stats["latency_ms"][name].as_f64().unwrap(), seen[rank - 1]);
        // The log's moment is a little later than the count's.
        assert!((told - exact).abs() <= exact / 8.0 + 0.1, "{name}: {told} for {exact} of {seen:?}");
    }
    assert!(stats["first_byte_ms"]["p50"].as_f64().unwrap() <= stats["latency_ms"]["p99"].as_f64().unwrap());
}

#[tokio::test]
async fn health_follows_what_providers_do() {
    let provider = Provider::always(Script::ok("served")).await;
    let sidegate = Sidegate::start(&three_plain_keys(), provider.address).await;
    let state =
        |health: &Value| (health["status"].as_str().unwrap().to_owned(), health["providers"][0]["state"].as_str().unwrap().to_owned());
    let is = |status: &str, provider: &str| (status.to_owned(), provider.to_owned());
    assert_eq!(state(&super::json(&sidegate, "/health").await), is("ok", "ok"));
    for _ in 0..5 {
        one(&sidegate, "/v1/models").await;
    }
    provider.otherwise(Script::reply("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"));
    for _ in 0..5 {
        one(&sidegate, "/v1/models").await;
    }
    json_becomes(&sidegate, "/health", |health| state(health) == is("degraded", "degraded")).await;
    for _ in 0..90 {
        one(&sidegate, "/v1/models").await;
    }
    json_becomes(&sidegate, "/health", |health| state(health) == is("degraded", "down")).await;
    assert_eq!(sidegate.ask_admin("/readyz").await.status(), 200, "a provider's trouble is no reason to send the traffic elsewhere");
}

#[tokio::test]
async fn no_request_adds_a_series() {
    let provider = Provider::always(Script::ok("served")).await;
    let sidegate = Sidegate::start(THREE_KEYS, provider.address).await;
    let series = |page: String| {
        page.lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()))
            .collect::<std::collections::BTreeSet<_>>()
    };
    // One of each kind, so that what is counted once has its series.
    one(&sidegate, "/v1/models").await;
    one(&sidegate, "/nowhere").await;
    settled(&sidegate, 2).await;
    let before = series(sidegate.ask_admin("/metrics").await.text());
    for at in 0..50 {
        one(&sidegate, &format!("/v1/models/canary-{at}?canary={at}")).await;
        one(&sidegate, &format!("/canary-{at}")).await;
    }
    settled(&sidegate, 102).await;
    let after = series(sidegate.ask_admin("/metrics").await.text());
    assert_eq!(after, before);
    assert_eq!(after.iter().filter(|series| series.starts_with("sidegate_key_requests_total{")).count(), 3 * 6);
    assert!(after.contains("process_cpu_seconds_total"), "{after:?}");
}

#[tokio::test]
async fn a_quiet_replica_holds_before_it_says_that_it_is_not_needed() {
    let provider = Provider::start().await;
    let calm = "autoscaling: { cpu: { high: 100%, low: 99% }, requests_per_second: { high: 9, low: 1 }, cooldown: 1s }\n";
    let sidegate = Sidegate::with(calm, provider.address).await;
    let advice = json_becomes(&sidegate, "/autoscaling", |advice| advice["recommendation"] == "scale_down").await;
    assert_eq!(advice["priority"], "low");
    let thresholds = json!({
        "cpu_percent": { "high": 100.0, "low": 99.0 },
        "memory_percent": { "high": 80.0 },
        "requests_per_second": { "high": 9, "low": 1 },
        "cooldown_seconds": 1.0,
    });
    assert_eq!(advice["thresholds"], thresholds);
    assert!(advice["reason"].as_str().unwrap().contains(" at "), "{advice}");
    let default = Sidegate::before(provider.address).await;
    let advice = super::json(&default, "/autoscaling").await;
    assert_eq!(
        (&advice["thresholds"]["cpu_percent"], &advice["thresholds"]["requests_per_second"]),
        (&json!({ "high": 70.0, "low": 30.0 }), &().into())
    );
}

#[tokio::test]
async fn a_drain_is_told_by_health_and_readiness_and_liveness_goes_on() {
    let (provider, reached, go) = (Provider::start().await, Gate::new(), Gate::new());
    let sidegate = Sidegate::with("drain: { delay: 60s, timeout: 120s }", provider.address).await;
    provider.script(Script::on_request().tell(&reached).wait(&go).write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    reached.reached("the request").await;
    for _ in 0..2 {
        let reply = super::ask(sidegate.admin, "POST", "/drain", "").await;
        assert_eq!((reply.status(), reply.json()), (202, json!({ "status": "draining" })));
    }
    let ready = sidegate.ask_admin("/readyz").await;
    assert_eq!((ready.status(), ready.text().as_str()), (503, "draining\n"));
    let health = sidegate.ask_admin("/health").await;
    assert_eq!(
        (health.status(), &health.json()["status"], &health.json()["providers"][0]["in_flight"]),
        (503, &"draining".into(), &1.into())
    );
    assert_eq!(sidegate.ask_admin("/livez").await.status(), 200);
    go.open();
    assert_eq!(client.reply("GET").await.status(), 200);
}
