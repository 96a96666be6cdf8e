//! WebSockets: a tunnel is opened behind a 101 that was asked for and nowhere else; then bytes pass both ways, as they
//! are, and each side sees how the other ends.

mod cuts;
mod ends;
mod handshake;
mod networks;

use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::TcpListener,
};

use crate::support::{
    Client, Sidegate, show,
    wire::{Head, Wire},
    within,
};

/// In flight at the provider, as the metrics say.
const IN_FLIGHT: &str = r#"sidegate_requests_in_flight{route="/v1",provider="scripted"}"#;

/// The fields of a handshake; key and accept are the example of RFC 6455 §1.3.
const ASKING: &str =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const GRANTED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const REALTIME: &str = "/v1/realtime?model=gpt-realtime";

/// Bytes that are no HTTP: a bare line feed, NUL, and what is no UTF-8.
const FRAME: &[u8] = b"\x81\x85\n\r\n\0\xff\xfeGET / HTTP/1.1\nX";

/// A provider whose connections the story itself speaks on.
struct Peer(TcpListener);

impl Peer {
    async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn address(&self) -> std::net::SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// The next connection, and the head of its first request.
    async fn asked(&self) -> (Head, Wire) {
        let (socket, _) = within("a connection to the provider", self.0.accept()).await.unwrap();
        let mut wire = Wire::new(socket);
        let head = within("a request", wire.head()).await.unwrap();
        (head, wire)
    }

    /// The next connection, its WebSocket granted.
    async fn granting(&self) -> Wire {
        let (_, mut wire) = self.asked().await;
        wire.write(GRANTED.as_bytes()).await.unwrap();
        wire
    }

    /// Sidegate before it, with more sections.
    async fn sidegate(&self, sections: &str) -> Sidegate {
        Sidegate::with(sections, self.address()).await
    }
}

/// A client and a provider with an open tunnel between them.
async fn open(sidegate: &Sidegate, peer: &Peer) -> (Client, Wire) {
    let mut client = Client::connect(sidegate.address).await;
    client.get_with(REALTIME, ASKING).await;
    let provider = peer.granting().await;
    assert_eq!(client.head().await.status(), 101);
    (client, provider)
}

/// Exactly these bytes come next.
async fn comes<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>, bytes: &[u8]) {
    while wire.buffer.len() < bytes.len() {
        let read = within("bytes of the other side", wire.fill()).await.unwrap();
        assert!(read > 0, "it ended behind {}", show(&wire.buffer));
    }
    assert_eq!(show(&wire.buffer.split_to(bytes.len())), show(bytes));
}

/// Nothing comes but the end, in order or not.
async fn ends<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>) {
    let mut rest = wire.buffer.split().to_vec();
    // A reset is an end too.
    let _ = within("the end", wire.stream.read_to_end(&mut rest)).await;
    assert_eq!(show(&rest), "");
}

/// The one line of the access log.
async fn line(sidegate: &Sidegate) -> Value {
    sidegate.metric_becomes(IN_FLIGHT, 0.0).await;
    sidegate.log(1).await.remove(0)
}
