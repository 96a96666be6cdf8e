//! Somebody who opens connections and says little does not keep anybody else from being answered.

use super::ask;
use crate::support::{Client, Provider, Sidegate};

/// More than the listener takes.
const MANY: usize = 150;

#[tokio::test]
async fn connections_that_say_little_make_room_for_those_that_ask() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut slow = Vec::new();
    for at in 0..MANY {
        let mut client = Client::connect(sidegate.admin).await;
        client.send("GET /livez HTTP/1.1\r\nHost: local").await;
        slow.push(client);
        if at % 10 == 0 {
            assert_eq!(ask(sidegate.admin, "GET", "/readyz", "").await.status(), 200, "after {at}");
        }
    }
    // The oldest have made room; the youngest may still finish what they began.
    assert!(slow[0].is_closed().await);
    let youngest = slow.last_mut().unwrap();
    youngest.send("host\r\n\r\n").await;
    assert_eq!(youngest.reply("GET").await.status(), 200);
}

#[tokio::test]
async fn who_asks_again_and_again_is_not_who_makes_room() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut polling = Client::connect(sidegate.admin).await;
    let mut slow = Vec::new();
    for _ in 0..MANY {
        slow.push(Client::connect(sidegate.admin).await);
        polling.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert_eq!(polling.reply("GET").await.status(), 200);
    }
}

#[tokio::test]
async fn a_head_beyond_bounds_is_refused_and_a_body_is_not_waited_for() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.admin).await;
    client.send(format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(64 << 10))).await;
    assert_eq!(client.reply("GET").await.status(), 431);
    let mut client = Client::connect(sidegate.admin).await;
    client.send("POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\nx").await;
    assert_eq!(client.reply("POST").await.status(), 200);
    assert!(client.is_closed().await);
}
