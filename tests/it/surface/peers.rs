//! Peers of HTTP/1.0, replies that end with their connection, and providers that say much before they answer.

use http::Response;

use crate::support::{
    Client, H2Client, H2Provider, H2Script, Provider, Script, Sidegate, h2_client,
    tls::{Authority, TlsFront},
};

const HINT: &str = "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n";
const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

#[tokio::test]
async fn what_is_said_before_a_reply_is_dropped_and_bounded() {
    let mut provider = Provider::start().await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    for (count, status) in [(0, 200), (3, 200), (100, 200), (101, 502), (2000, 502), (3, 200)] {
        provider.script(Script::on_request().offer(HINT.repeat(count)).offer(FINE));
        client.get("/v1/models").await;
        // Not one of them reaches the client.
        let head = client.head().await;
        assert_eq!(head.status(), status, "{count}");
        let body = client.wire.body(head.reply_framing("GET")).await;
        assert_eq!(body.bytes == b"fine", status == 200, "{count}");
        provider.request().await;
    }
    let errors: Vec<_> = sidegate.log(6).await.iter().map(|line| line["error"].clone()).collect();
    assert_eq!(errors.iter().filter(|error| **error == "upstream_failed").count(), 2, "{errors:?}");
}

#[tokio::test]
async fn what_is_said_before_a_reply_over_h2_is_dropped() {
    for count in [1, 3, 2000] {
        let hint = || Response::builder().status(103).header("link", "</x>").body(()).unwrap();
        let script = (0..count).fold(H2Script::on_request(), |script, _| script.interim(hint()));
        let provider = H2Provider::always(h2::server::Builder::new(), script.head(200).last("fine")).await;
        let sidegate = Sidegate::before_h2(provider.address).await;
        for _ in 0..2 {
            let client = H2Client::connect(sidegate.address).await;
            let reply = h2_client::head(client.send(h2_client::get("/v1/models")).await).await;
            assert_eq!(reply.status(), 200, "{count}");
            let mut body = reply.into_body();
            assert_eq!(h2_client::part(&mut body).await.unwrap().unwrap(), "fine", "{count}");
        }
    }
}

/// How a client of HTTP/1.0 may ask to keep its connection, and whether it does.
const KEEPING: [(&str, bool); 2] = [("", false), ("Connection: keep-alive\r\n", true)];

#[tokio::test]
async fn a_client_of_http_1_0_keeps_its_connection_only_where_it_can_see_the_end() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::before(provider.address).await;
    for (fields, keeps) in KEEPING {
        let ask = format!("GET /v1/models HTTP/1.0\r\nHost: sidegate.test\r\n{fields}\r\n");
        let mut client = Client::connect(sidegate.address).await;
        for turn in 0..if keeps { 3 } else { 1 } {
            provider.script(Script::ok("of known length"));
            client.send(&ask).await;
            let reply = client.reply("GET").await;
            assert_eq!((reply.text().as_str(), reply.head.get("transfer-encoding")), ("of known length", None), "{turn}");
            let said = reply.head.get("connection").unwrap_or_default();
            assert_eq!(said.eq_ignore_ascii_case("keep-alive"), keeps, "{fields} {said}");
        }
        if keeps {
            provider.script(Script::on_request().write("HTTP/1.0 200 OK\r\n\r\n").write("until the end").close());
            client.send(&ask).await;
            let reply = client.reply("GET").await;
            assert_eq!((reply.text().as_str(), reply.head.get("transfer-encoding")), ("until the end", None));
            assert!(!reply.head.get("connection").is_some_and(|said| said.eq_ignore_ascii_case("keep-alive")));
        } else {
            assert!(client.is_closed().await);
        }
    }
}

/// It sees no chunks, so a broken connection is all that can tell it.
#[tokio::test]
async fn a_client_of_http_1_0_sees_that_a_reply_broke_off() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::before(provider.address).await;
    for (fields, _) in KEEPING {
        provider.script(Script::reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").chunk("half").close());
        let mut client = Client::connect(sidegate.address).await;
        client.send(format!("GET /v1/models HTTP/1.0\r\n{fields}\r\n")).await;
        assert_eq!(client.head().await.status(), 200);
        let mut end = client.wire.fill().await;
        while matches!(end, Ok(1..)) {
            end = client.wire.fill().await;
        }
        assert!(end.is_err(), "it looks whole: {end:?}");
    }
}

#[tokio::test]
async fn a_provider_of_http_1_0_is_used_again_only_if_it_says_so() {
    for (fields, connections) in [("", 3), ("Connection: close\r\n", 3), ("Connection: keep-alive\r\n", 1)] {
        let reply = format!("HTTP/1.0 200 OK\r\nContent-Length: 4\r\n{fields}\r\nfine");
        let script = if connections == 1 { Script::reply(reply) } else { Script::reply(reply).close() };
        let provider = Provider::always(script).await;
        let sidegate = Sidegate::before(provider.address).await;
        let mut client = Client::connect(sidegate.address).await;
        for _ in 0..3 {
            client.get("/v1/models").await;
            let reply = client.reply("GET").await;
            assert_eq!((reply.text().as_str(), reply.head.line.as_slice(), reply.is_complete()), ("fine", &b"HTTP/1.1 200 OK"[..], true));
        }
        assert_eq!(provider.connections(), connections, "{fields}");
    }
}

/// RFC 9112 §9.8: framing that is complete needs no end of TLS.
#[tokio::test]
async fn a_tls_provider_that_just_closes_behind_a_whole_reply_has_said_all() {
    let authority = Authority::new();
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n";
    for (reply, whole) in [(FINE, true), (chunked, true), ("HTTP/1.1 200 OK\r\n\r\nfine", false), ("HTTP/1.0 200 OK\r\n\r\nfine", false)] {
        let provider = Provider::always(Script::reply(reply).reset()).await;
        let front = TlsFront::before(provider.address, authority.server("localhost", &["http/1.1"])).await;
        let config = format!(
            r#"
listen: {{ address: "127.0.0.1:0", workers: 1 }}
admin: {{ address: "127.0.0.1:0" }}
providers:
  scripted: {{ base_url: "https://localhost:{}/v1", keys: [{{ value: "$KEY" }}], tls: {{ roots: {} }} }}
routes: [{{ path: /v1, targets: [scripted] }}]
"#,
            front.address.port(),
            authority.roots().display()
        );
        let sidegate = Sidegate::start(&config, front.address).await;
        let mut client = Client::connect(sidegate.address).await;
        client.get("/v1/models").await;
        let reply_seen = client.reply("GET").await;
        assert_eq!((reply_seen.status(), reply_seen.is_complete()), (200, whole), "{reply}");
        assert_eq!(sidegate.log(1).await[0]["end"] == "complete", whole, "{reply}");
    }
}
