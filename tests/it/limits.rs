//! Limits: what callers may have, and what becomes of it when requests fail, leave, or the config changes.

use std::{fs, net::SocketAddr};

use tempfile::TempDir;

use crate::support::{Client, Gate, Provider, Script, Sidegate, client::Reply, eventually};

const ASK: &str = r#"{"model":"gpt-4o","messages":[]}"#;

/// Asks once on a connection of its own.
async fn ask_with(sidegate: &Sidegate, fields: &str) -> Reply {
    let mut client = Client::connect(sidegate.address).await;
    client.post_with("/v1/chat/completions", fields, ASK).await;
    client.reply("POST").await
}

async fn ask(sidegate: &Sidegate) -> Reply {
    ask_with(sidegate, "").await
}

/// How many of so many requests are let through.
async fn let_through(sidegate: &Sidegate, fields: &str, count: usize) -> usize {
    let mut passed = 0;
    for _ in 0..count {
        let reply = ask_with(sidegate, fields).await;
        assert!(matches!(reply.status(), 200 | 429), "{}", reply.text());
        passed += usize::from(reply.status() == 200);
    }
    passed
}

/// Trusts this machine, so that requests may say where they come from.
fn trusting(limits: &str) -> String {
    format!("trust: {{ proxies: [loopback] }}\nlimits:\n{limits}")
}

fn from(ip: &str) -> String {
    format!("X-Forwarded-For: {ip}\r\n")
}

#[tokio::test]
async fn each_address_has_its_own_and_no_more() {
    let provider = Provider::always(Script::ok("{}")).await;
    let sidegate = Sidegate::with(&trusting("  - { name: per-ip, per: ip, requests: 3/min }\n"), provider.address).await;
    assert_eq!(let_through(&sidegate, &from("192.0.2.1"), 5).await, 3);
    assert_eq!(let_through(&sidegate, &from("192.0.2.2"), 5).await, 3);
    assert_eq!(let_through(&sidegate, &from("::ffff:192.0.2.2"), 1).await, 0, "the same address in other clothes");
    assert_eq!(provider.asked(), 6, "a refused request reaches nobody");
    assert_eq!(sidegate.metric(r#"sidegate_limit_checks_total{limit="per-ip",unit="requests",outcome="refused"}"#).await, 5.0);
    assert_eq!(sidegate.metric(r#"sidegate_limit_checks_total{limit="per-ip",unit="requests",outcome="allowed"}"#).await, 6.0);
}

#[tokio::test]
async fn whoever_has_a_whole_network_is_not_a_million_callers() {
    let provider = Provider::always(Script::ok("{}")).await;
    let sidegate = Sidegate::with(&trusting("  - { name: per-ip, per: ip, requests: 2/min }\n"), provider.address).await;
    let mut passed = 0;
    for host in 0..4 {
        passed += let_through(&sidegate, &from(&format!("2001:db8:1:100::{host:x}")), 1).await;
    }
    assert_eq!(passed, 2, "addresses of one /64 are one caller");
    for subnet in 1..10 {
        passed += let_through(&sidegate, &from(&format!("2001:db8:1:1{subnet:02x}::1")), 2).await;
    }
    assert_eq!(passed, 8, "and a /56 has four times as much");
    for subnet in 2..30 {
        passed += let_through(&sidegate, &from(&format!("2001:db8:1:{subnet:x}00::1")), 2).await;
    }
    assert_eq!(passed, 32, "and a /48 sixteen times");
    assert_eq!(let_through(&sidegate, &from("2001:db8:2::1"), 2).await, 2, "others are not concerned");
}

#[tokio::test]
async fn what_a_later_limit_refuses_is_given_back_by_the_earlier_ones() {
    let provider = Provider::always(Script::ok("{}")).await;
    let limits = "limits:\n  - { name: wide, per: all, requests: 3/min }\n  - { name: narrow, per: model, when: { model: gpt-4o }, requests: 1/min }\n";
    let sidegate = Sidegate::with(limits, provider.address).await;
    assert_eq!(let_through(&sidegate, "", 5).await, 1);
    let mut client = Client::connect(sidegate.address).await;
    let mut passed = 0;
    for _ in 0..5 {
        client.post("/v1/chat/completions", r#"{"model":"o3"}"#).await;
        passed += usize::from(client.reply("POST").await.status() == 200);
    }
    assert_eq!(passed, 2, "four refusals took nothing of the three");
}

#[tokio::test]
async fn a_stream_holds_its_permit_until_it_ends_or_is_left() {
    let gate = Gate::new();
    let mut provider = Provider::start().await;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    provider.otherwise(Script::on_request().write(head).chunk("data: {}\n\n").wait(&gate).write("0\r\n\r\n"));
    let sidegate = Sidegate::with("limits: [{ name: two, per: all, concurrent: 2 }]\n", provider.address).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", ASK).await;
        client.until("data: {}").await;
        open.push(client);
    }
    let refused = ask(&sidegate).await;
    assert_eq!((refused.status(), refused.head.get("retry-after").as_deref()), (429, Some("2")));
    drop(open.pop());
    // The place of who has left is free at once.
    let mut third = Client::connect(sidegate.address).await;
    let mut tries = 0;
    loop {
        third.post("/v1/chat/completions", ASK).await;
        if third.head().await.status() == 200 {
            break;
        }
        tries += 1;
        assert!(tries < 1_000, "the permit of a client that left never came back");
        third = Client::connect(sidegate.address).await;
    }
    gate.open();
    eventually("all permits come back", || provider.asked(), |asked| *asked >= 3).await;
    let _ = provider.request().await;
}

#[tokio::test]
async fn a_provider_that_does_not_answer_costs_nobody_a_request() {
    let provider = Provider::start().await;
    provider.otherwise(Script::on_request().reset());
    let sidegate = Sidegate::with("limits: [{ name: two, per: all, requests: 2/day }]\n", provider.address).await;
    for _ in 0..5 {
        assert_eq!(ask(&sidegate).await.status(), 502);
    }
    provider.otherwise(Script::ok("{}"));
    assert_eq!(let_through(&sidegate, "", 5).await, 2);
}

#[tokio::test]
async fn guessing_keys_is_limited_and_a_key_that_holds_never_refused() {
    let provider = Provider::always(Script::ok("{}")).await;
    let hash = sidegate::config::KeyHash::of(b"sg-right");
    let config = format!(
        "clients: {{ anonymous: deny, keys: [{{ name: web, sha256: {hash}, tier: free }}] }}\nlimits: [{{ name: guessing, per: ip, failed_auth: 3/15min }}]\n"
    );
    let sidegate = Sidegate::with(&config, provider.address).await;
    for status in [401, 401, 401, 429, 429] {
        assert_eq!(ask_with(&sidegate, "Authorization: Bearer sg-wrong\r\n").await.status(), status);
    }
    assert_eq!(ask(&sidegate).await.status(), 401, "no credential is no guess");
    assert_eq!(let_through(&sidegate, "Authorization: Bearer sg-right\r\n", 3).await, 3);
}

#[tokio::test]
async fn a_key_that_holds_is_no_guess_and_takes_none_back() {
    let provider = Provider::always(Script::ok("{}")).await;
    let hash = sidegate::config::KeyHash::of(b"sg-right");
    let config = format!(
        "clients: {{ keys: [{{ name: web, sha256: {hash}, tier: free }}] }}\nlimits: [{{ name: guessing, per: ip, failed_auth: 2/15min }}]\n"
    );
    let sidegate = Sidegate::with(&config, provider.address).await;
    let (right, wrong) = ("Authorization: Bearer sg-right\r\n", "Authorization: Bearer sg-wrong\r\n");
    for (fields, status) in [(right, 200), (right, 200), (right, 200), (wrong, 401), (right, 200), (wrong, 401), (right, 200), (wrong, 429)]
    {
        assert_eq!(ask_with(&sidegate, fields).await.status(), status, "{fields}");
    }
}

#[tokio::test]
async fn who_hides_the_model_is_not_free_of_its_limits() {
    let provider = Provider::always(Script::ok("{}")).await;
    let limits = "limits: [{ name: dear, when: { model: dear }, per: all, requests: 2/min }]\n";
    let sidegate = Sidegate::with(limits, provider.address).await;
    let mut statuses = Vec::new();
    for body in [r#"{"model":"cheap"}"#, r#"{"model":"dear"}"#, r#"{"messages":[]}"#, r#"{"messages":[]}"#, r#"{"model":"cheap"}"#] {
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", body).await;
        statuses.push(client.reply("POST").await.status());
    }
    assert_eq!(statuses, [200, 200, 200, 429, 200]);
}

#[tokio::test]
async fn a_shadow_counts_and_lets_through() {
    let provider = Provider::always(Script::ok("{}")).await;
    let sidegate = Sidegate::with("limits: [{ name: trial, per: all, requests: 2/min, shadow: true }]\n", provider.address).await;
    assert_eq!(let_through(&sidegate, "", 5).await, 5);
    assert_eq!(sidegate.metric(r#"sidegate_limit_checks_total{limit="trial",unit="requests",outcome="shadowed"}"#).await, 3.0);
}

/// A config in a file, with one limit.
struct House(TempDir, SocketAddr);

impl House {
    fn write(&self, limit: &str) {
        let config = format!(
            "listen: {{ address: \"127.0.0.1:0\", workers: 1 }}\nadmin: {{ address: \"127.0.0.1:0\" }}\nproviders: {{ openai: {{ base_url: \"http://{}/v1\", keys: [{{ value: sk-1 }}] }} }}\nroutes: [{{ path: /v1, targets: [openai] }}]\nlimits: [{limit}]\n",
            self.1
        );
        fs::write(self.0.path().join("proxy.yaml"), config).unwrap();
    }
}

#[tokio::test]
async fn a_reload_keeps_what_was_used_and_a_new_name_begins_anew() {
    let provider = Provider::always(Script::ok("{}")).await;
    let house = House(tempfile::tempdir().unwrap(), provider.address);
    house.write("{ name: a, per: all, requests: 100/h }");
    let sidegate = Sidegate::from_file(&house.0.path().join("proxy.yaml"), false);
    assert_eq!(let_through(&sidegate, "", 40).await, 40);
    house.write("{ name: a, per: all, requests: 50/h }");
    sidegate.reload();
    assert_eq!(let_through(&sidegate, "", 20).await, 10);
    house.write("{ name: a, per: all, requests: 30/h }");
    sidegate.reload();
    assert_eq!(let_through(&sidegate, "", 2).await, 0);
    house.write("{ name: b, per: all, requests: 30/h }");
    sidegate.reload();
    assert_eq!(let_through(&sidegate, "", 31).await, 30);
    house.write("{ name: a, per: all, requests: 51/h }");
    sidegate.reload();
    assert_eq!(let_through(&sidegate, "", 3).await, 1, "taking it out and putting it back grants nothing");
}
