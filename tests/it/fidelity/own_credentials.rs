//! A route with `credentials: client` passes what the caller proves itself with.

use http::Request;

use crate::support::{Client, H2Client, Provider, Script, Sidegate};

const OWN: &str = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
providers: { scripted: { base_url: "http://$UPSTREAM/v1" } }
routes: [{ path: /v1, targets: [scripted], credentials: client }]
"#;

#[tokio::test]
async fn the_callers_own_credentials_arrive_unchanged() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let sidegate = Sidegate::start(OWN, provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    for fields in
        ["Authorization: Bearer sk-mine", "X-Api-Key: mine\r\nanthropic-version: 1", "Cookie: a=1; b=2\r\nOpenAI-Organization: org"]
    {
        client.send(format!("GET /v1/models?key=mine HTTP/1.1\r\nHost: sidegate.test\r\n{fields}\r\n\r\n")).await;
        assert_eq!(client.reply("GET").await.status(), 200);
        let arrived = provider.request().await.head;
        assert_eq!(arrived.line, b"GET /v1/models?key=mine HTTP/1.1");
        for (name, value) in fields.lines().filter_map(|field| field.split_once(": ")) {
            assert_eq!(arrived.get(name).as_deref(), Some(value), "{fields}");
        }
    }
}

/// HTTP/2 may send a cookie in crumbs, HTTP/1 may not (RFC 9113 §8.2.3).
#[tokio::test]
async fn the_crumbs_of_a_cookie_are_put_together_for_http_1() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let sidegate = Sidegate::start(OWN, provider.address).await;
    let client = H2Client::connect(sidegate.address).await;
    let request = Request::get("http://sidegate.test/v1/models").header("cookie", "a=1").header("accept", "*/*").header("cookie", "b=2");
    assert_eq!(client.ask(request.body("").unwrap()).await.status, 200);
    assert_eq!(provider.request().await.head.all("cookie"), [b"a=1; b=2"]);
}
