//! HTTP/1 connections to a provider are used again, and die; a request that may have been processed is never repeated.

use crate::support::{Client, Provider, Script, Sidegate};

const ASK: &str = r#"{"model":"gpt-4o","stream":true}"#;

#[tokio::test]
async fn a_connection_that_the_provider_closed_is_not_used() {
    let provider = Provider::always(Script::ok("served").close()).await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    // Often enough that the end of one connection and the next request cross each other.
    for n in 1..=200 {
        client.post("/v1/chat/completions", ASK).await;
        assert_eq!(client.reply("POST").await.text(), "served");
        assert_eq!(provider.connections(), n);
    }
}

/// The provider closes an idle connection as the next request arrives on it: it may have read it (RFC 9110 §9.2.2).
#[tokio::test]
async fn a_pooled_connection_that_dies_under_a_request_is_not_tried_again() {
    for script in [Script::on_first_byte().reset(), Script::on_request().close()] {
        let provider = Provider::start().await;
        let sidegate = Sidegate::before(provider.address).await;
        let mut client = Client::connect(sidegate.address).await;
        for (script, status) in [(Script::ok("first"), 200), (script, 502), (Script::ok("third"), 200)] {
            provider.script(script);
            client.post("/v1/chat/completions", ASK).await;
            assert_eq!(client.reply("POST").await.status(), status);
        }
        assert_eq!((provider.asked(), provider.connections()), (3, 2));
    }
}

#[tokio::test]
async fn a_provider_that_refuses_connections_is_a_502_at_once() {
    // Bound and not listening: the port is nobody else's, and the kernel refuses.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let sidegate = Sidegate::before(socket.local_addr().unwrap()).await;
    let mut client = Client::connect(sidegate.address).await;
    let asked = std::time::Instant::now();
    client.post("/v1/chat/completions", ASK).await;
    assert_eq!(client.reply("POST").await.status(), 502);
    assert!(asked.elapsed() < std::time::Duration::from_secs(1), "after {:?}", asked.elapsed());
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let provider = Provider::always(Script::ok("served")).await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    for _ in 0..20 {
        client.post("/v1/chat/completions", ASK).await;
        assert_eq!(client.reply("POST").await.text(), "served");
    }
    assert_eq!(provider.connections(), 1);
}

#[tokio::test]
async fn a_fresh_connection_that_dies_unanswered_is_not_tried_again() {
    for script in [Script::on_request().close(), Script::on_request().reset()] {
        let provider = Provider::start().await;
        let sidegate = Sidegate::before(provider.address).await;
        provider.script(script);
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", ASK).await;
        assert_eq!(client.reply("POST").await.status(), 502);
        assert_eq!(provider.asked(), 1, "what may have been processed is never sent again");
    }
}

/// It closes with the upload unread, which resets the connection under what is still being written.
#[tokio::test]
async fn an_answer_before_the_upload_has_ended_survives_the_close_behind_it() {
    let refusal = "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 8\r\n\r\ntoo much";
    let provider = Provider::always(Script::on_head().write(refusal).close()).await;
    let sidegate = Sidegate::before(provider.address).await;
    let large = "x".repeat(4 << 20);
    for _ in 0..20 {
        let mut client = Client::connect(sidegate.address).await;
        client.post_with("/v1/files", "", &large).await;
        assert_eq!(client.reply("POST").await.text(), "too much");
    }
}

/// RFC 9112 §9.3.1: a connection may end between two requests, and asking twice for the same does no harm.
#[tokio::test]
async fn a_safe_request_that_a_used_connection_lost_is_sent_again() {
    for script in [Script::on_first_byte().reset(), Script::on_request().close()] {
        let provider = Provider::start().await;
        let sidegate = Sidegate::before(provider.address).await;
        let mut client = Client::connect(sidegate.address).await;
        for script in [Script::ok("first"), script.clone(), Script::ok("second")] {
            provider.script(script);
        }
        for text in ["first", "second"] {
            client.get("/v1/models").await;
            assert_eq!(client.reply("GET").await.text(), text);
        }
        assert_eq!((provider.asked(), provider.connections()), (3, 2));

        // The connection is fresh: its end says something of the provider.
        provider.script(Script::ok("third").close());
        provider.script(script);
        for status in [200, 502] {
            client.get("/v1/models").await;
            assert_eq!(client.reply("GET").await.status(), status);
        }
        assert_eq!(provider.asked(), 5);
    }
}
