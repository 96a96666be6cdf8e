//! A provider has so many requests at the same time and no more: who comes then waits in line, first come, first served.

use std::net::SocketAddr;

use h2::server::Builder;

use crate::support::{Client, Gate, H2Provider, H2Script, Provider, Script, Setup, Sidegate, at_rest, client::Reply};

const WAITING: &str = r#"sidegate_queue_waiting{provider="scripted"}"#;
const IN_FLIGHT: &str = r#"sidegate_queue_in_flight{provider="scripted"}"#;

async fn with_queue(queue: &str, provider: SocketAddr) -> Sidegate {
    Setup::of(provider, &format!("queue: {{ {queue} }}")).start().await
}

/// Answers when the gate opens.
fn held(go: &Gate) -> Script {
    Script::on_request().wait(go).write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
}

/// One more client who asks for this.
async fn asking(sidegate: &Sidegate, target: &str) -> Client {
    let mut client = Client::connect(sidegate.address).await;
    client.get(target).await;
    client
}

fn code(reply: &Reply) -> String {
    reply.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn never_more_than_so_many_are_under_way() {
    let go = Gate::new();
    let mut provider = Provider::always(held(&go)).await;
    let sidegate = with_queue("concurrent: 3", provider.address).await;
    let mut clients = Vec::new();
    for _ in 0..12 {
        clients.push(asking(&sidegate, "/v1/models").await);
    }
    sidegate.metric_becomes(WAITING, 9.0).await;
    assert_eq!(sidegate.metric(IN_FLIGHT).await, 3.0);
    let mut sent = 0;
    for done in 0..12 {
        let asked = at_rest("requests at the provider", || provider.asked() as u64).await;
        assert_eq!(asked, (3 + done).min(12), "{done} of twelve are done");
        sent += provider.new_requests().len();
        go.open();
    }
    for client in &mut clients {
        assert_eq!(client.reply("GET").await.status(), 200);
    }
    assert_eq!(sent, 12);
    sidegate.holds_nothing().await;
}

/// Clients are spread over the workers; the line is one.
#[tokio::test]
async fn never_more_than_so_many_are_under_way_over_all_workers() {
    let (reached, go) = (Gate::new(), Gate::new());
    let script = Script::on_request().tell(&reached).wait(&go).write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let provider = Provider::always(script).await;
    let sidegate = Setup::of(provider.address, "queue: { concurrent: 2 }").more_workers(3).start().await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(asking(&sidegate, "/v1/models").await);
    }
    sidegate.metric_becomes(WAITING, 8.0).await;
    for done in 0..5 {
        reached.reached("one of two").await;
        reached.reached("the other").await;
        let asked = at_rest("requests at the provider", || provider.asked() as u64).await;
        assert_eq!(asked, 2 + 2 * done);
        go.open();
        go.open();
    }
    for client in &mut clients {
        assert_eq!(client.reply("GET").await.status(), 200);
    }
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn who_came_first_is_served_first() {
    let go = Gate::new();
    let mut provider = Provider::always(held(&go)).await;
    let sidegate = with_queue("concurrent: 1", provider.address).await;
    let mut clients = vec![asking(&sidegate, "/v1/models?n=0").await];
    provider.request().await;
    for n in 1..8 {
        clients.push(asking(&sidegate, &format!("/v1/models?n={n}")).await);
        sidegate.metric_becomes(WAITING, f64::from(n)).await;
    }
    for n in 1..8 {
        go.open();
        let line = String::from_utf8(provider.request().await.head.line).unwrap();
        assert_eq!(line, format!("GET /v1/models?n={n} HTTP/1.1"));
    }
    go.open();
    for client in &mut clients {
        assert_eq!(client.reply("GET").await.status(), 200);
    }
    assert_eq!(sidegate.log(8).await.len(), 8);
}

#[tokio::test]
async fn a_full_line_says_so_at_once_and_when_to_come_back() {
    let go = Gate::new();
    let mut provider = Provider::always(held(&go)).await;
    let sidegate = with_queue("concurrent: 1, waiting: 2", provider.address).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(asking(&sidegate, "/v1/models").await);
        if clients.len() == 1 {
            provider.request().await;
        }
    }
    sidegate.metric_becomes(WAITING, 2.0).await;
    let refused = asking(&sidegate, "/v1/models").await.reply("GET").await;
    assert_eq!((refused.status(), code(&refused).as_str()), (503, "queue_full"));
    let seconds: u64 = refused.head.get("retry-after").unwrap().parse().unwrap();
    assert!(seconds >= 1 && refused.head.get("retry-after-ms").is_some());
    go.open_for_all();
    for client in &mut clients {
        assert_eq!(client.reply("GET").await.status(), 200);
    }
    assert_eq!(provider.new_requests().len(), 2);
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn nobody_waits_where_nobody_may() {
    let go = Gate::new();
    let mut provider = Provider::always(held(&go)).await;
    let sidegate = with_queue("concurrent: 1, waiting: 0", provider.address).await;
    let mut first = asking(&sidegate, "/v1/models").await;
    provider.request().await;
    assert_eq!(code(&asking(&sidegate, "/v1/models").await.reply("GET").await), "queue_full");
    go.open();
    assert_eq!(first.reply("GET").await.status(), 200);
}

#[tokio::test]
async fn who_waits_too_long_is_told_so() {
    let go = Gate::new();
    let mut provider = Provider::always(held(&go)).await;
    let sidegate = with_queue("concurrent: 1, timeout: 200ms", provider.address).await;
    let mut first = asking(&sidegate, "/v1/models").await;
    provider.request().await;
    let refused = asking(&sidegate, "/v1/models").await.reply("GET").await;
    assert_eq!((refused.status(), code(&refused).as_str()), (503, "queue_timeout"));
    assert!(refused.head.get("retry-after").is_some());
    sidegate.metric_becomes(WAITING, 0.0).await;
    go.open();
    assert_eq!(first.reply("GET").await.status(), 200);
    assert_eq!(provider.new_requests().len(), 0);
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn a_client_that_leaves_leaves_the_line() {
    let go = Gate::new();
    let mut provider = Provider::always(held(&go)).await;
    let sidegate = with_queue("concurrent: 1", provider.address).await;
    let mut first = asking(&sidegate, "/v1/models?n=0").await;
    provider.request().await;
    let mut waiting = Vec::new();
    for n in 1..=3 {
        waiting.push(asking(&sidegate, &format!("/v1/models?n={n}")).await);
        sidegate.metric_becomes(WAITING, f64::from(n)).await;
    }
    drop(waiting.remove(1));
    sidegate.metric_becomes(WAITING, 2.0).await;
    go.open_for_all();
    assert_eq!(first.reply("GET").await.status(), 200);
    for client in &mut waiting {
        let reply = client.reply("GET").await;
        assert_eq!(reply.status(), 200);
        assert!(reply.head.get("x-sidegate-queue-ms").unwrap().parse::<f64>().unwrap() > 0.0);
    }
    let lines: Vec<_> = provider.new_requests().iter().map(|request| request.head.line.clone()).collect();
    assert_eq!(lines, [b"GET /v1/models?n=1 HTTP/1.1".to_vec(), b"GET /v1/models?n=3 HTTP/1.1".to_vec()]);
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn a_stream_counts_until_its_last_byte_or_until_its_client_leaves() {
    let (mut provider, go) = (Provider::start().await, Gate::new());
    let sidegate = with_queue("concurrent: 1", provider.address).await;
    for leaves in [false, true] {
        let stream = Script::sse().chunk("data: {\"choices\":[]}\n\n");
        provider.script(if leaves { stream.until_left() } else { stream.wait(&go).chunk("data: [DONE]\n\n").end() });
        let mut streaming = asking(&sidegate, "/v1/stream").await;
        streaming.until("data: ").await;
        let mut next = asking(&sidegate, "/v1/models").await;
        sidegate.metric_becomes(WAITING, 1.0).await;
        provider.script(Script::ok("next"));
        assert_eq!(provider.new_requests().len(), 1);
        if leaves {
            drop(streaming);
            provider.departure().await;
        } else {
            go.open();
            streaming.until("0\r\n\r\n").await;
        }
        assert_eq!(next.reply("GET").await.text(), "next");
        assert_eq!(provider.new_requests().len(), 1);
        sidegate.holds_nothing().await;
    }
}

#[tokio::test]
async fn however_a_request_ends_the_next_in_line_goes_on() {
    let mut provider = Provider::start().await;
    let sidegate = Setup::of(provider.address, "queue: { concurrent: 1 }, breaker: off, timeouts: { first_byte: 200ms }")
        .section("retry: { attempts: 1 }")
        .start()
        .await;
    let never = Gate::new();
    for script in [
        Script::on_request().close(),
        Script::on_request().reset(),
        Script::json("503 Service Unavailable", "{}"),
        Script::reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").close(),
        Script::on_request().wait(&never),
        Script::reply("garbage\r\n\r\n").close(),
    ] {
        provider.script(script);
        provider.script(Script::ok("next"));
        let mut first = Client::connect(sidegate.address).await;
        first.post("/v1/chat/completions", r#"{"model":"gpt-4o"}"#).await;
        provider.request().await;
        let mut next = asking(&sidegate, "/v1/models").await;
        let _ = first.answer("POST").await;
        assert_eq!(next.reply("GET").await.text(), "next");
        provider.request().await;
    }
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn an_h2_provider_has_no_more_than_that_either() {
    let (go, reached) = (Gate::new(), Gate::new());
    let mut provider = H2Provider::always(Builder::new(), H2Script::on_request().tell(&reached).wait(&go).head(200).last("ok")).await;
    let sidegate = Setup::of(provider.address, "http_version: 2, queue: { concurrent: 2 }").start().await;
    let mut clients = Vec::new();
    for _ in 0..6 {
        clients.push(asking(&sidegate, "/v1/models").await);
    }
    sidegate.metric_becomes(WAITING, 4.0).await;
    reached.reached("the first").await;
    reached.reached("the second").await;
    assert_eq!(provider.new_keys().len(), 2);
    go.open_for_all();
    for client in &mut clients {
        assert_eq!(client.reply("GET").await.text(), "ok");
    }
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn without_a_queue_nobody_waits() {
    let reached = Gate::new();
    let provider = Provider::always(Script::on_request().tell(&reached).until_left()).await;
    let sidegate = Setup::of(provider.address, "").start().await;
    let mut clients = Vec::new();
    for n in 1..=40 {
        clients.push(asking(&sidegate, "/v1/models").await);
        reached.reached(&format!("request {n}")).await;
    }
}
