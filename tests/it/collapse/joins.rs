//! Who comes later gets what has been streamed, and follows live from there.

use super::*;
use crate::support::{H2Client, h2_client};

#[tokio::test]
async fn a_hundred_equal_streams_are_one_call_and_the_same_bytes() {
    let (mut provider, sidegate) = house(1, "").await;
    let held = Held::saying("one");
    provider.script(held.script());
    let mut clients = vec![following(&sidegate, held.first()).await];
    for _ in 1..100 {
        clients.push(asking(&sidegate).await);
    }
    for client in &mut clients {
        sees(client, held.first()).await;
    }
    held.go.open_for_all();
    let mut replies = Vec::new();
    for client in &mut clients {
        let got = client.reply("POST").await;
        assert_eq!((got.status(), got.text(), got.is_complete()), (200, held.whole(), true));
        assert_eq!(got.head.get("content-type").as_deref(), Some("text/event-stream"));
        replies.push(got);
    }
    assert_eq!(words(&replies, ["miss", "collapsed"]), [1, 99]);
    assert_eq!(provider.new_requests().len(), 1);
    let mut ids: Vec<_> = replies.iter().map(|reply| reply.head.get("x-request-id").unwrap()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 100, "each request has an id of its own");
    let lines = lines(&sidegate, 100).await;
    let collapsed = lines.iter().filter(|line| line["cache"] == "collapsed" && line["end"] == "complete" && line["status"] == 200).count();
    assert_eq!(collapsed, 99);
    stored(&sidegate, 1).await;
    assert_eq!(cached(&ask(&sidegate, STREAMED).await), "hit");
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn who_comes_before_the_provider_has_answered_waits_with_the_first() {
    let (mut provider, sidegate) = house(1, "").await;
    let held = Held::saying("one");
    provider.script(held.silent_script());
    let mut clients = vec![asking(&sidegate).await];
    held.begun.reached("the call").await;
    for _ in 1..20 {
        clients.push(asking(&sidegate).await);
    }
    under_way(&sidegate, 20).await;
    held.go.open();
    let mut replies = Vec::new();
    for client in &mut clients {
        let got = client.reply("POST").await;
        assert_eq!((got.status(), got.text()), (200, held.whole()));
        replies.push(got);
    }
    assert_eq!(words(&replies, ["miss", "collapsed"]), [1, 19]);
    assert_eq!(provider.new_requests().len(), 1);
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn each_event_reaches_all_as_it_comes() {
    let (mut provider, sidegate) = house(1, "").await;
    let held = Held::saying("one");
    provider.script(held.script());
    let mut clients = vec![following(&sidegate, held.first()).await];
    for n in 1..4 {
        // Each newcomer gets all that has been said so far while nothing more is said.
        let mut late = following(&sidegate, held.first()).await;
        for event in &held.events[..n] {
            sees(&mut late, event).await;
        }
        clients.push(late);
        held.go.open();
        for client in &mut clients {
            sees(client, &held.events[n]).await;
        }
    }
    for client in &mut clients {
        assert_eq!(client.reply("POST").await.text(), held.whole());
    }
    assert_eq!(provider.new_requests().len(), 1);
}

/// Connections are spread over the workers; the call is one.
#[tokio::test]
async fn clients_on_other_workers_follow_too() {
    let (mut provider, sidegate) = house(4, "").await;
    let held = Held::saying("one");
    provider.script(held.script());
    let mut clients = vec![following(&sidegate, held.first()).await];
    for _ in 1..24 {
        clients.push(following(&sidegate, held.first()).await);
    }
    held.go.open_for_all();
    for client in &mut clients {
        let got = client.reply("POST").await;
        assert_eq!((got.text(), got.is_complete()), (held.whole(), true));
    }
    assert_eq!(provider.new_requests().len(), 1);
    stored(&sidegate, 1).await;
    let mut hits = Vec::new();
    for _ in 0..8 {
        hits.push(ask(&sidegate, STREAMED).await);
    }
    assert_eq!(words(&hits, ["hit"]), [8], "the store is one as well");
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn both_versions_of_http_share_the_call() {
    let (mut provider, sidegate) = house(2, "").await;
    let held = Held::saying("one");
    provider.script(held.script());
    let mut first = following(&sidegate, held.first()).await;
    let client = H2Client::connect(sidegate.address).await;
    let mut bodies = Vec::new();
    for _ in 0..10 {
        let head = h2_client::head(client.send(h2_client::post(CHAT, STREAMED)).await).await;
        assert_eq!(head.headers()["x-sidegate-cache"], "collapsed");
        bodies.push((Vec::new(), head.into_body()));
    }
    for (got, body) in &mut bodies {
        while got.len() < held.first().len() {
            got.extend_from_slice(&h2_client::part(body).await.unwrap().unwrap());
        }
    }
    held.go.open_for_all();
    for (mut got, mut body) in bodies {
        while let Some(part) = h2_client::part(&mut body).await {
            got.extend_from_slice(&part.unwrap());
        }
        assert_eq!(String::from_utf8(got).unwrap(), held.whole());
    }
    assert_eq!(first.reply("POST").await.text(), held.whole());
    assert_eq!(provider.new_requests().len(), 1);
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn whole_replies_are_shared_too() {
    let (mut provider, sidegate) = house(2, "").await;
    let (begun, go) = (Gate::new(), Gate::new());
    let whole = answer("one");
    let (half, rest) = whole.split_at(20);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{half}", whole.len());
    provider.script(Script::on_request().write(head).tell(&begun).wait(&go).write(rest.to_owned()));
    let mut clients = Vec::new();
    for _ in 0..10 {
        let mut client = asking_with(&sidegate, "", ASK).await;
        sees(&mut client, half).await;
        clients.push(client);
    }
    go.open();
    for client in &mut clients {
        let got = client.reply("POST").await;
        assert_eq!((got.text(), got.is_complete()), (whole.clone(), true));
    }
    assert_eq!(provider.new_requests().len(), 1);
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn what_the_call_says_of_the_first_is_not_told_to_who_follows() {
    let (provider, sidegate) = house(1, "").await;
    let held = Held::saying("one");
    let private = "Set-Cookie: a=of-the-first\r\nX-Request-Id: of-the-first\r\nX-Ratelimit-Remaining-Tokens: 471147\r\n";
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{private}Transfer-Encoding: chunked\r\n\r\n");
    provider.script(Script::on_request().write(head).chunk(held.first()).wait(&held.go).chunk(&held.events[1..].concat()).end());
    let mut first = following(&sidegate, held.first()).await;
    let mut second = following(&sidegate, held.first()).await;
    held.go.open();
    assert_eq!(first.reply("POST").await.head.get("set-cookie").as_deref(), Some("a=of-the-first"));
    let second = second.reply("POST").await;
    assert_eq!(cached(&second), "collapsed");
    let told = second.head.fields.iter().map(|(_, value)| String::from_utf8_lossy(value)).collect::<Vec<_>>().join("\n");
    assert!(!told.contains("of-the-first") && !told.contains("471147"), "{told}");
}

#[tokio::test]
async fn without_collapse_each_makes_a_call_of_its_own() {
    let (mut provider, sidegate) = house(1, "cache: { ttl: 10m, collapse: false }\n").await;
    let held = Held::saying("one");
    provider.otherwise(held.script());
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(following(&sidegate, held.first()).await);
    }
    held.go.open_for_all();
    let mut replies = Vec::new();
    for client in &mut clients {
        let got = client.reply("POST").await;
        assert_eq!(got.text(), held.whole());
        replies.push(got);
    }
    assert_eq!((provider.new_requests().len(), words(&replies, ["miss"])), (5, [5]));
    assert_eq!(cached(&ask(&sidegate, STREAMED).await), "hit");
}

#[tokio::test]
async fn who_wants_no_cache_joins_nobody_and_is_joined_by_nobody() {
    for directive in ["no-store", "no-cache"] {
        let (mut provider, sidegate) = house(1, "").await;
        let held = Held::saying("one");
        provider.otherwise(held.script());
        let fields = format!("Cache-Control: {directive}\r\n");
        let mut first = following(&sidegate, held.first()).await;
        let mut second = asking_with(&sidegate, &fields, STREAMED).await;
        sees(&mut second, held.first()).await;
        held.go.open_for_all();
        for client in [&mut first, &mut second] {
            let got = client.reply("POST").await;
            assert_ne!(cached(&got), "collapsed", "{directive}");
            assert_eq!(got.text(), held.whole());
        }
        assert_eq!(provider.new_requests().len(), 2, "{directive}");
        sidegate.holds_nothing().await;
    }
}

/// Nobody has to wait for what is not there yet.
#[tokio::test]
async fn who_wants_only_what_is_cached_is_told_at_once() {
    let (provider, sidegate) = house(1, "").await;
    let held = Held::saying("one");
    provider.script(held.silent_script());
    let mut first = asking(&sidegate).await;
    held.begun.reached("the call").await;
    let only = asking_with(&sidegate, "Cache-Control: only-if-cached\r\n", STREAMED).await.reply("POST").await;
    assert_eq!(only.status(), 504);
    held.go.open();
    assert_eq!(first.reply("POST").await.text(), held.whole());
}
