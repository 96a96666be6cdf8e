//! Who does not read slows nobody, what is too long is followed and not kept, and nobody follows what is another's.

use super::*;
use crate::cache::{clients, credential};

/// A stream of this many kilobytes in events that tell each other apart.
fn long(kilobytes: usize) -> (Vec<String>, String) {
    let [role, _, stop, done] = events("");
    let word = |n: usize| {
        let filler = format!("{n:06}").repeat(150);
        format!("data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{filler}\"}},\"finish_reason\":null}}]}}\n\n")
    };
    let all: Vec<String> = std::iter::once(role).chain((0..kilobytes).map(word)).chain([stop, done]).collect();
    let whole = all.concat();
    (all, whole)
}

fn script(parts: &[String]) -> Script {
    parts.iter().fold(Script::sse(), |script, event| script.chunk(event)).end()
}

#[tokio::test]
async fn who_does_not_read_slows_nobody() {
    for sleeper_is_first in [true, false] {
        let (mut provider, sidegate) = house(1, "cache: { ttl: 10m, max_entry: 8MiB }\n").await;
        let (parts, whole) = long(4000);
        let held = Gate::new();
        let begun = Script::sse().chunk(&parts[0]).wait(&held);
        provider.script(parts[1..].iter().fold(begun, |script, event| script.chunk(event)).end());
        let sleeper = async || {
            let mut client = Client::connect_with_small_buffer(sidegate.address).await;
            client.post(CHAT, STREAMED).await;
            sees(&mut client, &parts[0]).await;
            client
        };
        let (mut asleep, mut awake);
        if sleeper_is_first {
            asleep = sleeper().await;
            awake = following(&sidegate, &parts[0]).await;
        } else {
            awake = following(&sidegate, &parts[0]).await;
            asleep = sleeper().await;
        }
        held.open();
        let got = awake.reply("POST").await;
        assert!(got.is_complete() && got.text() == whole, "while one sleeps, the other gets it all");
        stored(&sidegate, 1).await;
        let late = asleep.reply("POST").await;
        assert!(late.is_complete() && late.text() == whole, "and it gets it all when it wakes up");
        assert_eq!(provider.new_requests().len(), 1);
        sidegate.holds_nothing().await;
    }
}

#[tokio::test]
async fn a_sleeper_who_leaves_keeps_nothing() {
    let (provider, sidegate) = house(1, "cache: { ttl: 10m, max_entry: 8MiB }\n").await;
    let (parts, whole) = long(4000);
    let held = Gate::new();
    let begun = Script::sse().chunk(&parts[0]).wait(&held);
    provider.script(parts[1..].iter().fold(begun, |script, event| script.chunk(event)).end());
    let mut awake = following(&sidegate, &parts[0]).await;
    let mut asleep = Client::connect_with_small_buffer(sidegate.address).await;
    asleep.post(CHAT, STREAMED).await;
    sees(&mut asleep, &parts[0]).await;
    held.open();
    assert!(awake.reply("POST").await.text() == whole);
    drop(asleep);
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn what_is_too_long_is_followed_by_those_who_came_in_time_and_by_nobody_later() {
    let (mut provider, sidegate) = house(1, "cache: { ttl: 10m, max_entry: 64KiB }\n").await;
    let (parts, whole) = long(1000);
    let (first, second) = (Gate::new(), Gate::new());
    let begun = parts[1..500].iter().fold(Script::sse().chunk(&parts[0]).wait(&first), |script, event| script.chunk(event));
    provider.script(parts[500..].iter().fold(begun.wait(&second), |script, event| script.chunk(event)).end());
    provider.script(script(&parts));
    let mut clients = [following(&sidegate, &parts[0]).await, following(&sidegate, &parts[0]).await];
    first.open();
    // It goes at the pace of the slowest from here on, so both read.
    let [one, two] = clients.each_mut();
    tokio::join!(sees(one, &parts[499]), sees(two, &parts[499]));
    let late = ask(&sidegate, STREAMED).await;
    assert_eq!((cached(&late).as_str(), late.text() == whole), ("miss", true), "it makes a call of its own");
    second.open();
    let [one, two] = clients.each_mut();
    let (one, two) = tokio::join!(one.reply("POST"), two.reply("POST"));
    for got in [one, two] {
        assert!(got.is_complete() && got.text() == whole);
    }
    assert_eq!(provider.new_requests().len(), 2);
    sidegate.holds_nothing().await;
    assert_eq!(sidegate.metric(STORED).await, 0.0);
}

/// Memory has a bound where the call is too long to be kept, whoever does not read.
#[tokio::test]
async fn what_never_ends_is_not_kept_in_memory() {
    let (mut provider, sidegate) = house(1, "cache: { ttl: 10m, max_entry: 64KiB }\n").await;
    let event = format!("data: {}\n\n", "x".repeat(8192));
    let go = Gate::new();
    provider.script(Script::sse().chunk("data: first\n\n").wait(&go).flood(format!("{:x}\r\n{event}\r\n", event.len())));
    let mut sleepers = Vec::new();
    for _ in 0..3 {
        let mut client = Client::connect_with_small_buffer(sidegate.address).await;
        client.post(CHAT, STREAMED).await;
        sees(&mut client, "data: first").await;
        sleepers.push(client);
    }
    go.open();
    let flooded = crate::support::at_rest("the provider", || provider.flooded()).await;
    assert!(flooded < 64 << 20, "{flooded} bytes were taken from the provider for three who do not read");
    drop(sleepers);
    provider.departure().await;
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn nobody_follows_what_is_another_clients() {
    let (mut provider, sidegate) = house(1, &clients(&["gold", "gold", "silver"])).await;
    let helds: Vec<_> = (0..3).map(|n| Held::saying(&format!("for {n}"))).collect();
    let mut connections = Vec::new();
    for (n, held) in helds.iter().enumerate() {
        provider.script(held.script());
        let mut client = asking_with(&sidegate, &credential(n), STREAMED).await;
        sees(&mut client, held.first()).await;
        connections.push(client);
    }
    for (held, client) in helds.iter().zip(&mut connections) {
        held.go.open_for_all();
        let got = client.reply("POST").await;
        assert_eq!((got.text(), cached(&got).as_str()), (held.whole(), "miss"));
    }
    assert_eq!(provider.new_requests().len(), 3);
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn a_tier_follows_together_where_the_operator_says_so() {
    let sections = format!("cache: {{ ttl: 10m, scope: tier }}\n{}", clients(&["gold", "gold", "silver"]));
    let (mut provider, sidegate) = house(1, &sections).await;
    let (gold, silver) = (Held::saying("gold"), Held::saying("silver"));
    let mut connections = Vec::new();
    for (n, held, own) in [(0, &gold, true), (1, &gold, false), (2, &silver, true)] {
        if own {
            provider.script(held.script());
        }
        let mut client = asking_with(&sidegate, &credential(n), STREAMED).await;
        sees(&mut client, held.first()).await;
        connections.push((client, held));
    }
    for (client, held) in &mut connections {
        held.go.open_for_all();
        assert_eq!(client.reply("POST").await.text(), held.whole());
    }
    assert_eq!(provider.new_requests().len(), 2);
}

/// Nobody pays for a call twice: who follows takes nothing, and needs nothing to be left.
#[tokio::test]
async fn who_follows_takes_no_tokens_and_no_place() {
    let provider = Provider::start().await;
    let setup = Setup::of(provider.address, "breaker: off, queue: { concurrent: 1, waiting: 0 }").section(CACHED);
    let limits = "limits: [{ name: tokens, per: all, tokens: 60/day }]";
    let sidegate = setup.section(limits).section("retry: { attempts: 1 }").start().await;
    let body = STREAMED.replace("\"stream\"", "\"max_tokens\":10,\"stream\"");
    let held = Held::saying("one");
    provider.script(held.script());
    let mut connections = Vec::new();
    for _ in 0..10 {
        let mut client = asking_with(&sidegate, "", &body).await;
        sees(&mut client, held.first()).await;
        connections.push(client);
    }
    held.go.open_for_all();
    for client in &mut connections {
        assert_eq!(client.reply("POST").await.status(), 200);
    }
    sidegate.holds_nothing().await;
}

/// A key that was found out is not told by the one who follows either.
#[tokio::test]
async fn a_call_that_is_made_again_with_another_key_is_still_one() {
    let mut provider = Provider::start().await;
    let keys = "breaker: off, keys: [{ name: one, value: sk-one }, { name: two, value: sk-two }]";
    let sidegate = Setup::of(provider.address, keys).section(CACHED).start().await;
    let (begun, go) = (Gate::new(), Gate::new());
    let revoked =
        r#"{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
    let length = revoked.len();
    let refusal = format!("HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{revoked}");
    provider.script(Script::on_request().tell(&begun).wait(&go).write(refusal));
    provider.script(stream("one"));
    let mut connections = vec![asking(&sidegate).await];
    begun.reached("the call").await;
    for _ in 0..4 {
        connections.push(asking(&sidegate).await);
    }
    under_way(&sidegate, 5).await;
    go.open();
    for client in &mut connections {
        let got = client.reply("POST").await;
        assert_eq!((got.status(), got.text()), (200, events("one").concat()));
    }
    assert_eq!(provider.new_requests().len(), 2);
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn different_questions_are_different_calls() {
    let (mut provider, sidegate) = house(1, "").await;
    provider.otherwise(reply("one"));
    let bodies = [ASK.to_owned(), ASK.replace("hi", "ho"), ASK.replace("gpt-4o", "gpt-4.1")];
    let mut connections = Vec::new();
    for body in &bodies {
        connections.push(asking_with(&sidegate, "", body).await);
    }
    for client in &mut connections {
        assert_eq!(cached(&client.reply("POST").await), "miss");
    }
    assert_eq!(provider.new_requests().len(), 3);
}
