//! However a request ends, it is settled once: one line in the access log, nothing left in flight, no key told.

use serde_json::Value;

use crate::support::{Client, Gate, Provider, Script, Sidegate, eventually, proxy::POOL_KEY};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// One way to end: the request, the script if it gets so far, and what the log then says.
struct Ending {
    name: &'static str,
    method: &'static str,
    target: &'static str,
    script: Option<Script>,
    /// `end`, `status` and `bytes_out`.
    logged: (&'static str, u64, u64),
}

fn endings() -> Vec<Ending> {
    let ending = |name, method, script, logged| Ending { name, method, target: "/v1/chat/completions", script: Some(script), logged };
    let refused = |name, method, target, status| Ending { name, method, target, script: None, logged: ("rejected", status, 0) };
    let not_found = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
    vec![
        ending("a length", "POST", Script::reply(format!("{HEAD}0123456789")), ("complete", 200, 10)),
        ending("chunks", "POST", Script::reply(format!("{CHUNKED}5\r\nabcde\r\n0\r\n\r\n")), ("complete", 200, 5)),
        ending("until closed", "POST", Script::reply("HTTP/1.1 200 OK\r\n\r\nabc").close(), ("complete", 200, 3)),
        ending("an empty body", "POST", Script::reply("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), ("complete", 200, 0)),
        ending("no body", "POST", Script::reply("HTTP/1.1 204 No Content\r\n\r\n"), ("complete", 204, 0)),
        ending("HEAD", "HEAD", Script::reply(HEAD), ("complete", 200, 0)),
        ending("the provider's own refusal", "POST", Script::reply(not_found), ("complete", 404, 2)),
        ending("broken off", "POST", Script::reply(format!("{HEAD}01234")).close(), ("truncated", 200, 5)),
        ending("broken chunks", "POST", Script::reply(format!("{CHUNKED}5\r\nabcde\r\n")).close(), ("truncated", 200, 5)),
        ending("no reply", "POST", Script::on_request().close(), ("rejected", 502, 0)),
        refused("no route", "POST", "/nowhere", 404),
        refused("no method of ours", "FROBNICATE", "/v1/models", 405),
        refused("a way up", "GET", "/v1/../x", 400),
    ]
}

/// The only line of the log, as soon as it is there.
async fn only_line(sidegate: &Sidegate, name: &str) -> Value {
    let lines = eventually(name, || sidegate.log_lines(), |lines| !lines.is_empty()).await;
    assert_eq!(lines.len(), 1, "{name}: {lines:?}");
    assert!(!lines[0].contains(POOL_KEY) && !lines[0].contains("sk-of-the-caller"), "{name}: {}", lines[0]);
    serde_json::from_str(&lines[0]).unwrap()
}

/// What the admin listener says is in flight, and that it tells no key.
async fn in_flight(sidegate: &Sidegate) -> f64 {
    let mut client = Client::connect(sidegate.admin).await;
    client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let metrics = client.reply("GET").await.text();
    assert!(!metrics.contains(POOL_KEY));
    let samples = metrics.lines().filter(|line| line.starts_with("sidegate_requests_in_flight"));
    samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

fn logged(line: &Value) -> (&str, u64, u64) {
    (line["end"].as_str().unwrap(), line["status"].as_u64().unwrap(), line["bytes_out"].as_u64().unwrap())
}

#[tokio::test]
async fn every_ending_is_one_line_and_leaves_nothing_in_flight() {
    for Ending { name, method, target, script, logged: expected } in endings() {
        let provider = Provider::start().await;
        let sidegate = Sidegate::before(provider.address).await;
        script.into_iter().for_each(|script| provider.script(script));
        let mut client = Client::connect(sidegate.address).await;
        let head = format!("{method} {target} HTTP/1.1\r\nHost: sidegate.test\r\nAuthorization: Bearer sk-of-the-caller\r\n");
        client.send(head + "Content-Length: 2\r\n\r\n{}").await;
        client.reply(method).await;
        assert_eq!(logged(&only_line(&sidegate, name).await), expected, "{name}");
        assert_eq!(in_flight(&sidegate).await, 0.0, "{name}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_one_line_too() {
    let reached = Gate::new();
    let before = Script::on_request().tell(&reached).until_left();
    let amid = Script::on_request().write(CHUNKED).chunk("data: 1\n\n").tell(&reached).until_left();
    for (name, script, expected) in [("before the head", before, ("left", 499, 0)), ("mid-stream", amid, ("left", 200, 9))] {
        let provider = Provider::always(script).await;
        let sidegate = Sidegate::before(provider.address).await;
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", "{}").await;
        reached.reached(name).await;
        assert_eq!(in_flight(&sidegate).await, 1.0, "{name}");
        if expected.1 == 200 {
            client.until("data: 1\n\n").await;
        }
        drop(client);
        assert_eq!(logged(&only_line(&sidegate, name).await), expected, "{name}");
        assert_eq!(in_flight(&sidegate).await, 0.0, "{name}");
    }
}
