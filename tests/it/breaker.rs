//! A host that fails is left alone, a model of it by itself where only that fails, and both come back by a few real requests.

use std::{net::SocketAddr, time::Duration};

use h2::server::Builder;

use crate::support::{Client, Gate, H2Provider, H2Script, Provider, Refused, Script, Setup, Sidegate, eventually};

const DOWN: &str = r#"{"error":{"message":"The server is overloaded.","type":"server_error","param":null,"code":null}}"#;
const ASK: &str = r#"{"model":"gpt-4o","messages":[]}"#;

fn down() -> Script {
    Script::json("503 Service Unavailable", DOWN)
}

/// A provider with this breaker, and one attempt for each request.
async fn with_breaker(breaker: &str, provider: SocketAddr) -> Sidegate {
    Setup::of(provider, &format!("breaker: {{ {breaker} }}")).section("retry: { attempts: 1 }").start().await
}

/// Fails until the breaker of the model is open.
async fn trip(sidegate: &Sidegate, provider: &mut Provider) {
    provider.otherwise(down());
    for _ in 0..5 {
        sidegate.chat("gpt-4o").await;
    }
    assert_eq!(sidegate.breaker("scripted", Some("gpt-4o")).await, "open");
    assert_eq!(provider.new_requests().len(), 5);
}

/// What is open for 100 ms, a fifth more or less, lets a probe through after this.
async fn ripe() {
    tokio::time::sleep(Duration::from_millis(150)).await;
}

#[tokio::test]
async fn five_failures_in_a_row_are_enough_and_then_nothing_is_sent() {
    let mut provider = Provider::always(down()).await;
    let sidegate = Setup::of(provider.address, "").section("retry: { attempts: 1 }").start().await;
    assert_eq!(sidegate.chats("gpt-4o", 5).await, [503; 5]);
    assert_eq!(provider.new_requests().len(), 5);
    let refused = sidegate.chat("gpt-4o").await;
    assert_eq!((refused.status(), refused.json()["error"]["code"].as_str()), (503, Some("circuit_open")));
    let wait: u64 = refused.head.get("retry-after").unwrap().parse().unwrap();
    assert!((1..=36).contains(&wait), "it is open for 30 s, a fifth more or less: {wait}");
    assert_eq!(refused.head.get("x-sidegate-attempts"), None);
    assert_eq!(provider.new_requests().len(), 0);
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn an_h2_provider_trips_it_too() {
    let mut provider = H2Provider::always(Builder::new(), H2Script::on_request().head(503).last(DOWN)).await;
    let sidegate = Setup::of(provider.address, "http_version: 2").section("retry: { attempts: 1 }").start().await;
    assert_eq!(sidegate.chats("gpt-4o", 7).await, [503; 7]);
    assert_eq!(provider.new_keys().len(), 5);
}

#[tokio::test]
async fn a_success_between_them_begins_the_row_anew() {
    let mut provider = Provider::start().await;
    let sidegate = with_breaker("consecutive: 3, minimum: 1000", provider.address).await;
    for _ in 0..5 {
        [down(), down(), Script::ok("served")].into_iter().for_each(|script| provider.script(script));
        sidegate.chats("gpt-4o", 3).await;
    }
    assert_eq!(provider.new_requests().len(), 15);
    assert_eq!(sidegate.breaker("scripted", Some("gpt-4o")).await, "closed");
}

#[tokio::test]
async fn half_of_enough_requests_failing_opens_it() {
    let mut provider = Provider::start().await;
    let sidegate = with_breaker("consecutive: 1000, minimum: 10, error_rate: 50%", provider.address).await;
    for _ in 0..5 {
        [down(), Script::ok("served")].into_iter().for_each(|script| provider.script(script));
    }
    sidegate.chats("gpt-4o", 9).await;
    assert_eq!(sidegate.breaker("scripted", Some("gpt-4o")).await, "closed", "nine are too few to tell");
    sidegate.chat("gpt-4o").await;
    // The tenth was served; the next failure makes it six of eleven.
    provider.script(down());
    sidegate.chat("gpt-4o").await;
    assert_eq!(sidegate.breaker("scripted", Some("gpt-4o")).await, "open");
    assert_eq!(provider.new_requests().len(), 11);
    assert_eq!(sidegate.chat("gpt-4o").await.status(), 503);
}

#[tokio::test]
async fn streams_that_break_off_count() {
    let mut provider = Provider::always(Script::sse().chunk("data: {\"choices\":[]}\n\n").close()).await;
    let sidegate = with_breaker("consecutive: 3", provider.address).await;
    for _ in 0..3 {
        assert!(!sidegate.chat("gpt-4o").await.is_complete());
    }
    sidegate.breaker_becomes("scripted", Some("gpt-4o"), "open").await;
    assert_eq!(sidegate.chat("gpt-4o").await.status(), 503);
    assert_eq!(provider.new_requests().len(), 3);
}

#[tokio::test]
async fn it_closes_again_when_real_requests_are_served() {
    let mut provider = Provider::start().await;
    let sidegate = with_breaker("open: 100ms", provider.address).await;
    trip(&sidegate, &mut provider).await;
    provider.otherwise(Script::ok("served"));
    // No request is made up for it: clients' own ones find out.
    let mut statuses = Vec::new();
    while statuses.iter().filter(|status| **status == 200).count() < 3 {
        assert!(statuses.len() < 5000, "it never closes: {statuses:?}");
        statuses.push(sidegate.chat("gpt-4o").await.status());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(statuses[0], 503);
    sidegate.breaker_becomes("scripted", Some("gpt-4o"), "closed").await;
    provider.new_requests();
    assert_eq!(sidegate.chats("gpt-4o", 20).await, [200; 20]);
    assert_eq!(provider.new_requests().len(), 20);
}

#[tokio::test]
async fn a_probe_that_fails_opens_it_again_for_longer() {
    let mut provider = Provider::start().await;
    let sidegate = with_breaker("open: 100ms", provider.address).await;
    trip(&sidegate, &mut provider).await;
    ripe().await;
    assert_eq!(sidegate.chat("gpt-4o").await.text(), DOWN, "the probe's own answer");
    assert_eq!(provider.new_requests().len(), 1);
    let entry = sidegate.breaker_entry("scripted", Some("gpt-4o")).await.unwrap();
    assert_eq!((&entry["state"], &entry["reason"]), (&"open".into(), &"overloaded".into()), "{entry:#}");
}

#[tokio::test]
async fn no_more_than_three_probes_are_out_at_the_same_time() {
    let (mut provider, reached, go) = (Provider::start().await, Gate::new(), Gate::new());
    let sidegate = with_breaker("open: 100ms", provider.address).await;
    trip(&sidegate, &mut provider).await;
    provider.otherwise(Script::on_request().tell(&reached).wait(&go).write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    ripe().await;
    let mut clients = Vec::new();
    for _ in 0..12 {
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", ASK).await;
        clients.push(client);
    }
    reached.reached("the first probe").await;
    // All but the probes are answered while those hang.
    eventually("the refusals", || sidegate.log_lines().len(), |lines| *lines >= 5 + 9).await;
    assert!((1..=3).contains(&provider.new_requests().len()));
    go.open_for_all();
    let mut statuses = Vec::new();
    for mut client in clients {
        statuses.push(client.reply("POST").await.status());
    }
    let served = statuses.iter().filter(|status| **status == 200).count();
    assert!((1..=3).contains(&served) && statuses.iter().all(|status| matches!(status, 200 | 503)), "{statuses:?}");
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn a_client_that_leaves_gives_its_probe_back() {
    let (mut provider, reached) = (Provider::start().await, Gate::new());
    let sidegate = with_breaker("open: 100ms", provider.address).await;
    trip(&sidegate, &mut provider).await;
    provider.otherwise(Script::on_request().tell(&reached).until_left());
    ripe().await;
    for _ in 0..6 {
        // Permits come one by one; a refusal meanwhile is no fault of the probe's.
        let sent = async {
            loop {
                let mut client = Client::connect(sidegate.address).await;
                client.post("/v1/chat/completions", ASK).await;
                tokio::select! {
                    () = reached.pass() => break client,
                    reply = client.reply("POST") => assert_eq!(reply.status(), 503),
                }
            }
        };
        drop(crate::support::within("a probe", sent).await);
        provider.departure().await;
        sidegate.holds_nothing().await;
    }
    assert_eq!(sidegate.breaker("scripted", Some("gpt-4o")).await, "half_open", "nobody has found out anything");
}

#[tokio::test]
async fn a_host_that_comes_back_is_found_by_its_clients() {
    let refused = Refused::new();
    let sidegate = with_breaker("open: 100ms", refused.address).await;
    assert_eq!(sidegate.chats("gpt-4o", 5).await, [502; 5]);
    let provider = refused.open();
    provider.otherwise(Script::ok("served"));
    let back = async { while sidegate.chats("gpt-4o", 3).await != [200; 3] {} };
    crate::support::within("it is served again", back).await;
    sidegate.breaker_becomes("scripted", None, "closed").await;
}

#[tokio::test]
async fn nearly_all_first_tokens_too_late_open_it_as_failures_do() {
    let (mut provider, go) = (Provider::start().await, Gate::new());
    provider.otherwise(Script::on_request().wait(&go).write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    let sidegate = with_breaker("slow: 50ms, minimum: 10, window: 60s", provider.address).await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", ASK).await;
        clients.push(client);
        provider.request().await;
    }
    // What is measured is time, so time must pass.
    tokio::time::sleep(Duration::from_millis(100)).await;
    go.open_for_all();
    for mut client in clients {
        assert_eq!(client.reply("POST").await.status(), 200);
    }
    sidegate.breaker_becomes("scripted", Some("gpt-4o"), "open").await;
}

#[tokio::test]
async fn off_is_off() {
    let mut provider = Provider::always(down()).await;
    let sidegate = Setup::of(provider.address, "breaker: off").section("retry: { attempts: 1 }").start().await;
    assert_eq!(sidegate.chats("gpt-4o", 40).await, [503; 40]);
    assert_eq!(provider.new_requests().len(), 40);
}

#[tokio::test]
async fn an_operator_opens_closes_and_resets_it() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let sidegate = with_breaker("consecutive: 3", provider.address).await;
    assert_eq!(sidegate.chat("gpt-4o").await.status(), 200);
    sidegate.change_breaker("scripted", Some("gpt-4o"), "open").await;
    assert_eq!(sidegate.chat("gpt-4o").await.status(), 503);
    assert_eq!(sidegate.chat("gpt-3.5").await.status(), 200, "another model is another breaker");
    sidegate.change_breaker("scripted", None, "open").await;
    assert_eq!(sidegate.chat("gpt-3.5").await.status(), 503);
    sidegate.change_breaker("scripted", None, "reset").await;
    assert_eq!(sidegate.chat("gpt-4o").await.status(), 200, "the host's reset is that of its models too");
    sidegate.change_breaker("scripted", Some("gpt-4o"), "close").await;
    provider.new_requests();
    // Closed by hand stays closed, whatever comes.
    provider.otherwise(down());
    assert_eq!(sidegate.chats("gpt-4o", 20).await, [503; 20]);
    assert_eq!(provider.new_requests().len(), 20);
    sidegate.change_breaker("scripted", Some("gpt-4o"), "reset").await;
    assert_eq!(sidegate.chats("gpt-4o", 20).await, [503; 20]);
    assert_eq!(provider.new_requests().len(), 3);
}
