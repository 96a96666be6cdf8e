//! Where a request goes: by whole segments of its path, then by its model, and what follows the prefix is never touched.

use crate::support::{Client, Provider, Script, Sidegate, client::Reply, provider::Request};

const CONFIG: &str = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
body: { buffer: 1KiB, buffer_total: 1MiB }
providers:
  first: { base_url: "http://$UPSTREAM/first/v1", keys: [{ value: "$KEY" }] }
  second: { base_url: "http://$UPSTREAM/second", dialect: azure, keys: [{ value: "$KEY" }] }
  bare: { base_url: "http://$UPSTREAM", keys: [{ value: "$KEY" }] }
  gemini: { base_url: "http://$UPSTREAM/v1beta", dialect: gemini, keys: [{ value: "$KEY" }] }
routes:
  - { path: /v1, models: ["gpt-*", "o1"], targets: [first] }
  - { path: /v1, models: ["*-mini"], targets: [second] }
  - { path: /gemini, models: ["gemini-*"], targets: [gemini] }
  - { path: /open, targets: [first] }
  - { path: /bare, targets: [bare] }
"#;

struct Story {
    provider: Provider,
    sidegate: Sidegate,
    client: Client,
}

impl Story {
    async fn begin() -> Self {
        let provider = Provider::always(Script::ok("served")).await;
        let sidegate = Sidegate::start(CONFIG, provider.address).await;
        let client = Client::connect(sidegate.address).await;
        Self { provider, sidegate, client }
    }

    async fn post(&mut self, target: &str, fields: &str, body: &str) -> Reply {
        self.client.post_with(target, fields, body).await;
        self.client.reply("POST").await
    }

    /// The request at the provider that the last reply came from.
    async fn arrived(&mut self, reply: &Reply) -> Request {
        assert_eq!(reply.text(), "served");
        self.provider.request().await
    }

    async fn refused(&self, reply: &Reply, status: u16, code: &str) {
        assert_eq!((reply.status(), reply.json()["error"]["code"].as_str()), (status, Some(code)), "{}", reply.text());
    }
}

fn target(request: &Request) -> String {
    String::from_utf8_lossy(&request.head.line).split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn the_prefix_becomes_the_providers_and_the_rest_stays_byte_for_byte() {
    let mut story = Story::begin().await;
    for (asked, arrives) in [
        ("/open/models", "/first/v1/models"),
        ("/open", "/first/v1"),
        ("/open/", "/first/v1/"),
        ("/open?limit=1", "/first/v1?limit=1"),
        ("/open/a%2Fb%20c/%e2%82%AC", "/first/v1/a%2Fb%20c/%e2%82%AC"),
        ("/open/%zz/~!$&'()*+,;=:@", "/first/v1/%zz/~!$&'()*+,;=:@"),
        ("/open//two//slashes/", "/first/v1//two//slashes/"),
        ("/open/open/v1", "/first/v1/open/v1"),
        ("/open/x?q=%41+%zz&&=&a=/?b", "/first/v1/x?q=%41+%zz&&=&a=/?b"),
        ("/open/x?", "/first/v1/x?"),
        ("http://elsewhere.test/open/x?y", "/first/v1/x?y"),
        ("/bare", "/"),
        ("/bare/", "/"),
        ("/bare?x", "/?x"),
        ("/bare/v1/x", "/v1/x"),
    ] {
        story.client.get(asked).await;
        let reply = story.client.reply("GET").await;
        assert_eq!(target(&story.arrived(&reply).await), arrives, "{asked}");
    }
}

#[tokio::test]
async fn a_path_is_matched_by_whole_segments() {
    let mut story = Story::begin().await;
    for asked in ["/", "/opener/x", "/OPEN/x", "/v", "/v10/x", "//open/x", "/%6fpen/x", "/nowhere?/open/x"] {
        story.client.get(asked).await;
        let reply = story.client.reply("GET").await;
        story.refused(&reply, 404, "route_not_found").await;
    }
}

#[tokio::test]
async fn the_first_route_that_serves_the_model_is_taken() {
    let mut story = Story::begin().await;
    for (model, arrives) in [
        ("gpt-4o", "/first/v1/chat/completions"),
        ("gpt-4o-mini", "/first/v1/chat/completions"),
        ("o1", "/first/v1/chat/completions"),
        ("o3-mini", "/second/chat/completions"),
        (r"o3\u002dmini", "/second/chat/completions"),
    ] {
        let body = format!(r#"{{"messages":[{{"model":"o1"}}],"model":"{model}"}}"#);
        let reply = story.post("/v1/chat/completions", "", &body).await;
        let request = story.arrived(&reply).await;
        assert_eq!((target(&request).as_str(), request.body.bytes), (arrives, body.into_bytes()), "{model}");
    }
    for (body, told) in [
        (r#"{"model":"o1-preview"}"#, "`o1-preview`"),
        (r#"{"model":""}"#, "``"),
        (r#"{"model":4}"#, "names no model"),
        ("{}", "names no model"),
        ("", "names no model"),
    ] {
        let reply = story.post("/v1/chat/completions", "", body).await;
        story.refused(&reply, 404, "model_not_found").await;
        assert!(reply.text().contains(told), "{body}: {}", reply.text());
    }
    // A provider may be more lenient than we are, and see a model that we do not.
    for body in [r#"{"model":"gpt-4o""#, "gpt-4o", "\u{feff}{\"model\":\"gpt-4o\"}", r#"{"model":"gpt-4o","temperature":NaN}"#] {
        let reply = story.post("/v1/chat/completions", "", body).await;
        story.refused(&reply, 400, "malformed_request").await;
        story.client = Client::connect(story.sidegate.address).await;
    }
    // What has no model goes to the first route of its path.
    story.client.get("/v1/models").await;
    let reply = story.client.reply("GET").await;
    assert_eq!(target(&story.arrived(&reply).await), "/first/v1/models");
}

/// The provider resolves escapes and empty segments, so the model counts however the operation is written.
#[tokio::test]
async fn no_spelling_of_an_operation_passes_its_model_by() {
    let mut story = Story::begin().await;
    for operation in [
        "/%63hat/completions",
        "//chat/completions",
        "/chat//completions",
        "/chat%2Fcompletions",
        "/chat/completions/",
        "/Chat/Completions",
    ] {
        let reply = story.post(&format!("/v1{operation}"), "", r#"{"model":"o1-preview"}"#).await;
        story.refused(&reply, 404, "model_not_found").await;
        let reply = story.post(&format!("/v1{operation}"), "", r#"{"model":"o3-mini"}"#).await;
        assert_eq!(target(&story.arrived(&reply).await), format!("/second{operation}"));
    }
    for operation in ["//models/other:generateContent", "/%6dodels/other:generateContent", "/models%2fother:generateContent"] {
        let reply = story.post(&format!("/gemini{operation}"), "", "{}").await;
        story.refused(&reply, 404, "model_not_found").await;
    }
}

#[tokio::test]
async fn the_model_of_gemini_stands_in_the_path() {
    let mut story = Story::begin().await;
    let reply = story.post("/gemini/models/gemini-2.5-pro:streamGenerateContent?alt=sse", "", r#"{"model":"other"}"#).await;
    assert_eq!(target(&story.arrived(&reply).await), "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse");
    let reply = story.post("/gemini/models/other:generateContent", "", "{}").await;
    story.refused(&reply, 404, "model_not_found").await;
    story.client.get("/gemini/models").await;
    let reply = story.client.reply("GET").await;
    assert_eq!(target(&story.arrived(&reply).await), "/v1beta/models");
    let models: Vec<_> = story.sidegate.log(3).await.iter().map(|line| line["model"].clone()).collect();
    assert_eq!(models, ["gemini-2.5-pro".into(), "other".into(), serde_json::Value::Null]);
}

#[tokio::test]
async fn the_model_of_a_realtime_session_stands_in_the_query() {
    let mut story = Story::begin().await;
    for (asked, arrives) in [
        ("/v1/realtime?model=gpt-realtime", "/first/v1/realtime?model=gpt-realtime"),
        ("/v1/realtime?a=b&model=o3-mini", "/second/realtime?a=b&model=o3-mini"),
        ("/v1/realtime/calls?model=gpt-realtime", "/first/v1/realtime/calls?model=gpt-realtime"),
        // Without one it is an operation like others.
        ("/v1/realtime?intent=transcription", "/first/v1/realtime?intent=transcription"),
        ("/open/realtime?model=a&model=b", "/first/v1/realtime?model=a&model=b"),
    ] {
        story.client.get(asked).await;
        let reply = story.client.reply("GET").await;
        assert_eq!(target(&story.arrived(&reply).await), arrives);
    }
    for asked in ["/v1/realtime?model=o1-preview", "/v1//Realtime/?%6dodel=o1-preview", "/v1/realtime?Model=o1-preview"] {
        story.client.get(asked).await;
        let reply = story.client.reply("GET").await;
        story.refused(&reply, 404, "model_not_found").await;
    }
    story.client.get("/v1/realtime?model=o1-preview&model=o1").await;
    let reply = story.client.reply("GET").await;
    story.refused(&reply, 400, "malformed_request").await;
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused_where_a_model_is_read() {
    for (path, body) in [
        ("/v1", r#"{"model":"gpt-4o","model":"o1-preview"}"#),
        ("/open", r#"{"model":"gpt-4o","mod\u0065l":"o1-preview"}"#),
        ("/open", r#"{"stream":true,"stream":false}"#),
    ] {
        let mut story = Story::begin().await;
        let reply = story.post(&format!("{path}/chat/completions"), "", body).await;
        story.refused(&reply, 400, "malformed_request").await;
    }
}

#[tokio::test]
async fn an_unreadable_body_passes_where_no_route_minds_the_model() {
    let mut story = Story::begin().await;
    for (fields, body) in
        [("Content-Encoding: gzip\r\n", "no gzip at all"), ("", "no JSON at all"), ("Content-Encoding: identity\r\n", "{}")]
    {
        let reply = story.post("/open/chat/completions", fields, body).await;
        assert_eq!(story.arrived(&reply).await.body.bytes, body.as_bytes());
    }
    let reply = story.post("/v1/chat/completions", "Content-Encoding: gzip\r\n", r#"{"model":"gpt-4o"}"#).await;
    story.refused(&reply, 415, "encoding_not_supported").await;
    let reply = story.post("/v1/chat/completions", "Content-Encoding: Identity\r\n", r#"{"model":"gpt-4o"}"#).await;
    assert_eq!(story.arrived(&reply).await.body.bytes, br#"{"model":"gpt-4o"}"#);
}

#[tokio::test]
async fn of_a_long_body_the_held_part_tells_the_model() {
    let padding = "x".repeat(512 << 10);
    let mut story = Story::begin().await;
    let body = format!(r#"{{"model":"o3-mini","padding":"{padding}"}}"#);
    let reply = story.post("/v1/chat/completions", "", &body).await;
    let request = story.arrived(&reply).await;
    assert_eq!((target(&request).as_str(), request.body.bytes == body.as_bytes()), ("/second/chat/completions", true));

    // Beyond the held part nobody looks: that is no matter where every model goes the same way.
    let body = format!(r#"{{"padding":"{padding}","model":"o3-mini"}}"#);
    let reply = story.post("/open/chat/completions", "", &body).await;
    let request = story.arrived(&reply).await;
    assert_eq!((target(&request).as_str(), request.body.bytes == body.as_bytes()), ("/first/v1/chat/completions", true));
    let reply = story.post("/v1/chat/completions", "", &body).await;
    story.refused(&reply, 404, "model_not_found").await;

    let mut story = Story::begin().await;
    let body = format!(r#"{{"model":"o3-mini","model":"gpt-4o","padding":"{padding}"}}"#);
    let reply = story.post("/v1/chat/completions", "", &body).await;
    story.refused(&reply, 400, "malformed_request").await;
}
