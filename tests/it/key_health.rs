//! A key that can't serve costs the client nothing while another can: it is swapped, left alone, and comes back by itself.

use std::collections::BTreeSet;

use h2::server::Builder;

use crate::support::{Client, Gate, H2Provider, H2Script, Provider, Script, Setup, Sidegate};

const REVOKED: &str =
    r#"{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
const TOO_FAST: &str = r#"{"error":{"message":"Rate limit reached.","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
const NO_MODEL: &str =
    r#"{"error":{"message":"The model does not exist.","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#;
const NO_RIGHT: &str = r#"{"error":{"message":"This account has no access to the model.","type":"invalid_request_error","param":null,"code":"model_not_allowed"}}"#;
const ASK: &str = r#"{"model":"gpt-4o","messages":[]}"#;

const ONE: &str = "keys: [{ name: one, value: sk-one }]";
const TWO: &str = "keys: [{ name: one, value: sk-one, account: a }, { name: two, value: sk-two, account: b }]";
const FOUR: &str = "keys: [{ name: one, value: sk-one, account: a }, { name: two, value: sk-two, account: b }, \
                    { name: three, value: sk-three, account: c }, { name: four, value: sk-four, account: d }]";

fn revoked() -> Script {
    Script::json("401 Unauthorized", REVOKED)
}

fn too_fast(retry_after: &str) -> Script {
    Script::json_with("429 Too Many Requests", &format!("{retry_after}\r\n"), TOO_FAST)
}

fn count(keys: &[String], key: &str) -> usize {
    keys.iter().filter(|seen| *seen == key).count()
}

#[tokio::test]
async fn a_revoked_key_costs_the_client_nothing_and_is_asked_once() {
    let mut provider = Provider::always(Script::ok("served")).await;
    provider.for_key("sk-one", revoked());
    let sidegate = Setup::of(provider.address, TWO).start().await;
    let (mut client, mut sends) = (Client::connect(sidegate.address).await, 0);
    for _ in 0..40 {
        let reply = client.chat("gpt-4o").await;
        assert_eq!((reply.status(), reply.text().as_str()), (200, "served"));
        sends += reply.head.get("x-sidegate-attempts").unwrap().parse::<usize>().unwrap();
    }
    let keys = provider.new_keys();
    assert_eq!((count(&keys, "sk-one"), count(&keys, "sk-two"), sends), (1, 40, 41));
    let key = sidegate.key("one").await;
    assert_eq!((&key["state"], &key["cause"]), (&"quarantined".into(), &"invalid_key".into()), "{key:#}");
    assert!(key["next_probe"].is_string(), "{key:#}");
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn a_revoked_key_at_an_h2_provider_costs_the_client_nothing_either() {
    let mut provider = H2Provider::always(Builder::new(), H2Script::ok("served")).await;
    provider.for_key("sk-one", H2Script::on_request().head(401).last(REVOKED));
    let sidegate = Setup::of(provider.address, &format!("{TWO}, http_version: 2")).start().await;
    assert_eq!(sidegate.chats("gpt-4o", 40).await, [200; 40]);
    assert_eq!(count(&provider.new_keys(), "sk-one"), 1);
}

#[tokio::test]
async fn gemini_says_400_for_a_key_that_is_not_valid() {
    let body = r#"[{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}]"#;
    let provider = Provider::always(Script::ok("served")).await;
    provider.for_key("sk-one", Script::json("400 Bad Request", body));
    let sidegate = Setup::of(provider.address, &format!("{TWO}, dialect: gemini")).start().await;
    let mut client = Client::connect(sidegate.address).await;
    for _ in 0..20 {
        client.post("/v1/models/gemini-pro:generateContent", r#"{"contents":[]}"#).await;
        assert_eq!(client.reply("POST").await.text(), "served");
    }
    assert_eq!(sidegate.states(["one", "two"]).await, ["quarantined", "active"]);
}

/// Which key is taken first is chance, so it is asked of several pools.
#[tokio::test]
async fn three_of_four_keys_revoked_are_swapped_within_one_request() {
    let mut most = 0;
    for _ in 0..12 {
        let mut provider = Provider::always(Script::ok("served")).await;
        ["sk-one", "sk-two", "sk-three"].into_iter().for_each(|key| provider.for_key(key, revoked()));
        let sidegate = Setup::of(provider.address, FOUR).start().await;
        let reply = sidegate.chat("gpt-4o").await;
        assert_eq!(reply.status(), 200, "{}", reply.text());
        let keys = provider.new_keys();
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "each is asked once: {keys:?}");
        assert_eq!(sidegate.chats("gpt-4o", 10).await, [200; 10]);
        most = most.max(keys.len());
    }
    assert!(most > 1);
}

#[tokio::test]
async fn when_every_key_is_revoked_the_providers_own_word_goes_down() {
    let mut provider = Provider::always(revoked()).await;
    let sidegate = Setup::of(provider.address, FOUR).start().await;
    let reply = sidegate.chat("gpt-4o").await;
    assert_eq!((reply.status(), reply.text().as_str()), (401, REVOKED));
    assert_eq!(provider.new_keys().len(), 4);
    // So many at once is rather the provider's fault than that of all keys.
    let states = sidegate.states(["one", "two", "three", "four"]).await;
    assert!(states.iter().filter(|state| *state == "quarantined").count() <= 2, "{states:?}");
    sidegate.holds_nothing().await;
}

/// Before another account has served it, nobody can tell a model that this account lacks from a client's slip.
#[tokio::test]
async fn a_model_that_another_account_serves_is_asked_of_that_one() {
    for (status, body) in [("404 Not Found", NO_MODEL), ("403 Forbidden", NO_RIGHT)] {
        let mut provider = Provider::always(Script::ok("served")).await;
        provider.for_key_and_model("sk-one", "gpt-rare", Script::json(status, body));
        let sidegate = Setup::of(provider.address, TWO).start().await;
        let mut statuses = Vec::new();
        while statuses.last() != Some(&200) {
            statuses.push(sidegate.chat("gpt-rare").await.status());
            assert!(statuses.len() < 100, "{statuses:?}");
        }
        provider.new_keys();
        assert_eq!(sidegate.chats("gpt-rare", 30).await, [200; 30], "{status}");
        assert!(count(&provider.new_keys(), "sk-one") <= 1, "{status}");
        sidegate.chats("gpt-4o", 20).await;
        assert!(count(&provider.new_keys(), "sk-one") > 0, "{status}: it still serves its other models");
        assert_eq!(sidegate.states(["one", "two"]).await, ["active", "active"]);
    }
}

#[tokio::test]
async fn an_account_that_rests_comes_back_when_its_time_is_over() {
    let mut provider = Provider::always(Script::ok("served")).await;
    provider.for_key("sk-one", too_fast("Retry-After-Ms: 400"));
    let sidegate = Setup::of(provider.address, TWO).start().await;
    while count(&provider.new_keys(), "sk-one") == 0 {
        assert_eq!(sidegate.chat("gpt-4o").await.status(), 200);
    }
    provider.forget_rules();
    let back = async {
        while count(&provider.new_keys(), "sk-one") == 0 {
            assert_eq!(sidegate.chat("gpt-4o").await.status(), 200);
        }
    };
    crate::support::within("the account is asked again", back).await;
}

#[tokio::test]
async fn of_two_times_the_later_one_holds() {
    let (mut provider, reached, go) = (Provider::start().await, Gate::new(), Gate::new());
    let held = |retry_after: &str| {
        let head = format!("HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\n{retry_after}\r\n");
        let reply = format!("{head}Content-Length: {}\r\n\r\n{TOO_FAST}", TOO_FAST.len());
        Script::on_request().tell(&reached).wait(&go).write(reply)
    };
    let sidegate = Setup::of(provider.address, ONE).section("retry: { attempts: 1, within: 1s }").start().await;
    let mut clients = Vec::new();
    for script in [held("Retry-After: 50"), held("Retry-After: 2")] {
        provider.script(script);
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", ASK).await;
        reached.reached("the request").await;
        clients.push(client);
    }
    for client in &mut clients {
        go.open();
        assert_eq!(client.reply("POST").await.status(), 429);
    }
    let refused = sidegate.chat("gpt-4o").await;
    let wait: u64 = refused.head.get("retry-after").unwrap().parse().unwrap();
    assert!(refused.status() == 429 && wait > 30, "{wait}");
    assert_eq!(provider.new_requests().len(), 2);
}

#[tokio::test]
async fn a_pool_that_rests_altogether_is_waited_for_in_place() {
    let mut provider = Provider::start().await;
    provider.script(too_fast("Retry-After-Ms: 300"));
    provider.otherwise(Script::ok("served"));
    let sidegate = Setup::of(provider.address, ONE).start().await;
    let reply = sidegate.chat("gpt-4o").await;
    assert_eq!((reply.status(), reply.head.get("x-sidegate-attempts").as_deref()), (200, Some("2")));
    assert_eq!(provider.new_requests().len(), 2);
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_is_told_to_the_client() {
    let mut provider = Provider::always(too_fast("Retry-After: 30")).await;
    let sidegate = Setup::of(provider.address, ONE).section("retry: { within: 1s }").start().await;
    let told = sidegate.chat("gpt-4o").await;
    assert_eq!((told.status(), told.text().as_str(), told.head.get("retry-after").as_deref()), (429, TOO_FAST, Some("30")));
    assert_eq!(provider.new_requests().len(), 1);
    // Who comes next is told the same by us, and the provider hears nothing of it.
    let refused = sidegate.chat("gpt-4o").await;
    let wait: u64 = refused.head.get("retry-after").unwrap().parse().unwrap();
    assert!(refused.status() == 429 && (20..=33).contains(&wait), "{} {wait}", refused.status());
    assert!(refused.head.get("retry-after-ms").is_some());
    assert_eq!(provider.new_requests().len(), 0);
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn an_account_is_asked_no_more_often_than_the_config_says() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let keys = "keys: [{ name: one, value: sk-one, requests: 20/h }, { name: two, value: sk-two, requests: 40/h }]";
    let sidegate = Setup::of(provider.address, keys).section("retry: { within: 1s }").start().await;
    let statuses = sidegate.chats("gpt-4o", 80).await;
    let keys = provider.new_keys();
    let (one, two) = (count(&keys, "sk-one"), count(&keys, "sk-two"));
    // A twentieth is left untouched: what counts is the provider's clock and not ours.
    assert!((18..=20).contains(&one) && (36..=40).contains(&two), "{one} and {two}");
    let served = statuses.iter().take_while(|status| **status == 200).count();
    assert_eq!((served, statuses.iter().skip(served).all(|status| *status == 429)), (one + two, true), "{statuses:?}");
    assert_eq!(sidegate.chat("gpt-3.5").await.status(), 200, "a quota is a model's");
}

#[tokio::test]
async fn an_account_that_says_it_has_nothing_left_is_not_asked() {
    let headers = "x-ratelimit-limit-requests: 100\r\nx-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 60s\r\n";
    let mut provider = Provider::always(Script::ok("served")).await;
    provider.for_key("sk-one", Script::json_with("200 OK", headers, "{}"));
    let sidegate = Setup::of(provider.address, TWO).start().await;
    assert_eq!(sidegate.chats("gpt-4o", 30).await, [200; 30]);
    assert!(count(&provider.new_keys(), "sk-one") <= 1);
}

/// How many of the next twenty requests this key gets.
async fn next_with(key: &str, sidegate: &Sidegate, provider: &mut Provider) -> usize {
    provider.new_keys();
    assert_eq!(sidegate.chats("gpt-4o", 20).await, [200; 20]);
    count(&provider.new_keys(), key)
}

#[tokio::test]
async fn an_operator_resets_disables_and_enables_a_key() {
    let mut provider = Provider::always(Script::ok("served")).await;
    provider.for_key("sk-one", revoked());
    let sidegate = Setup::of(provider.address, TWO).start().await;
    sidegate.chats("gpt-4o", 20).await;
    assert_eq!(sidegate.states(["one", "two"]).await, ["quarantined", "active"]);
    provider.forget_rules();
    assert_eq!(next_with("sk-one", &sidegate, &mut provider).await, 0, "nobody has told us that it is good again");
    sidegate.change_key("one", "reset").await;
    assert_eq!(sidegate.states(["one", "two"]).await, ["active", "active"]);
    assert!(next_with("sk-one", &sidegate, &mut provider).await > 0);
    sidegate.change_key("one", "disable").await;
    assert_eq!(next_with("sk-one", &sidegate, &mut provider).await, 0);
    sidegate.change_key("one", "enable").await;
    assert!(next_with("sk-one", &sidegate, &mut provider).await > 0);
}

#[tokio::test]
async fn a_reload_forgets_no_quarantine_and_no_open_breaker() {
    let mut provider = Provider::always(Script::ok("served")).await;
    provider.for_key("sk-one", revoked());
    provider.for_model("gpt-sick", Script::json("500 Internal Server Error", "{}"));
    let folder = tempfile::tempdir().unwrap();
    let (path, setup) = (folder.path().join("proxy.yaml"), Setup::of(provider.address, TWO).section("retry: { attempts: 1 }"));
    std::fs::write(&path, setup.text()).unwrap();
    let sidegate = Sidegate::from_file(&path, false);
    sidegate.chats("gpt-4o", 20).await;
    sidegate.chats("gpt-sick", 5).await;
    provider.new_requests();

    std::fs::write(&path, setup.section("annotate: { key: false }").text()).unwrap();
    sidegate.reload();
    assert_eq!(sidegate.chat("gpt-4o").await.head.get("x-sidegate-key"), None, "the new config is in force");
    assert_eq!(sidegate.states(["one", "two"]).await, ["quarantined", "active"]);
    assert_eq!(sidegate.breaker("scripted", Some("gpt-sick")).await, "open");
    assert_eq!(sidegate.chats("gpt-4o", 20).await, [200; 20]);
    assert_eq!(sidegate.chat("gpt-sick").await.status(), 503);
    assert_eq!(count(&provider.new_keys(), "sk-one"), 0);
}

/// An SDK that gives up after two seconds is not helped by a reply in thirty.
#[tokio::test]
async fn nobody_waits_for_a_key_longer_than_its_caller_would() {
    let mut provider = Provider::always(too_fast("Retry-After: 30")).await;
    let sidegate = Setup::of(provider.address, ONE).start().await;
    let mut client = Client::connect(sidegate.address).await;
    for sends in [1, 0] {
        client.post_with("/v1/chat/completions", "X-Stainless-Timeout: 2\r\n", ASK).await;
        let reply = client.reply("POST").await;
        assert_eq!((reply.status(), provider.new_requests().len()), (429, sends));
    }
}
