//! An HTTP/2 connection.

use std::{future::poll_fn, net::SocketAddr, time::Duration};

use bytes::Bytes;
use h2::{
    RecvStream, SendStream,
    client::{Builder, ResponseFuture, SendRequest},
};
use http::Request;
use tokio::{net::TcpStream, task::AbortHandle};

/// One connection; dropping it closes it.
pub(crate) struct H2 {
    requests: SendRequest<Bytes>,
    connection: AbortHandle,
}

impl Drop for H2 {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl H2 {
    /// Connects with a window of 64 KiB for each stream and room for all of them: readers that stall must not hold
    /// each other up on this side.
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.expect("somebody listens");
        stream.set_nodelay(true).expect("a fresh socket takes options");
        let mut builder = Builder::new();
        builder.initial_connection_window_size(64 << 20).max_concurrent_reset_streams(4096).reset_stream_duration(Duration::from_secs(30));
        let (requests, connection) = builder.handshake(stream).await.expect("the peer speaks HTTP/2");
        Self { requests, connection: tokio::spawn(async { drop(connection.await) }).abort_handle() }
    }

    /// Sends a request's head; its body, if it has one, is for the caller to send.
    pub(crate) async fn post(&self, path: &str, has_body: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let request =
            Request::post(format!("http://sidegate.test{path}")).header("content-type", "audio/wav").body(()).expect("a valid path");
        let mut ready = self.requests.clone().ready().await.expect("the connection is alive");
        ready.send_request(request, !has_body).expect("a request that may be sent")
    }

    /// The body of a reply that must say 200.
    pub(crate) async fn reply(&self, path: &str) -> RecvStream {
        let (reply, _) = self.post(path, false).await;
        body(reply).await
    }
}

/// The body of a reply that must say 200.
pub(crate) async fn body(reply: ResponseFuture) -> RecvStream {
    let reply = reply.await.expect("a reply");
    assert_eq!(reply.status(), 200);
    reply.into_body()
}

/// Sends `length` bytes and ends the body.
pub(crate) async fn upload(stream: &mut SendStream<Bytes>, length: u64) {
    let block = Bytes::from(vec![b'u'; 64 << 10]);
    let mut left = length;
    while left > 0 {
        stream.reserve_capacity(block.len().min(left as usize));
        let capacity = poll_fn(|context| stream.poll_capacity(context)).await.expect("the stream is open").expect("the stream is open");
        let part = left.min(capacity as u64).min(block.len() as u64);
        left -= part;
        stream.send_data(block.slice(..part as usize), left == 0).expect("an upload goes on");
    }
}

/// The next part of a body; nothing at its end.
pub(crate) async fn part(body: &mut RecvStream) -> Option<Bytes> {
    let part = body.data().await?.expect("a body that does not break off");
    let _ = body.flow_control().release_capacity(part.len());
    Some(part)
}
