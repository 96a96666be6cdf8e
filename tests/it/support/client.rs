//! A client that writes the bytes it is told to and reads replies without mending anything.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream},
};

use super::{
    show,
    wire::{Body, End, Head, Wire},
    within,
};

/// One HTTP/1 connection.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) wire: Wire<S>,
}

/// A whole reply, interim ones before it aside.
pub(crate) struct Reply {
    pub(crate) head: Head,
    pub(crate) body: Body,
}

impl Reply {
    pub(crate) fn status(&self) -> u16 {
        self.head.status()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body.bytes).into_owned()
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.body.end == End::Complete
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body.bytes).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

impl Client {
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        Self { wire: Wire::new(within("a connection", TcpStream::connect(to)).await.expect("somebody listens")) }
    }

    /// A connection whose kernel holds little for a reader who does not read.
    pub(crate) async fn connect_with_small_buffer(to: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a fresh socket takes options");
        Self { wire: Wire::new(within("a connection", socket.connect(to)).await.expect("somebody listens")) }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Over TLS, or over a Unix socket.
    pub(crate) fn over(stream: S) -> Self {
        Self { wire: Wire::over(stream) }
    }

    /// Writes; a peer who has closed already is no error here, its reply tells more.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = within("writing", self.wire.write(bytes.as_ref())).await;
    }

    /// Sends a request without a body, with the Host that it needs.
    pub(crate) async fn get(&mut self, target: &str) {
        self.get_with(target, "").await;
    }

    /// The same with more fields, each with its line end.
    pub(crate) async fn get_with(&mut self, target: &str, fields: &str) {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: sidegate.test\r\n{fields}\r\n")).await;
    }

    /// Sends a request with a body of declared length.
    pub(crate) async fn post(&mut self, target: &str, body: &str) {
        self.post_with(target, "Content-Type: application/json\r\n", body).await;
    }

    /// The same with these fields, each with its line end.
    pub(crate) async fn post_with(&mut self, target: &str, fields: &str, body: &str) {
        let length = body.len();
        self.send(format!("POST {target} HTTP/1.1\r\nHost: sidegate.test\r\n{fields}Content-Length: {length}\r\n\r\n{body}")).await;
    }

    /// Asks `model` for a completion and reads the whole reply.
    pub(crate) async fn chat(&mut self, model: &str) -> Reply {
        self.post("/v1/chat/completions", &format!(r#"{{"model":"{model}","messages":[]}}"#)).await;
        self.reply("POST").await
    }

    /// The head that comes next, interim or not.
    pub(crate) async fn head(&mut self) -> Head {
        self.next_head().await.unwrap_or_else(|instead| panic!("{instead}"))
    }

    /// The whole final reply to `method`.
    pub(crate) async fn reply(&mut self, method: &str) -> Reply {
        self.answer(method).await.unwrap_or_else(|instead| panic!("{instead}"))
    }

    /// The whole final reply to `method`, or what came instead of one.
    pub(crate) async fn answer(&mut self, method: &str) -> Result<Reply, String> {
        let mut head = self.next_head().await?;
        while matches!(head.status(), 100 | 102..=199) {
            head = self.next_head().await?;
        }
        let body = within("a reply's body", self.wire.body(head.reply_framing(method))).await;
        Ok(Reply { head, body })
    }

    async fn next_head(&mut self) -> Result<Head, String> {
        let head = within("a reply's head", self.wire.head()).await;
        head.map_err(|error| format!("no reply but {error} after: {}", show(&self.wire.buffer)))
    }

    /// What came up to and with `mark`, as soon as it is here.
    pub(crate) async fn until(&mut self, mark: &str) -> String {
        match within(mark, self.wire.until(mark.as_bytes())).await {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => panic!("no {mark:?} but {error} after: {}", show(&self.wire.buffer)),
        }
    }

    /// Whether the peer closes the connection without another byte.
    pub(crate) async fn is_closed(&mut self) -> bool {
        !within("the end of the connection", self.wire.has_more()).await
    }
}
