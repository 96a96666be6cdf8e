//! Every final status there can be.

use crate::support::{Client, H2Client, Provider, Script, Sidegate};

/// What a provider answers with `status`: a body wherever one may be.
fn reply(status: u16) -> Script {
    match status {
        204 | 304 => Script::reply(format!("HTTP/1.1 {status} Reason {status}\r\n\r\n")),
        _ => Script::reply(format!("HTTP/1.1 {status} Reason {status}\r\nContent-Length: 3\r\n\r\n{status}")),
    }
}

fn body(status: u16) -> String {
    if matches!(status, 204 | 304) { String::new() } else { status.to_string() }
}

#[tokio::test]
async fn every_status_passes_with_its_reason() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    for status in 200..=599 {
        provider.script(reply(status));
        client.get("/v1/models").await;
        let reply = client.reply("GET").await;
        assert_eq!(String::from_utf8_lossy(&reply.head.line), format!("HTTP/1.1 {status} Reason {status}"));
        assert_eq!(reply.text(), body(status));
        sidegate.forgets(status).await;
    }
    assert_eq!(provider.connections(), 1, "a status cost a connection");
}

#[tokio::test]
async fn every_status_passes_over_h2() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::before(provider.address).await;
    let client = H2Client::connect(sidegate.address).await;
    for status in 200..=599 {
        provider.script(reply(status));
        let reply = client.get("/v1/models").await;
        assert_eq!((reply.status.as_u16(), reply.text()), (status, body(status)));
        sidegate.forgets(status).await;
    }
}
