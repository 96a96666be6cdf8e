//! A call belongs to all who read it: it goes on while one is left, and not a moment longer, unless the operator wants its end.

use super::*;

const CONNECTIONS: &str = "sidegate_downstream_connections";

/// Waits until Sidegate has seen all clients but so many leave.
async fn left_but(sidegate: &Sidegate, count: u32) {
    sidegate.metric_becomes(CONNECTIONS, f64::from(count)).await;
}

#[tokio::test]
async fn whoever_leaves_the_others_get_it_all() {
    // The first, one in the middle, the last.
    for leaves in [0, 2, 4] {
        for workers in [1, 3] {
            let (mut provider, sidegate) = house(workers, "").await;
            let held = Held::saying("one");
            provider.script(held.script());
            let mut clients = Vec::new();
            for _ in 0..5 {
                clients.push(following(&sidegate, held.first()).await);
            }
            drop(clients.remove(leaves));
            left_but(&sidegate, 4).await;
            held.go.open_for_all();
            for client in &mut clients {
                let got = client.reply("POST").await;
                assert_eq!((got.text(), got.is_complete()), (held.whole(), true), "{leaves} of {workers} workers");
            }
            stored(&sidegate, 1).await;
            assert_eq!(cached(&ask(&sidegate, STREAMED).await), "hit");
            assert_eq!(provider.new_requests().len(), 1);
            sidegate.holds_nothing().await;
        }
    }
}

#[tokio::test]
async fn whoever_leaves_before_the_provider_has_answered_the_others_get_it_all() {
    for leaves in [0, 1] {
        let (mut provider, sidegate) = house(1, "").await;
        let held = Held::saying("one");
        provider.script(held.silent_script());
        let mut clients = vec![asking(&sidegate).await];
        held.begun.reached("the call").await;
        for _ in 0..3 {
            clients.push(asking(&sidegate).await);
        }
        under_way(&sidegate, 4).await;
        drop(clients.remove(leaves));
        left_but(&sidegate, 3).await;
        held.go.open();
        for client in &mut clients {
            let got = client.reply("POST").await;
            assert_eq!((got.text(), got.is_complete()), (held.whole(), true), "{leaves}");
        }
        assert_eq!(provider.new_requests().len(), 1);
        stored(&sidegate, 1).await;
        sidegate.holds_nothing().await;
    }
}

/// Readers come and go in an order that nobody foresees; one stays.
#[tokio::test]
async fn whoever_leaves_whenever_who_stays_gets_it_all() {
    let (mut provider, sidegate) = house(2, "").await;
    let mut seed = 7_u32;
    let mut drawn = |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) as usize % below
    };
    for round in 0..20 {
        let held = Held::saying(&format!("round {round}"));
        provider.script(held.script());
        let body = STREAMED.replace("hi", &round.to_string());
        let mut clients = Vec::new();
        for _ in 0..6 {
            if clients.len() > 1 && drawn(2) == 0 {
                clients.remove(drawn(clients.len()));
            }
            let mut client = asking_with(&sidegate, "", &body).await;
            sees(&mut client, held.first()).await;
            clients.push(client);
        }
        for event in &held.events[1..] {
            while clients.len() > 1 && drawn(2) == 0 {
                clients.remove(drawn(clients.len()));
            }
            held.go.open();
            for client in &mut clients {
                sees(client, event).await;
            }
        }
        for client in &mut clients {
            assert_eq!(client.reply("POST").await.text(), held.whole());
        }
        assert_eq!(provider.new_requests().len(), 1, "round {round}");
        stored(&sidegate, round + 1).await;
        assert_eq!(ask(&sidegate, &body).await.text(), held.whole());
    }
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn when_the_last_has_left_the_call_is_cancelled_and_nothing_is_kept() {
    for silent in [false, true] {
        for workers in [1, 3] {
            let (mut provider, sidegate) = house(workers, "").await;
            let held = Held::saying("one");
            let script = if silent { Script::on_request() } else { Script::sse().chunk(held.first()) };
            provider.script(script.tell(&held.begun).until_left());
            let mut clients = vec![asking(&sidegate).await];
            held.begun.reached("the call").await;
            for _ in 0..2 {
                clients.push(asking(&sidegate).await);
            }
            under_way(&sidegate, 3).await;
            if !silent {
                for client in &mut clients {
                    sees(client, held.first()).await;
                }
            }
            for left in (0..3).rev() {
                drop(clients.remove(0));
                left_but(&sidegate, left).await;
            }
            provider.departure().await;
            sidegate.holds_nothing().await;
            let lines = lines(&sidegate, 3).await;
            assert!(lines.iter().all(|line| line["end"] == "left"), "{lines:#?}");
            provider.script(stream("two"));
            let next = ask(&sidegate, STREAMED).await;
            assert_eq!((next.text(), cached(&next).as_str()), (events("two").concat(), "miss"));
            stored(&sidegate, 1).await;
        }
    }
}

#[tokio::test]
async fn a_call_goes_on_for_the_cache_where_the_operator_says_so() {
    for silent in [false, true] {
        let (mut provider, sidegate) = house(1, "cache: { ttl: 10m, finish: true }\n").await;
        let held = Held::saying("one");
        provider.script(if silent { held.silent_script() } else { held.script() });
        let mut client = asking(&sidegate).await;
        held.begun.reached("the call").await;
        if !silent {
            sees(&mut client, held.first()).await;
        }
        drop(client);
        left_but(&sidegate, 0).await;
        held.go.open_for_all();
        stored(&sidegate, 1).await;
        let next = ask(&sidegate, STREAMED).await;
        assert_eq!((next.text(), cached(&next).as_str()), (held.whole(), "hit"));
        assert_eq!(provider.new_requests().len(), 1);
        sidegate.holds_nothing().await;
    }
}

/// Who comes while nobody reads finds the call still going on.
#[tokio::test]
async fn a_call_that_goes_on_for_the_cache_can_be_joined() {
    let (mut provider, sidegate) = house(1, "cache: { ttl: 10m, finish: true }\n").await;
    let held = Held::saying("one");
    provider.script(held.script());
    drop(following(&sidegate, held.first()).await);
    left_but(&sidegate, 0).await;
    let mut late = following(&sidegate, held.first()).await;
    held.go.open_for_all();
    let got = late.reply("POST").await;
    assert_eq!((got.text(), cached(&got).as_str()), (held.whole(), "collapsed"));
    assert_eq!(provider.new_requests().len(), 1);
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn nothing_goes_on_that_could_not_be_kept() {
    let (mut provider, sidegate) = house(1, "cache: { ttl: 10m, finish: true, max_entry: 1KiB }\n").await;
    let long = format!("data: {}\n\n", "x".repeat(4096));
    let begun = Gate::new();
    provider.script(Script::sse().chunk(&long).tell(&begun).until_left());
    let client = following(&sidegate, &long).await;
    begun.reached("the call").await;
    drop(client);
    provider.departure().await;
    assert_eq!(sidegate.metric(STORED).await, 0.0);
    sidegate.holds_nothing().await;
}
