//! `Expect: 100-continue`: an upload is invited when somebody will take it, and not before.

use crate::support::{Client, Gate, Provider, Script, Sidegate};

fn head(target: &str, expectation: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: sidegate.test\r\nExpect: {expectation}\r\nContent-Length: 6\r\n\r\n")
}

#[tokio::test]
async fn a_client_that_waits_to_be_invited_is_invited() {
    for target in ["/v1/files", "/v1/chat/completions"] {
        let mut provider = Provider::always(Script::ok("thanks")).await;
        let sidegate = Sidegate::before(provider.address).await;
        let mut client = Client::connect(sidegate.address).await;
        client.send(head(target, "100-continue")).await;
        assert_eq!(client.head().await.status(), 100, "{target}");
        client.send("upload").await;
        assert_eq!(client.reply("POST").await.text(), "thanks", "{target}");
        assert_eq!(provider.request().await.body.bytes, b"upload", "{target}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_wait_is_served() {
    let provider = Provider::always(Script::ok("thanks")).await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.send(head("/v1/files", "100-continue") + "upload").await;
    assert_eq!(client.reply("POST").await.text(), "thanks");
}

#[tokio::test]
async fn a_refused_client_is_not_invited() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.send(head("/nowhere", "100-continue")).await;
    let refusal = client.reply("POST").await;
    assert_eq!((refusal.status(), refusal.head.get("connection")), (404, Some("close".to_owned())));
    assert!(client.is_closed().await);
    assert_eq!(provider.asked(), 0);
}

/// The provider answers before it has seen a byte of the body: the client hears that, not an invitation alone.
#[tokio::test]
async fn a_refusal_by_the_provider_arrives_without_the_upload() {
    let begun = Gate::new();
    let refusal = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
    let provider = Provider::always(Script::on_head().tell(&begun).write(refusal).until_left()).await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.send(head("/v1/files", "100-continue")).await;
    begun.reached("the request at the provider").await;
    let reply = client.reply("POST").await;
    assert_eq!((reply.status(), reply.text().as_str()), (401, "no"));
}
