//! Callers and providers who mean no good, or as good as: what they do costs nobody else anything, and is told as it was.

use std::{fs, time::Duration};

use crate::support::{Client, Gate, Provider, Script, Setup, Sidegate, eventually};

const ASK: &str = r#"{"model":"gpt-4o","messages":[]}"#;
const STREAM: &str = r#"{"model":"gpt-4o","stream":true}"#;
const TOO_FAST: &str = r#"{"error":{"message":"Rate limit reached.","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
const TWO: &str = "keys: [{ name: one, value: sk-one, account: a }, { name: two, value: sk-two, account: b }]";

/// Answers when the gate opens.
fn held(go: &Gate) -> Script {
    Script::on_request().wait(go).write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
}

fn rests_for(seconds: u32) -> Script {
    Script::json_with("429 Too Many Requests", &format!("Retry-After: {seconds}\r\n"), TOO_FAST)
}

/// Answers with this reply and ends the connection.
async fn one_reply(reply: &[u8], method: &str) -> Result<crate::support::client::Reply, String> {
    let mut provider = Provider::start().await;
    provider.script(Script::on_request().write(reply.to_vec()).close());
    let sidegate = Setup::of(provider.address, TWO).section("retry: { attempts: 1 }").start().await;
    let mut client = Client::connect(sidegate.address).await;
    match method {
        "POST" => client.post("/v1/chat/completions", STREAM).await,
        _ => client.send(format!("{method} /v1/models HTTP/1.1\r\nHost: a\r\n\r\n")).await,
    }
    let reply = client.answer(method).await;
    provider.request().await;
    sidegate.holds_nothing().await;
    reply
}

#[tokio::test]
async fn a_reply_that_was_looked_at_goes_down_byte_for_byte_and_as_broken_as_it_came() {
    let long = "x".repeat(200_000);
    let refusal = format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\n\r\n{long}", long.len());
    let reply = one_reply(refusal.as_bytes(), "POST").await.unwrap();
    assert!((reply.status(), reply.is_complete(), reply.text() == long) == (400, true, true));
    assert_eq!(reply.head.get("content-length").as_deref(), Some("200000"));

    for status in ["500 Oh", "404 No", "200 OK"] {
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/event-stream\r\n");
        let whole = format!("{head}Content-Length: 9\r\n\r\n: a\n: b\n\n");
        let cut = format!("{head}Content-Length: 19\r\n\r\n: a\n: b\n\n");
        let unended = format!("{head}Transfer-Encoding: chunked\r\n\r\n4\r\n: a\n\r\n5\r\n: b\n\n\r\n");
        let endless = format!("{head}\r\n: a\n: b\n\n");
        for (sent, is_complete) in [(whole, true), (cut, false), (unended, false), (endless, true)] {
            let reply = one_reply(sent.as_bytes(), "POST").await.unwrap();
            assert_eq!((reply.text().as_str(), reply.is_complete()), (": a\n: b\n\n", is_complete), "{sent:?}");
        }
    }

    let head = one_reply(b"HTTP/1.1 503 Busy\r\nContent-Length: 12\r\n\r\n", "HEAD").await.unwrap();
    assert_eq!((head.status(), head.head.get("content-length").as_deref()), (503, Some("12")));
}

#[tokio::test]
async fn a_first_event_in_single_bytes_or_beyond_what_is_looked_at_goes_down_unchanged() {
    let mut provider = Provider::start().await;
    let sidegate = Setup::of(provider.address, TWO).start().await;
    let mut client = Client::connect(sidegate.address).await;
    let (head, long) = ("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n", format!("data: {}\n\n", "x".repeat(40_000)));
    for event in ["data: {\"a\":1}\n\ndata: [DONE]\n\n", &long] {
        let head = format!("{head}Content-Length: {}\r\n\r\n", event.len());
        let dripped = Script::on_request().write(head.clone());
        provider.script(if event.len() < 100 { dripped.drip(event.to_owned()) } else { dripped.write(event.to_owned()) });
        client.post("/v1/chat/completions", STREAM).await;
        let reply = client.reply("POST").await;
        assert!(reply.is_complete() && reply.text() == event, "{}", reply.text().len());
        provider.request().await;
    }
    sidegate.blames_nobody().await;
}

#[tokio::test]
async fn a_stream_that_is_asked_for_its_usage_is_renamed_all_the_same() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let setup = Setup::of(provider.address, "")
        .provider("other", provider.address, "")
        .target("{ provider: other, model: another-name }")
        .route("models: [gpt-4o]");
    let limits = "limits: [{ name: tokens, per: all, tokens: 20k/day }]";
    for (asked, sent) in [
        (STREAM, r#"{"stream_options":{"include_usage":true},"model":"another-name","stream":true}"#),
        (
            r#"{"model":"gpt-4o","stream":true,"stream_options":{}}"#,
            r#"{"model":"another-name","stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream_options":null,"model":"gpt-4o","stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"model":"another-name","stream":true}"#,
        ),
    ] {
        let sidegate = setup.clone().section(limits).start().await;
        provider.script(Script::json("401 No", r#"{"error":{"code":"invalid_api_key","message":"No."}}"#));
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", asked).await;
        assert_eq!(client.reply("POST").await.status(), 200);
        provider.request().await;
        assert_eq!(String::from_utf8(provider.request().await.body.bytes).unwrap(), sent);
    }
}

#[tokio::test]
async fn a_request_that_our_own_connections_keep_waiting_blames_nobody() {
    let (mut provider, go) = (Provider::start().await, Gate::new());
    provider.otherwise(held(&go));
    let about = "connections: { max: 1 }, timeouts: { connect: 200ms }, breaker: { consecutive: 1 }";
    let sidegate = Setup::of(provider.address, about).section("retry: { attempts: 1 }").start().await;
    let mut first = Client::connect(sidegate.address).await;
    first.post("/v1/chat/completions", ASK).await;
    provider.request().await;
    assert_eq!(sidegate.chats("gpt-4o", 2).await, [504; 2]);
    sidegate.blames_nobody().await;
    let lines = sidegate.log(2).await;
    assert!(lines.iter().all(|line| line["failure"] == "connections_full" && line["verdict"] == "unprocessed"), "{lines:#?}");
    go.open_for_all();
    assert_eq!(first.reply("POST").await.status(), 200);
}

/// Both models fall to the same line.
#[tokio::test]
async fn who_waits_long_for_a_key_keeps_nobody_behind_it_from_a_key_that_is_there_sooner() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let sidegate = Setup::of(provider.address, "").start().await;
    provider.script(rests_for(50));
    let mut patient = [Client::connect(sidegate.address).await, Client::connect(sidegate.address).await];
    for client in &mut patient {
        client.post("/v1/chat/completions", r#"{"model":"a"}"#).await;
        if provider.asked() == 0 {
            provider.request().await;
            sidegate.admin_becomes("/keys", |keys| keys["keys"][0]["state"] == "cooling").await;
        }
    }
    provider.script(rests_for(1));
    assert_eq!(sidegate.chat("i").await.text(), "served");
    let [one, two] = patient;
    drop((one, two));
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn a_wait_in_the_line_of_a_target_that_is_passed_over_is_none_of_ours() {
    let (mut provider, go) = (Provider::start().await, Gate::new());
    provider.otherwise(held(&go));
    let other = Provider::always(Script::ok("served")).await;
    let setup = Setup::of(provider.address, "queue: { concurrent: 1, waiting: 1, timeout: 400ms }");
    for (setup, status) in [(setup.clone(), 503), (setup.provider("other", other.address, "").target("other"), 200)] {
        let sidegate = setup.start().await;
        let mut first = Client::connect(sidegate.address).await;
        first.get("/v1/models").await;
        provider.request().await;
        let mut second = Client::connect(sidegate.address).await;
        second.get("/v1/models").await;
        assert_eq!(second.reply("GET").await.status(), status);
        let line = sidegate.log(1).await.remove(0);
        assert!(line["duration_ms"].as_f64().unwrap() >= 400.0 && line["overhead_ms"].as_f64().unwrap() < 300.0, "{line:#}");
    }
    go.open_for_all();
}

#[tokio::test]
async fn an_attempt_that_failed_is_told_of_also_where_an_earlier_reply_goes_down() {
    let provider = Provider::always(Script::json("503 Busy", r#"{"error":{"message":"Busy."}}"#)).await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let setup = Setup::of(provider.address, "").provider("gone", gone, "").target("gone").section("retry: { attempts: 2 }");
    let sidegate = setup.start().await;
    assert_eq!(sidegate.chat("gpt-4o").await.status(), 503);
    let page = sidegate.ask_admin("/metrics").await.text();
    let count = |status: &str| {
        let is_meant = |line: &&str| line.contains(r#"provider="gone""#) && line.contains(&format!(r#"status="{status}""#));
        page.lines().find(is_meant).and_then(|line| line.rsplit(' ').next()).unwrap_or_default().to_owned()
    };
    assert_eq!([count("failed"), count("left")], ["1", "0"]);
}

#[tokio::test]
async fn a_client_that_uploads_slowly_makes_no_provider_slow() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let about = "breaker: { slow: 200ms, minimum: 1, window: 60s }";
    let sidegate = Setup::of(provider.address, about).section("body: { buffer: 1KiB, buffer_total: 1MiB }").start().await;
    let (half, mut client) = ("x".repeat(4_000), Client::connect(sidegate.address).await);
    client.send(format!("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 8017\r\n\r\n{{\"model\":\"gpt-4o\"{half}")).await;
    eventually("a request under way", || provider.connections(), |connections| *connections > 0).await;
    // What is measured is time, so time must pass.
    tokio::time::sleep(Duration::from_millis(400)).await;
    client.send(&half).await;
    assert_eq!(client.reply("POST").await.text(), "served");
    provider.request().await;
    sidegate.holds_nothing().await;
    sidegate.blames_nobody().await;
}

/// Google asks that project's account then, and says that the key may not: <https://cloud.google.com/apis/docs/system-parameters>.
#[tokio::test]
async fn no_caller_says_whose_project_a_key_of_the_pool_is_used_for() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let sidegate = Setup::of(provider.address, "").start().await;
    let mut client = Client::connect(sidegate.address).await;
    for field in ["X-Goog-User-Project: theirs\r\n", "x_goog_user_project: theirs\r\n"] {
        client.post_with("/v1/chat/completions", field, ASK).await;
        assert_eq!(client.reply("POST").await.status(), 200);
        let request = provider.request().await;
        assert_eq!((request.head.get("x-goog-user-project"), request.head.get("x_goog_user_project")), (None, None));
    }
}

#[tokio::test]
async fn a_reload_that_takes_a_line_away_or_widens_it_lets_those_in_it_go() {
    for queue in ["queue: { concurrent: 2, waiting: 5 }", "breaker: off"] {
        let (mut provider, go) = (Provider::start().await, Gate::new());
        provider.otherwise(held(&go));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("proxy.yaml");
        fs::write(&file, Setup::of(provider.address, "queue: { concurrent: 1, waiting: 5 }").text()).unwrap();
        let sidegate = Sidegate::from_file(&file, false);
        let mut clients = Vec::new();
        for _ in 0..2 {
            let mut client = Client::connect(sidegate.address).await;
            client.get("/v1/models").await;
            clients.push(client);
        }
        provider.request().await;
        sidegate.metric_becomes(r#"sidegate_queue_waiting{provider="scripted"}"#, 1.0).await;
        fs::write(&file, Setup::of(provider.address, queue).text()).unwrap();
        assert_eq!(sidegate.reload().generation, 2);
        provider.request().await;
        go.open_for_all();
        for client in &mut clients {
            assert_eq!(client.reply("GET").await.status(), 200);
        }
        sidegate.holds_nothing().await;
    }
}

#[tokio::test]
async fn a_request_that_every_account_refuses_turns_its_model_off_in_none() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let sidegate = Setup::of(provider.address, &format!("{TWO}, breaker: off")).start().await;
    assert_eq!(sidegate.chats("gpt-4o", 6).await, [200; 6]);
    let keys = provider.new_keys();
    assert!(["sk-one", "sk-two"].iter().all(|key| keys.contains(&(*key).to_owned())), "both have served it");
    let refusal = r#"{"error":{"message":"This can't be asked for.","type":"invalid_request_error","code":"permission_denied"}}"#;
    for _ in 0..2 {
        provider.script(Script::json("403 Forbidden", refusal));
    }
    let reply = sidegate.chat("gpt-4o").await;
    assert_eq!((reply.status(), provider.new_keys().len()), (403, 2), "both were asked");
    sidegate.holds_nothing().await;
    sidegate.blames_nobody().await;

    provider.script(Script::json("403 Forbidden", refusal));
    assert_eq!(sidegate.chat("gpt-4o").await.status(), 200);
    let refused = provider.new_keys().remove(0);
    assert_eq!(sidegate.chats("gpt-4o", 6).await, [200; 6]);
    assert!(!provider.new_keys().contains(&refused), "the other one serves what this one refuses");
}

#[tokio::test]
async fn a_model_of_which_a_stream_tells_nothing_but_an_error_was_not_served() {
    let provider = Provider::start().await;
    let sidegate = Setup::of(provider.address, TWO).start().await;
    let error = "data: {\"error\":{\"message\":\"No such thing.\",\"type\":\"invalid_request_error\",\"code\":\"invalid_value\"}}\n\n";
    let served = "data: {\"choices\":[]}\n\n";
    for (model, event, is_served) in [("invented", error, false), ("real", served, true)] {
        provider.otherwise(Script::events(&[event]));
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", &format!(r#"{{"model":"{model}","stream":true}}"#)).await;
        assert!(client.reply("POST").await.text().contains(event.trim_end()));
        sidegate.holds_nothing().await;
        let keys = sidegate.admin_json("/keys").await;
        assert_eq!(keys.to_string().contains(&format!("\"{model}\"")), is_served, "{keys:#}");
    }
}
