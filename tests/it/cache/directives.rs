//! What a request may say of the cache (RFC 9111 §5.2.1), and what is said of it in the reply (RFC 9211).

use super::*;

/// Waits until what is stored for this question is too old to be an answer; the provider is not asked.
pub(super) async fn expired(sidegate: &Sidegate, body: &str) {
    let asking = async { while ask_with(sidegate, "Cache-Control: only-if-cached\r\n", body).await.status() != 504 {} };
    crate::support::within("the reply is too old", asking).await;
}

fn status(reply: &Reply) -> String {
    reply.head.get("cache-status").unwrap_or_default()
}

#[tokio::test]
async fn no_store_neither_reads_nor_keeps() {
    let (mut provider, sidegate) = house("").await;
    for (fields, says, word) in [
        ("Cache-Control: no-store\r\n", "one", "bypass"),
        ("", "two", "miss"),
        ("cache-control: max-age=100,NO-STORE\r\n", "three", "bypass"),
        ("Cache-Control: max-age=100\r\nCache-Control: no-store\r\n", "four", "bypass"),
    ] {
        provider.script(reply(says));
        let got = ask_with(&sidegate, fields, ASK).await;
        assert_eq!((got.text(), cached(&got).as_str()), (answer(says), word), "{fields}");
        if word == "miss" {
            stored(&sidegate, 1).await;
        }
    }
    assert_eq!(ask(&sidegate, ASK).await.text(), answer("two"), "what was kept is still there, and nothing else");
    assert_eq!((provider.new_requests().len(), sidegate.metric(STORED).await), (4, 1.0));
}

#[tokio::test]
async fn no_cache_asks_and_keeps_the_new_answer() {
    let (mut provider, sidegate) = house("").await;
    let mut kept = 0;
    for (fields, says, word) in [
        ("", "one", "miss"),
        ("Cache-Control: no-cache\r\n", "two", "miss"),
        ("", "two", "hit"),
        ("Pragma: no-cache\r\n", "three", "miss"),
        ("", "three", "hit"),
        ("Cache-Control: max-age=0\r\n", "four", "miss"),
        ("", "four", "hit"),
        // Whoever knows `cache-control` means what stands there.
        ("Cache-Control: max-age=1000\r\nPragma: no-cache\r\n", "four", "hit"),
    ] {
        if word == "miss" {
            provider.script(reply(says));
        }
        let got = ask_with(&sidegate, fields, ASK).await;
        assert_eq!((got.text(), cached(&got).as_str()), (answer(says), word), "{fields}");
        kept += u32::from(word == "miss");
        stored(&sidegate, kept).await;
    }
    assert_eq!(provider.new_requests().len(), 4);
}

#[tokio::test]
async fn an_answer_must_be_as_fresh_as_the_client_says() {
    let (provider, sidegate) = house("cache: { ttl: 10m }\n").await;
    provider.script(reply("one"));
    ask(&sidegate, ASK).await;
    stored(&sidegate, 1).await;
    for (directive, word) in [
        ("max-age=600", "hit"),
        ("min-fresh=60", "hit"),
        ("max-stale", "hit"),
        ("max-stale=5", "hit"),
        ("no-transform, x-unknown=1", "hit"),
        // Ten minutes and a tenth are the most that it can have.
        ("min-fresh=700", "miss"),
    ] {
        if word == "miss" {
            provider.script(reply("two"));
        }
        let got = ask_with(&sidegate, &format!("Cache-Control: {directive}\r\n"), ASK).await;
        assert_eq!(cached(&got), word, "{directive}");
    }
}

#[tokio::test]
async fn only_if_cached_asks_nobody() {
    let (mut provider, sidegate) = house("").await;
    let only = "Cache-Control: only-if-cached\r\n";
    let refused = ask_with(&sidegate, only, ASK).await;
    assert_eq!(refused.status(), 504);
    assert_eq!(refused.head.get("content-type").as_deref(), Some("application/json"));
    let error = &refused.json()["error"];
    assert!(error["message"].is_string() && error["type"].is_string() && error["code"].is_string(), "{error}");
    assert!(error.get("param").is_some_and(serde_json::Value::is_null), "{error}");
    // Nobody else tells another answer either: an SDK that tries again is told the same.
    assert_eq!(refused.head.get("x-should-retry").as_deref(), Some("false"));
    assert_eq!(provider.asked(), 0);
    provider.script(reply("one"));
    ask(&sidegate, ASK).await;
    stored(&sidegate, 1).await;
    let hit = ask_with(&sidegate, only, ASK).await;
    assert_eq!((hit.text(), cached(&hit).as_str()), (answer("one"), "hit"));
    assert_eq!(provider.new_requests().len(), 1);
    let line = &sidegate.log(3).await[0];
    assert_eq!((line["status"].as_u64(), line["end"].as_str()), (Some(504), Some("rejected")));
}

/// What can never be in a cache is not there.
#[tokio::test]
async fn only_if_cached_asks_nobody_of_what_is_never_kept() {
    let (provider, sidegate) = house("").await;
    let tools = ASK.replace("\"messages\"", "\"tools\":[{\"type\":\"web_search\"}],\"messages\"");
    for body in [tools.as_str(), "{\"model\":\"a\",\"seed\":1,\"seed\":1}"] {
        assert_eq!(ask_with(&sidegate, "Cache-Control: only-if-cached\r\n", body).await.status(), 504, "{body}");
    }
    assert_eq!(provider.asked(), 0);
}

#[tokio::test]
async fn what_is_too_old_is_asked_for_again_and_the_new_answer_is_kept() {
    let (mut provider, sidegate) = house("cache: { ttl: 1s }\n").await;
    provider.script(reply("one"));
    ask(&sidegate, ASK).await;
    stored(&sidegate, 1).await;
    expired(&sidegate, ASK).await;
    provider.script(reply("two"));
    let got = ask(&sidegate, ASK).await;
    assert_eq!((got.text(), cached(&got).as_str()), (answer("two"), "miss"));
    stored(&sidegate, 2).await;
    let got = ask(&sidegate, ASK).await;
    assert_eq!((got.text(), cached(&got).as_str()), (answer("two"), "hit"));
    assert_eq!(provider.new_requests().len(), 2);
}

/// Old answers are for when nobody else can answer; who says how fresh it must be takes none even then.
#[tokio::test]
async fn who_wants_a_fresh_answer_takes_no_old_one_in_place_of_an_error() {
    let (mut provider, sidegate) = house("cache: { ttl: 1s, stale_if_error: 1h }\n").await;
    provider.script(reply("one"));
    ask(&sidegate, ASK).await;
    stored(&sidegate, 1).await;
    expired(&sidegate, ASK).await;
    provider.otherwise(Script::json("503 Service Unavailable", "{}"));
    for (directive, status) in [
        ("max-stale", 200),
        ("max-stale=3000", 200),
        ("max-stale=0", 503),
        ("max-age=0", 503),
        ("min-fresh=1", 503),
        ("no-cache", 503),
        ("no-store", 503),
        ("no-transform", 200),
    ] {
        let got = ask_with(&sidegate, &format!("Cache-Control: {directive}\r\n"), ASK).await;
        assert_eq!(got.status(), status, "{directive}");
        if status == 200 {
            assert_eq!((got.text(), cached(&got).as_str()), (answer("one"), "stale"), "{directive}");
        }
    }
    assert_eq!(provider.new_requests().len(), 9);
}

#[tokio::test]
async fn the_age_of_an_answer_grows() {
    let (provider, sidegate) = house("").await;
    provider.script(reply("one"));
    ask(&sidegate, ASK).await;
    stored(&sidegate, 1).await;
    let growing = async {
        loop {
            let age: u64 = ask(&sidegate, ASK).await.head.get("age").unwrap().parse().unwrap();
            if age >= 1 {
                return age;
            }
        }
    };
    assert!(crate::support::within("it becomes a second old", growing).await < 20);
}

#[tokio::test]
async fn cache_status_says_what_became_of_the_request() {
    let (provider, sidegate) = house("cache: { ttl: 10m }\nannotate: { cache_status: true }\n").await;
    provider.script(reply("one"));
    let miss = ask(&sidegate, ASK).await;
    assert!(status(&miss).starts_with("sidegate; fwd=miss"), "{}", status(&miss));
    stored(&sidegate, 1).await;
    let hit = status(&ask(&sidegate, ASK).await);
    let left: u64 = hit.strip_prefix("sidegate; hit; ttl=").unwrap_or_else(|| panic!("{hit}")).parse().unwrap();
    assert!((530..=660).contains(&left), "ten minutes, give or take a tenth: {left}");
    provider.script(reply("two"));
    let tools = ASK.replace("\"messages\"", "\"tools\":[{\"type\":\"web_search\"}],\"messages\"");
    assert_eq!(status(&ask(&sidegate, &tools).await), "sidegate; fwd=bypass; detail=tools");
    provider.script(reply("three"));
    let bypass = status(&ask_with(&sidegate, "Cache-Control: no-store\r\n", ASK).await);
    assert!(bypass.starts_with("sidegate; fwd=bypass"), "{bypass}");
}

#[tokio::test]
async fn what_is_said_of_the_cache_can_be_left_out() {
    let (provider, sidegate) = house("cache: { ttl: 10m }\nannotate: { cache: false }\n").await;
    provider.script(reply("one"));
    for n in 0..2 {
        let got = ask(&sidegate, ASK).await;
        assert_eq!((got.text(), cached(&got).as_str(), got.head.get("cache-status")), (answer("one"), "", None), "{n}");
        stored(&sidegate, 1).await;
    }
}

/// A provider that puts a cache of its own before itself says so; what we say is about ours.
#[tokio::test]
async fn what_the_provider_says_of_its_own_cache_is_not_taken_for_ours() {
    let (provider, sidegate) = house("").await;
    let fields = "Age: 4711\r\nX-Sidegate-Cache: hit\r\nCache-Control: no-store, max-age=0\r\n";
    provider.script(Script::json_with("200 OK", fields, &answer("one")));
    let first = ask(&sidegate, ASK).await;
    assert_eq!(first.head.all("x-sidegate-cache"), [b"miss"]);
    stored(&sidegate, 1).await;
    let hit = ask(&sidegate, ASK).await;
    assert_eq!(hit.head.all("x-sidegate-cache"), [b"hit"]);
    let ages = hit.head.all("age");
    assert!(ages.len() == 1 && ages[0] != b"4711", "{ages:?}");
}
