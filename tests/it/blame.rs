//! Only the guilty are blamed: a caller's mistake touches no key, a key's trouble no host, and a model's outage no other model.

use h2::server::Builder;

use crate::support::{Client, Gate, H2Provider, H2Script, Provider, Refused, Script, Setup, Sidegate};

/// Two keys of one account, and one of another.
const KEYS: &str =
    "keys: [{ name: one, value: sk-one, account: a }, { name: two, value: sk-two, account: a }, { name: three, value: sk-three }]";

const ASK: &str = r#"{"model":"gpt-4o","messages":[]}"#;

/// What a client may do wrong, as OpenAI says it: status, type, code.
const MISTAKES: [(&str, &str, &str); 7] = [
    ("400 Bad Request", "invalid_request_error", "invalid_value"),
    ("400 Bad Request", "invalid_request_error", "context_length_exceeded"),
    ("400 Bad Request", "invalid_request_error", "content_filter"),
    ("404 Not Found", "invalid_request_error", "model_not_found"),
    ("413 Payload Too Large", "invalid_request_error", "request_too_large"),
    ("415 Unsupported Media Type", "invalid_request_error", "unsupported_media_type"),
    ("422 Unprocessable Entity", "invalid_request_error", "unprocessable"),
];

const REVOKED: &str =
    r#"{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
const NO_MONEY: &str =
    r#"{"error":{"message":"You exceeded your current quota.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;
const TOO_FAST: &str = r#"{"error":{"message":"Rate limit reached.","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
const DOWN: &str = r#"{"error":{"message":"The server is overloaded.","type":"server_error","param":null,"code":null}}"#;

fn mistake(kind: &str, code: &str) -> String {
    format!(r#"{{"error":{{"message":"No.","type":"{kind}","param":null,"code":"{code}"}}}}"#)
}

/// Before this provider, with a breaker that needs little to open, and one attempt for each request.
async fn wary(provider: &Provider) -> Sidegate {
    Setup::of(provider.address, &format!("{KEYS}, breaker: {{ minimum: 5, consecutive: 3 }}"))
        .section("retry: { attempts: 1 }")
        .start()
        .await
}

#[tokio::test]
async fn what_callers_do_wrong_passes_as_it_is_and_changes_the_health_of_nothing() {
    let mut provider = Provider::start().await;
    let sidegate = Setup::of(provider.address, &format!("{KEYS}, breaker: {{ minimum: 5, consecutive: 3 }}")).start().await;
    let mut client = Client::connect(sidegate.address).await;
    for (status, kind, code) in MISTAKES {
        let body = mistake(kind, code);
        provider.otherwise(Script::json(status, &body));
        for _ in 0..20 {
            let reply = client.chat("gpt-4o").await;
            assert_eq!((&reply.head.line[9..], reply.text()), (status.as_bytes(), body.clone()));
            assert_eq!(reply.head.get("x-sidegate-attempts").as_deref(), Some("1"), "{code}");
        }
        assert_eq!(provider.new_requests().len(), 20, "{code}: none of them is sent again");
        sidegate.blames_nobody().await;
    }
    sidegate.holds_nothing().await;
}

/// Their own timeouts are the usual reason; nobody can tell them from a user who closed the window.
#[tokio::test]
async fn clients_that_leave_change_the_health_of_nothing() {
    let reached = Gate::new();
    let mut provider = Provider::start().await;
    let sidegate = wary(&provider).await;
    let before = Script::on_request().tell(&reached).until_left();
    let within_the_stream = Script::sse().chunk("data: {\"choices\":[]}\n\n").tell(&reached).until_left();
    for (when, script) in [("before the head", before), ("within the stream", within_the_stream)] {
        for _ in 0..8 {
            provider.script(script.clone());
            let mut client = Client::connect(sidegate.address).await;
            client.post("/v1/chat/completions", ASK).await;
            reached.reached(when).await;
            if when == "within the stream" {
                client.until("data: ").await;
            }
            drop(client);
            provider.departure().await;
        }
        sidegate.holds_nothing().await;
        sidegate.blames_nobody().await;
    }
    provider.otherwise(Script::ok("served"));
    assert_eq!(sidegate.chats("gpt-4o", 3).await, [200; 3]);
}

#[tokio::test]
async fn clients_that_leave_an_h2_provider_change_the_health_of_nothing() {
    let reached = Gate::new();
    let mut provider = H2Provider::start(Builder::new()).await;
    let about = format!("{KEYS}, http_version: 2, breaker: {{ minimum: 5, consecutive: 3 }}");
    let sidegate = Setup::of(provider.address, &about).start().await;
    for _ in 0..8 {
        provider.script(H2Script::on_request().tell(&reached).until_left());
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", ASK).await;
        reached.reached("the request").await;
        drop(client);
        provider.departure().await;
    }
    sidegate.holds_nothing().await;
    sidegate.blames_nobody().await;
}

#[tokio::test]
async fn a_client_whose_body_never_comes_whole_changes_the_health_of_nothing() {
    let mut provider = Provider::always(Script::on_head().until_left()).await;
    let sidegate = wary(&provider).await;
    for _ in 0..8 {
        let mut client = Client::connect(sidegate.address).await;
        client.send("POST /v1/files HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nsome").await;
        provider.request().await;
        drop(client);
        provider.departure().await;
    }
    sidegate.holds_nothing().await;
    sidegate.blames_nobody().await;
}

#[tokio::test]
async fn a_401_takes_out_the_key_and_it_alone() {
    let provider = Provider::always(Script::ok("served")).await;
    provider.for_key("sk-one", Script::json("401 Unauthorized", REVOKED));
    let sidegate = wary(&provider).await;
    assert_eq!(sidegate.chats("gpt-4o", 20).await, [200; 20]);
    assert_eq!(sidegate.states(["one", "two", "three"]).await, ["quarantined", "active", "active"]);
    assert_eq!(sidegate.tripped().await.len(), 0);
}

#[tokio::test]
async fn an_account_without_money_is_out_with_all_its_keys_and_no_neighbour_is() {
    let mut provider = Provider::always(Script::ok("served")).await;
    for key in ["sk-one", "sk-two"] {
        provider.for_key(key, Script::json("429 Too Many Requests", NO_MONEY));
    }
    let sidegate = wary(&provider).await;
    assert_eq!(sidegate.chats("gpt-4o", 20).await, [200; 20]);
    assert_eq!(sidegate.states(["one", "two", "three"]).await, ["quarantined", "quarantined", "active"]);
    let refused = provider.new_keys().iter().filter(|key| *key != "sk-three").count();
    assert_eq!(refused, 1, "the second key of the account need not find out for itself");
    assert_eq!(sidegate.tripped().await.len(), 0);
}

#[tokio::test]
async fn a_429_rests_the_account_for_this_model_and_for_no_other() {
    let mut provider = Provider::always(Script::ok("served")).await;
    for key in ["sk-one", "sk-two"] {
        provider.for_key_and_model(key, "gpt-busy", Script::json_with("429 Too Many Requests", "Retry-After: 60\r\n", TOO_FAST));
    }
    let sidegate = Setup::of(provider.address, KEYS).start().await;
    assert_eq!(sidegate.chats("gpt-busy", 20).await, [200; 20]);
    let refused = provider.new_keys().iter().filter(|key| *key != "sk-three").count();
    assert_eq!(refused, 1, "the account is asked once");
    assert_eq!(sidegate.chats("gpt-idle", 20).await, [200; 20]);
    let keys = provider.new_keys();
    assert!(["sk-one", "sk-two", "sk-three"].iter().all(|key| keys.iter().any(|seen| seen == key)), "{keys:?}");
    assert_eq!(sidegate.tripped().await.len(), 0);
}

#[tokio::test]
async fn what_goes_wrong_at_the_provider_touches_no_key() {
    let provider = Provider::start().await;
    let sidegate = Setup::of(provider.address, &format!("{KEYS}, breaker: off")).section("retry: { attempts: 1 }").start().await;
    let statuses = ["500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout", "529 Overloaded"];
    for status in statuses {
        provider.otherwise(Script::json(status, DOWN));
        let expected = status[..3].parse::<u16>().unwrap();
        assert_eq!(sidegate.chats("gpt-4o", 10).await, [expected; 10]);
    }
    provider.otherwise(Script::on_request().close());
    assert_eq!(sidegate.chats("gpt-4o", 10).await, [502; 10]);
    assert_eq!(sidegate.states(["one", "two", "three"]).await, ["active"; 3]);
}

#[tokio::test]
async fn keys_that_are_all_bad_open_no_breaker() {
    let provider = Provider::always(Script::json("401 Unauthorized", REVOKED)).await;
    let sidegate = wary(&provider).await;
    for _ in 0..20 {
        assert_ne!(sidegate.chat("gpt-4o").await.status(), 200);
    }
    assert_eq!(sidegate.tripped().await.len(), 0);
}

#[tokio::test]
async fn requests_that_are_too_fast_open_no_breaker() {
    let provider = Provider::always(Script::json_with("429 Too Many Requests", "Retry-After: 60\r\n", TOO_FAST)).await;
    let sidegate = Setup::of(provider.address, &format!("{KEYS}, breaker: {{ minimum: 5, consecutive: 3 }}"))
        .section("retry: { attempts: 1, within: 1s }")
        .start()
        .await;
    for _ in 0..20 {
        assert_eq!(sidegate.chat("gpt-4o").await.status(), 429);
    }
    assert_eq!(sidegate.tripped().await.len(), 0);
}

#[tokio::test]
async fn one_models_outage_leaves_the_others_alone() {
    let mut provider = Provider::always(Script::ok("served")).await;
    provider.for_model("gpt-sick", Script::json("503 Service Unavailable", DOWN));
    let sidegate = wary(&provider).await;
    for _ in 0..10 {
        assert_eq!(sidegate.chat("gpt-sick").await.status(), 503);
        assert_eq!(sidegate.chat("gpt-well").await.status(), 200);
    }
    assert_eq!(sidegate.breaker("scripted", Some("gpt-sick")).await, "open");
    assert_eq!(sidegate.breaker("scripted", Some("gpt-well")).await, "closed");
    assert_eq!(sidegate.breaker("scripted", None).await, "closed");
    let sick = provider.new_requests().iter().filter(|request| request.model() == "gpt-sick").count();
    assert_eq!(sick, 3, "an open breaker sends nothing");
    assert_eq!(sidegate.states(["one", "two", "three"]).await, ["active"; 3]);
}

#[tokio::test]
async fn a_host_that_refuses_connections_is_out_for_every_model_and_no_key_is() {
    let refused = Refused::new();
    let sidegate =
        Setup::of(refused.address, &format!("{KEYS}, breaker: {{ consecutive: 5 }}")).section("retry: { attempts: 1 }").start().await;
    for model in ["gpt-1", "gpt-2", "gpt-3", "gpt-4", "gpt-5"] {
        assert_eq!(sidegate.chat(model).await.status(), 502);
    }
    assert_eq!(sidegate.breaker("scripted", None).await, "open");
    let provider = refused.open();
    assert_eq!(sidegate.chat("gpt-6").await.status(), 503);
    assert_eq!(provider.connections(), 0, "nobody even knocks");
    assert_eq!(sidegate.states(["one", "two", "three"]).await, ["active"; 3]);
}

/// Where the route says that clients bring their own keys, a bad one is its owner's and nobody else's.
#[tokio::test]
async fn a_clients_own_bad_key_changes_the_health_of_nothing() {
    let mut provider = Provider::start().await;
    let setup = Setup::of(provider.address, &format!("{KEYS}, breaker: {{ minimum: 5, consecutive: 3 }}")).route("credentials: client");
    let sidegate = setup.start().await;
    let mut client = Client::connect(sidegate.address).await;
    for (status, body) in [("401 Unauthorized", REVOKED), ("429 Too Many Requests", NO_MONEY), ("429 Too Many Requests", TOO_FAST)] {
        provider.otherwise(Script::json_with(status, "Retry-After: 60\r\n", body));
        for _ in 0..10 {
            client.post_with("/v1/chat/completions", "Authorization: Bearer sk-own\r\n", ASK).await;
            let reply = client.reply("POST").await;
            assert_eq!((reply.status().to_string(), reply.text().as_str()), (status[..3].to_owned(), body));
        }
        let keys = provider.new_keys();
        assert_eq!((keys.len(), keys.iter().all(|key| key == "sk-own")), (10, true), "{keys:?}");
        sidegate.blames_nobody().await;
    }
}
