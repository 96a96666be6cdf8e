//! Each answer of our own, provoked over the wire: its status, OpenAI's shape, and what becomes of the connection.

use std::collections::BTreeSet;

use sidegate::config::Loaded;

use crate::support::{Client, H2Provider, H2Script, Provider, Script, Sidegate, client::Reply};

const CONFIG: &str = r#"
listen: { address: "127.0.0.1:0", workers: 1, max_header_size: 8KiB }
admin: { address: "127.0.0.1:0" }
body: { max: 2KiB, read_timeout: 100ms }
clients: { anonymous: free, keys: [] }
providers:
  scripted:
    base_url: http://$UPSTREAM/v1
    keys: [{ name: pool, value: "$KEY" }]
    timeouts: { first_byte: 100ms }
    breaker: off
retry: { attempts: 1 }
routes:
  - { path: /v1, models: ["gpt-*"], targets: [scripted] }
  - { path: /open, targets: [scripted] }
"#;

/// A request, what the provider does if it gets so far, and the answer of ours that must follow.
struct Case {
    what: &'static str,
    request: String,
    script: Option<Script>,
    status: u16,
    code: &'static str,
    kind: &'static str,
    /// Whether an SDK is told not to try again.
    is_final: bool,
    closes: bool,
}

fn request(line: &str, fields: &str, body: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: sidegate.test\r\n{fields}\r\n{body}")
}

/// The caller's own fault.
fn caller(what: &'static str, request: String, status: u16, code: &'static str) -> Case {
    Case { what, request, script: None, status, code, kind: "invalid_request_error", is_final: true, closes: false }
}

fn closing(case: Case) -> Case {
    Case { closes: true, ..case }
}

/// The provider's fault.
fn upstream(what: &'static str, script: Option<Script>, status: u16, code: &'static str) -> Case {
    let request = request("GET /open/models", "", "");
    Case { what, request, script, status, code, kind: "upstream_error", is_final: false, closes: false }
}

fn cases() -> Vec<Case> {
    let post = |path: &str, fields: &str, body: &str| request(&format!("POST {path}"), fields, body);
    let many: String = (10..99).map(|n| format!("x-{n}: {}\r\n", "v".repeat(58))).collect();
    let chunked = "Transfer-Encoding: chunked\r\n";
    let long = "5dc\r\n".to_owned() + &"x".repeat(1500) + "\r\n";
    let chat = "/v1/chat/completions";
    vec![
        closing(caller("dot segments", request("GET /v1/../x", "", ""), 400, "malformed_request")),
        closing(caller("a method of WebDAV", request("PROPFIND /v1/x", "", ""), 405, "method_not_allowed")),
        closing(caller("fields that are too large together", request("GET /v1/x", &many, ""), 431, "headers_too_large")),
        closing(caller("an expectation", request("GET /v1/x", "Expect: coffee\r\n", ""), 417, "expectation_failed")),
        Case {
            kind: "authentication_error",
            ..caller("a wrong key", request("GET /v1/x", "x-api-key: sg-no\r\n", ""), 401, "invalid_api_key")
        },
        caller("no route", request("GET /v2/x", "", ""), 404, "route_not_found"),
        caller("no model", post(chat, "Content-Length: 13\r\n", r#"{"model":"x"}"#), 404, "model_not_found"),
        caller("encoded", post(chat, "Content-Encoding: br\r\nContent-Length: 2\r\n", "{}"), 415, "encoding_not_supported"),
        closing(caller("a body declared too large", post(chat, "Content-Length: 2049\r\n", ""), 413, "request_too_large")),
        closing(caller("a held body that grows too large", post(chat, chunked, &(long.clone() + &long)), 413, "request_too_large")),
        closing(Case {
            script: Some(Script::on_head().until_left()),
            ..caller(
                "a streamed body that grows too large",
                post("/open/files", chunked, &(long.clone() + &long)),
                413,
                "request_too_large",
            )
        }),
        closing(caller("a body that stalls", post(chat, "Content-Length: 9\r\n", "{"), 408, "request_timeout")),
        closing(caller("a held body that is malformed", post(chat, chunked, "zz\r\n"), 400, "request_incomplete")),
        closing(Case {
            script: Some(Script::on_head().until_left()),
            ..caller("a streamed body that is malformed", post("/open/files", chunked, "1\r\nx\r\nzz\r\n"), 400, "request_incomplete")
        }),
        upstream("no answer", Some(Script::hang()), 504, "upstream_timeout"),
        upstream("no reply", Some(Script::on_request().close()), 502, "upstream_failed"),
        upstream("no HTTP", Some(Script::reply("nonsense\r\n\r\n").until_left()), 502, "upstream_failed"),
        upstream(
            "two lengths",
            Some(Script::reply("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n").until_left()),
            502,
            "upstream_failed",
        ),
        upstream(
            "an upgrade",
            Some(Script::reply("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n").until_left()),
            502,
            "upstream_failed",
        ),
    ]
}

fn check(case: &Case, reply: &Reply) {
    let Case { what, status, code, kind, is_final, closes, .. } = case;
    assert_eq!((reply.status(), reply.is_complete()), (*status, true), "{what}");
    assert_eq!(reply.head.get("content-type").as_deref(), Some("application/json"), "{what}");
    let body = reply.json();
    let error = body["error"].as_object().unwrap_or_else(|| panic!("{what}: {body}"));
    assert_eq!(error.keys().collect::<Vec<_>>(), ["code", "message", "param", "type"], "{what}");
    assert_eq!((&error["code"], &error["type"], &error["param"]), (&(*code).into(), &(*kind).into(), &serde_json::Value::Null), "{what}");
    assert!(error["message"].as_str().is_some_and(|message| message.ends_with('.')), "{what}: {body}");
    assert!(reply.head.get("x-request-id").is_some_and(|id| id.starts_with("req_")) && reply.head.get("date").is_some(), "{what}");
    assert_eq!(reply.head.get("x-should-retry").as_deref(), is_final.then_some("false"), "{what}");
    assert_eq!(reply.head.get("connection").as_deref(), closes.then_some("close"), "{what}");
}

/// The rows of `docs/errors.md`.
fn documented() -> BTreeSet<String> {
    let page = include_str!("../../docs/errors.md");
    page.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned())).collect()
}

#[tokio::test]
async fn every_answer_of_our_own_has_its_shape_and_its_row() {
    let elsewhere = ["final_recipient", "invalid_jwt", "jwt_keys_unavailable", "no_key_available", "overloaded", "upstream_unavailable"];
    // What limits answer is a module of its own, and so is what answers where a provider can't.
    let by_providers = ["circuit_open", "keys_resting", "last_resort", "model_not_renamable", "queue_full", "queue_timeout"];
    let by_limits = ["insufficient_quota", "rate_limit_exceeded", "request_too_large_for_limit", "too_many_failed_credentials"];
    let by_the_cache = ["not_cached"];
    let mut provoked: BTreeSet<_> =
        elsewhere.into_iter().chain(by_the_cache).chain(by_limits).chain(by_providers).map(str::to_owned).collect();
    for case in cases() {
        let provider = Provider::start().await;
        if let Some(script) = &case.script {
            provider.script(script.clone());
        }
        let sidegate = Sidegate::start(CONFIG, provider.address).await;
        let mut client = Client::connect(sidegate.address).await;
        client.send(&case.request).await;
        let method = case.request.split(' ').next().unwrap();
        let reply = client.answer(method).await.unwrap_or_else(|instead| panic!("{}: {instead}", case.what));
        check(&case, &reply);
        if case.closes {
            assert!(client.is_closed().await, "{}: another request could follow", case.what);
        }
        let line = sidegate.log(1).await.pop().unwrap();
        assert_eq!(
            (&line["end"], &line["error"], &line["status"]),
            (&"rejected".into(), &case.code.into(), &case.status.into()),
            "{}",
            case.what
        );
        assert_eq!(line["request_id"].as_str(), reply.head.get("x-request-id").as_deref(), "{}", case.what);
        sidegate.metric_becomes(&format!(r#"sidegate_rejects_total{{code="{}"}}"#, case.code), 1.0).await;
        provoked.insert(case.code.to_owned());
    }
    assert_eq!(provoked, documented(), "of the rows in docs/errors.md these are provoked");
}

#[tokio::test]
async fn options_with_no_forward_left_is_ours_to_answer() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.send(request("OPTIONS /v1/models", "Max-Forwards: 0\r\n", "")).await;
    let reply = client.reply("OPTIONS").await;
    assert_eq!((reply.status(), reply.text().as_str(), reply.head.get("content-type")), (204, "", None));
    assert_eq!(reply.head.get("allow").as_deref(), Some("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"));
    assert_eq!(sidegate.log(1).await[0]["error"], "final_recipient");
}

/// Who fills the memory must not get another's request past the rules that turn on its model.
#[tokio::test]
async fn a_body_that_must_be_read_and_finds_no_memory_is_to_come_again() {
    let provider = Provider::start().await;
    let config = CONFIG.replace("max: 2KiB, read_timeout: 100ms", "buffer: 4KiB, buffer_total: 4KiB");
    let sidegate = Sidegate::start(&config, provider.address).await;
    let part = request("POST /v1/chat/completions", "Content-Length: 4000\r\n", &"x".repeat(3000));
    let mut first = Client::connect(sidegate.address).await;
    first.send(&part).await;
    sidegate.metric_becomes("sidegate_body_buffered_bytes", 3000.0).await;
    let mut second = Client::connect(sidegate.address).await;
    second.send(&part).await;
    let reply = second.reply("POST").await;
    let expected = Case { kind: "server_error", closes: true, ..upstream("no memory", None, 503, "overloaded") };
    check(&expected, &reply);
    assert_eq!(reply.head.get("retry-after").as_deref(), Some("1"));
    drop(first);
    sidegate.metric_becomes("sidegate_body_buffered_bytes", 0.0).await;
}

#[tokio::test]
async fn a_refused_method_hears_which_are_not() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.send(request("CONNECT sidegate.test:80", "", "")).await;
    let reply = client.reply("POST").await;
    assert_eq!((reply.status(), reply.head.get("allow").is_some()), (405, true));
}

fn out_of_use(loaded: &mut Loaded) {
    loaded.keys.values_mut().flatten().for_each(|key| key.weight = 0.0);
}

#[tokio::test]
async fn without_a_key_in_use_it_says_so_and_is_not_ready() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::start_changed(CONFIG, provider.address, out_of_use);
    let mut client = Client::connect(sidegate.address).await;
    client.get("/open/models").await;
    check(&upstream("no key", None, 503, "no_key_available"), &client.reply("GET").await);
    assert_eq!(sidegate.ask_admin("/readyz").await.status(), 503);
    assert_eq!(sidegate.ask_admin("/livez").await.status(), 200);
}

#[tokio::test]
async fn a_provider_that_was_never_reached_is_told_from_one_that_failed() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let sidegate = Sidegate::start(CONFIG, socket.local_addr().unwrap()).await;
    let mut client = Client::connect(sidegate.address).await;
    client.get("/open/models").await;
    check(&upstream("refused", None, 502, "upstream_unavailable"), &client.reply("GET").await);

    // Refused again and again, and never looked at (RFC 9113 §8.7).
    let provider = H2Provider::always(h2::server::Builder::new(), H2Script::refused()).await;
    let sidegate = Sidegate::before_h2(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    check(&upstream("unprocessed", None, 502, "upstream_unavailable"), &client.reply("GET").await);
    assert_eq!(sidegate.metric(r#"sidegate_upstream_resends_total{provider="scripted"}"#).await, 4.0);
}

#[tokio::test]
async fn a_connection_that_is_not_closed_carries_the_next_request() {
    let provider = Provider::always(Script::ok("served")).await;
    let sidegate = Sidegate::start(CONFIG, provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    for case in cases().into_iter().filter(|case| !case.closes && case.script.is_none()) {
        client.send(&case.request).await;
        assert_eq!(client.reply("POST").await.status(), case.status, "{}", case.what);
        client.get("/open/models").await;
        assert_eq!(client.reply("GET").await.text(), "served", "{}", case.what);
    }
}

/// Over HTTP/2 the provider is told by a reset, and the client all the same.
#[tokio::test]
async fn an_upload_that_fails_on_its_way_to_an_h2_provider_is_the_clients_fault() {
    let config = CONFIG.replace("    timeouts:", "    http_version: 2\n    timeouts:");
    for (chunks, status, code) in
        [("zz\r\n".to_owned(), 400, "request_incomplete"), (format!("bb8\r\n{}\r\n", "x".repeat(3000)), 413, "request_too_large")]
    {
        let mut provider = H2Provider::always(h2::server::Builder::new(), H2Script::on_head().until_left()).await;
        let sidegate = Sidegate::start(&config, provider.address).await;
        let mut client = Client::connect(sidegate.address).await;
        client.send(request("POST /open/files", "Transfer-Encoding: chunked\r\n", &format!("1\r\nx\r\n{chunks}"))).await;
        let reply = client.reply("POST").await;
        assert_eq!((reply.status(), reply.json()["error"]["code"].as_str()), (status, Some(code)));
        assert!(client.is_closed().await, "{code}");
        provider.departure().await;
    }
}
