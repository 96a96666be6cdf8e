//! What a client must not be able to slip past: a body that is read as a request, a field that is nominated away, a
//! name that reads like another.

use super::served;
use crate::support::{Client, Provider, Script, Sidegate, proxy::POOL_KEY};

const HIDDEN: &str = "GET /v1/hidden HTTP/1.1\r\nHost: sidegate.test\r\nX-Pad: xx\r\n\r\n";

#[tokio::test]
async fn the_unread_body_of_a_refused_request_is_no_request() {
    for target in ["/nowhere", "/v1/../admin"] {
        let (provider, sidegate) = served().await;
        let mut client = Client::connect(sidegate.address).await;
        client.post(target, HIDDEN).await;
        let refusal = client.reply("POST").await;
        assert!(matches!(refusal.status(), 400 | 404), "{target}: {}", refusal.status());
        // Whether the connection goes on or not, the next thing on it is what we ask for.
        client.get("/v1/models").await;
        if let Ok(reply) = client.answer("GET").await {
            assert_eq!((reply.status(), reply.text().as_str()), (200, "served"), "{target}");
        }
        drop(client);
        assert!(provider.asked() <= 1, "{target}: a body was read as a request");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    for n in 0..5 {
        provider.script(Script::ok(&format!("reply {n}")));
    }
    client.send(HIDDEN.repeat(5)).await;
    for n in 0..5 {
        assert_eq!(client.reply("GET").await.text(), format!("reply {n}"));
    }
}

#[tokio::test]
async fn a_client_cannot_nominate_away_what_is_ours() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    let nominated = "Connection: close, authorization, Host, content-length, Transfer-Encoding, content-type";
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: sidegate.test\r\n{nominated}\r\nAuthorization: Bearer mine\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    client.send(request).await;
    assert_eq!(client.reply("POST").await.status(), 200);
    assert!(client.is_closed().await, "the client asked to close");

    let arrived = provider.request().await;
    assert_eq!(arrived.head.get("authorization"), Some(format!("Bearer {POOL_KEY}")));
    assert_eq!(arrived.head.get("host"), Some(provider.address.to_string()));
    assert_eq!(arrived.body.bytes, b"{}");
}

/// A provider that reads `_` as `-` would see two lengths.
#[tokio::test]
async fn names_that_read_like_framing_do_not_arrive() {
    for field in ["Content_Length: 100", "Transfer_Encoding: chunked"] {
        let mut provider = Provider::always(Script::ok("served")).await;
        let sidegate = Sidegate::before(provider.address).await;
        let mut client = Client::connect(sidegate.address).await;
        client.send(format!("GET /v1/models HTTP/1.1\r\nHost: sidegate.test\r\n{field}\r\n\r\n")).await;
        if client.reply("GET").await.status() == 200 {
            let (name, _) = field.split_once(':').unwrap();
            assert_eq!(provider.request().await.head.get(name), None, "{field}");
        }
    }
}

/// No spelling of the caller's credential reaches the provider when the pool's key is used.
#[tokio::test]
async fn no_credential_of_the_caller_arrives() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let sidegate = Sidegate::before(provider.address).await;
    for (target, fields) in [
        ("/v1/models", "Authorization: Bearer CANARY"),
        ("/v1/models", "authorization: Basic CANARY"),
        ("/v1/models", "Authorization: Bearer CANARY\r\nAuthorization: Bearer CANARY"),
        ("/v1/models", "X-Api-Key: CANARY"),
        ("/v1/models", "api-key: CANARY"),
        ("/v1/models", "X-Goog-Api-Key: CANARY"),
        ("/v1/models", "OpenAI-Organization: CANARY\r\nOpenAI-Project: CANARY"),
        ("/v1/models", "Proxy-Authorization: Bearer CANARY"),
        ("/v1/models?key=CANARY", "Accept: */*"),
        ("/v1/models?a=1&key=CANARY&b=2", "Accept: */*"),
        ("/v1/models?key=CANARY&key=CANARY", "Accept: */*"),
        ("/v1/models", "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.CANARY, openai-beta.realtime-v1"),
    ] {
        let mut client = Client::connect(sidegate.address).await;
        client.send(format!("GET {target} HTTP/1.1\r\nHost: sidegate.test\r\n{fields}\r\n\r\n")).await;
        assert_eq!(client.reply("GET").await.status(), 200, "{target} {fields}");
        let arrived = provider.request().await.head;
        let text = [&arrived.line]
            .into_iter()
            .chain(arrived.fields.iter().flat_map(|(name, value)| [name, value]))
            .map(|part| crate::support::show(part))
            .collect::<Vec<_>>();
        assert!(!text.iter().any(|part| part.contains("CANARY")), "{target} {fields}: {text:?}");
        assert_eq!(arrived.all("authorization"), [format!("Bearer {POOL_KEY}").as_bytes()], "{target} {fields}");
    }
}

/// Where a request goes is the operator's decision alone.
#[tokio::test]
async fn nothing_in_a_request_chooses_its_host() {
    let canary = Provider::start().await;
    let mut provider = Provider::always(Script::ok("served")).await;
    let sidegate = Sidegate::before(provider.address).await;
    let other = canary.address;
    for (target, fields, body) in [
        ("/v1/models".to_owned(), format!("Host: {other}"), String::new()),
        (format!("http://{other}/v1/models"), format!("Host: {other}"), String::new()),
        (
            "/v1/models".to_owned(),
            format!("Host: a\r\nX-Forwarded-Host: {other}\r\nX-Base-Url: http://{other}\r\nForwarded: host={other}"),
            String::new(),
        ),
        (
            "/v1/models".to_owned(),
            format!("Host: a\r\nX-Original-URL: http://{other}/\r\nX-Portkey-Custom-Host: http://{other}"),
            String::new(),
        ),
        (format!("/v1/models?api_base=http://{other}&base_url=http://{other}"), "Host: a".to_owned(), String::new()),
        (
            "/v1/chat/completions".to_owned(),
            "Host: a".to_owned(),
            format!(r#"{{"model":"gpt-4o","api_base":"http://{other}","base_url":"http://{other}"}}"#),
        ),
    ] {
        let mut client = Client::connect(sidegate.address).await;
        let method = if body.is_empty() { "GET" } else { "POST" };
        client.send(format!("{method} {target} HTTP/1.1\r\n{fields}\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
        assert_eq!(client.reply(method).await.status(), 200, "{target} {fields}");
        assert_eq!(provider.request().await.head.get("host"), Some(provider.address.to_string()));
    }
    assert_eq!(canary.connections(), 0, "a caller sent the proxy elsewhere");
}
