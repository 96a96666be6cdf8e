//! What fails before anybody has seen of it is tried once more by one for all; what breaks off later breaks off for all alike.

use super::*;
use crate::{
    cache::clients,
    support::{H2Client, Refused, h2_client},
};

const DOWN: &str = r#"{"error":{"message":"The server is overloaded.","type":"server_error","param":null,"code":null}}"#;

/// Fails when the gate is opened, before a byte of its reply has come or with a status.
fn failing(begun: &Gate, go: &Gate, with_status: bool) -> Script {
    let held = Script::on_request().tell(begun).wait(go);
    if with_status {
        let length = DOWN.len();
        held.write(format!("HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{DOWN}"))
    } else {
        held.close()
    }
}

/// The first and `more` others, who all wait for the provider to answer.
async fn waiting(sidegate: &Sidegate, begun: &Gate, more: u32) -> Vec<Client> {
    let mut clients = vec![asking(sidegate).await];
    begun.reached("the call").await;
    for _ in 0..more {
        clients.push(asking(sidegate).await);
    }
    under_way(sidegate, more + 1).await;
    clients
}

async fn replies(clients: &mut [Client]) -> Vec<Reply> {
    let mut replies = Vec::new();
    for client in clients {
        replies.push(client.reply("POST").await);
    }
    replies
}

#[tokio::test]
async fn where_the_call_fails_one_of_those_who_wait_makes_the_next() {
    for with_status in [false, true] {
        for workers in [1, 3] {
            let (mut provider, sidegate) = house(workers, "").await;
            let (begun, go) = (Gate::new(), Gate::new());
            provider.script(failing(&begun, &go, with_status));
            let held = Held::saying("second");
            provider.script(held.script());
            let mut clients = waiting(&sidegate, &begun, 5).await;
            go.open();
            let first = clients.remove(0).reply("POST").await;
            assert_eq!(first.status(), if with_status { 503 } else { 502 }, "the failure is its own");
            for client in &mut clients {
                sees(client, held.first()).await;
            }
            held.go.open_for_all();
            let replies = replies(&mut clients).await;
            assert!(replies.iter().all(|reply| reply.status() == 200 && reply.text() == held.whole()));
            assert_eq!(words(&replies, ["miss", "collapsed"]), [1, 4]);
            assert_eq!(provider.new_requests().len(), 2);
            stored(&sidegate, 1).await;
            sidegate.holds_nothing().await;
        }
    }
}

#[tokio::test]
async fn where_the_next_fails_too_all_are_told() {
    for with_status in [false, true] {
        let (mut provider, sidegate) = house(1, "").await;
        let (begun, go) = (Gate::new(), Gate::new());
        for _ in 0..2 {
            provider.script(failing(&begun, &go, with_status));
        }
        let mut clients = waiting(&sidegate, &begun, 8).await;
        go.open();
        let first = clients.remove(0).reply("POST").await;
        begun.reached("the second call").await;
        go.open();
        for got in replies(&mut clients).await {
            assert_eq!((got.status(), got.text().is_empty()), (first.status(), false));
            if with_status {
                assert_eq!(got.text(), DOWN);
            }
        }
        assert_eq!((provider.new_requests().len(), sidegate.metric(STORED).await), (2, 0.0), "two failures are two calls, not nine");
        sidegate.holds_nothing().await;
        let lines = lines(&sidegate, 9).await;
        assert!(lines.iter().all(|line| line["status"] == first.status()), "{lines:#?}");
    }
}

#[tokio::test]
async fn where_nobody_listens_all_are_told_so() {
    let refused = Refused::new();
    let setup = Setup::of(refused.address, "breaker: off").section("retry: { attempts: 1 }").section(CACHED);
    let sidegate = setup.start().await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(asking(&sidegate).await);
    }
    for got in replies(&mut clients).await {
        assert_eq!((got.status(), got.json()["error"]["code"].as_str()), (502, Some("upstream_unavailable")));
    }
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_breaks_off_for_all_alike_and_is_not_kept() {
    for reset in [false, true] {
        for workers in [1, 3] {
            let (mut provider, sidegate) = house(workers, "").await;
            let held = Held::saying("one");
            let broken = Script::sse().chunk(held.first()).wait(&held.go).chunk(&held.events[1]).wait(&held.go);
            provider.script(if reset { broken.reset() } else { broken.close() });
            let mut clients = Vec::new();
            for _ in 0..6 {
                clients.push(following(&sidegate, held.first()).await);
            }
            held.go.open();
            for client in &mut clients {
                sees(client, &held.events[1]).await;
            }
            held.go.open();
            let told = format!("{}{}", held.first(), held.events[1]);
            for got in replies(&mut clients).await {
                assert_eq!((got.status(), got.text(), got.is_complete()), (200, told.clone(), false), "it can be seen that it broke off");
            }
            assert_eq!(provider.new_requests().len(), 1, "it is not made again");
            sidegate.holds_nothing().await;
            let lines = lines(&sidegate, 6).await;
            assert!(lines.iter().all(|line| line["end"] == "truncated"), "{lines:#?}");
            assert_eq!(sidegate.metric(STORED).await, 0.0);
            provider.script(stream("two"));
            assert_eq!(ask(&sidegate, STREAMED).await.text(), events("two").concat());
        }
    }
}

/// What it says is said to all who follow; to nobody after them.
#[tokio::test]
async fn an_error_in_a_stream_is_told_to_all_who_follow_and_to_nobody_later() {
    let (provider, sidegate) = house(1, "").await;
    let held = Held::saying("one");
    let error = "data: {\"error\":{\"message\":\"The server had an error.\",\"type\":\"server_error\"}}\n\n";
    provider.script(Script::sse().chunk(held.first()).wait(&held.go).chunk(error).end());
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(following(&sidegate, held.first()).await);
    }
    held.go.open();
    for got in replies(&mut clients).await {
        assert_eq!((got.text(), got.is_complete()), (format!("{}{error}", held.first()), true));
    }
    sidegate.holds_nothing().await;
    assert_eq!(sidegate.metric(STORED).await, 0.0);
    provider.script(stream("two"));
    assert_eq!(ask(&sidegate, STREAMED).await.text(), events("two").concat());
}

/// The place that the first one could not get may be there for the next.
#[tokio::test]
async fn a_refusal_of_ours_is_not_shared() {
    let provider = Provider::start().await;
    let setup = Setup::of(provider.address, "breaker: off, queue: { concurrent: 1, timeout: 2s }").section(CACHED);
    let sidegate = setup.section("retry: { attempts: 1 }").start().await;
    let (begun, go) = (Gate::new(), Gate::new());
    provider.script(Script::on_request().tell(&begun).wait(&go).write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    provider.script(stream("one"));
    let mut busy = Client::connect(sidegate.address).await;
    busy.get("/v1/models").await;
    begun.reached("the only place is taken").await;
    let mut first = asking(&sidegate).await;
    under_way(&sidegate, 2).await;
    let mut others = vec![asking(&sidegate).await, asking(&sidegate).await];
    under_way(&sidegate, 4).await;
    let refused = first.reply("POST").await;
    assert_eq!((refused.status(), refused.json()["error"]["code"].as_str()), (503, Some("queue_timeout")));
    go.open();
    assert_eq!(busy.reply("GET").await.status(), 200);
    let replies = replies(&mut others).await;
    assert!(replies.iter().all(|reply| reply.status() == 200 && reply.text() == events("one").concat()));
    assert_eq!(provider.asked(), 2);
    sidegate.holds_nothing().await;
}

/// The first of two who ask the same has used up what it may ask for; the second has come before that was known.
#[tokio::test]
async fn who_is_refused_by_a_limit_takes_nobody_along() {
    let poor = "limits: [{ name: poor, when: { tier: poor }, per: client, tokens: 1/day }]";
    let sections = format!("cache: {{ ttl: 10m, scope: all }}\n{poor}\n{}", clients(&["poor", "rich"]));
    let (mut provider, sidegate) = house(1, &sections).await;
    let client = H2Client::connect(sidegate.address).await;
    for round in 0..10 {
        let says = round.to_string();
        provider.script(stream(&says));
        let asking = |n: usize| {
            let request = http::Request::post(format!("http://sidegate.test{CHAT}")).header("content-type", "application/json");
            request.header("authorization", format!("Bearer sg-{n}")).body(STREAMED.replace("hi", &says)).unwrap()
        };
        let (poor, rich) = (client.send(asking(0)).await, client.send(asking(1)).await);
        let (poor, rich) = (h2_client::read(poor).await, h2_client::read(rich).await);
        assert_eq!(poor.status, 429, "{}", poor.text());
        assert_eq!((rich.status.as_u16(), rich.text()), (200, events(&says).concat()));
        assert_eq!(rich.headers["x-sidegate-cache"], "miss", "it makes the call itself");
        stored(&sidegate, round + 1).await;
    }
    assert_eq!(provider.new_requests().len(), 10);
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn who_follows_takes_an_old_answer_where_the_call_fails() {
    let (mut provider, sidegate) = house(1, "cache: { ttl: 1s, stale_if_error: 1h }\n").await;
    provider.script(stream("old"));
    ask(&sidegate, STREAMED).await;
    stored(&sidegate, 1).await;
    let only = "Cache-Control: only-if-cached\r\n";
    let aging = async { while asking_with(&sidegate, only, STREAMED).await.reply("POST").await.status() != 504 {} };
    within("the reply is too old", aging).await;
    let (begun, go) = (Gate::new(), Gate::new());
    provider.otherwise(failing(&begun, &go, true));
    let mut clients = waiting(&sidegate, &begun, 4).await;
    go.open_for_all();
    for got in replies(&mut clients).await {
        assert_eq!((got.text(), cached(&got).as_str()), (events("old").concat(), "stale"));
    }
    assert!(provider.new_requests().len() <= 3);
    sidegate.holds_nothing().await;
}
