//! An HTTP/2 client (plain text, prior knowledge) on the `h2` crate.

use std::{future::poll_fn, net::SocketAddr};

use bytes::Bytes;
use h2::{
    Reason, RecvStream, SendStream,
    client::{self, ResponseFuture, SendRequest},
};
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
};

use super::within;

/// One connection; dropping it closes it.
pub(crate) struct H2Client {
    requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// A whole reply. `end` is how its body ended.
pub(crate) struct H2Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
    pub(crate) end: Result<(), Reason>,
}

impl H2Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl H2Client {
    /// A connection with the window of a usual client. With the least there is, the `h2` crate gives up a connection on
    /// which a hundred small frames have not been read yet.
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        Self::connect_with(to, client::Builder::new().initial_connection_window_size(4 << 20)).await
    }

    /// A connection with settings of its own.
    pub(crate) async fn connect_with(to: SocketAddr, settings: &client::Builder) -> Self {
        let stream = within("a connection", TcpStream::connect(to)).await.expect("somebody listens");
        stream.set_nodelay(true).expect("a fresh socket takes options");
        Self::over(stream, settings).await
    }

    /// Over a stream that is there already.
    pub(crate) async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, settings: &client::Builder) -> Self {
        let (requests, connection) = within("a handshake", settings.handshake(stream)).await.expect("the peer speaks HTTP/2");
        Self { requests, connection: tokio::spawn(connection) }
    }

    /// Sends the head, which may be all of the request.
    pub(crate) async fn open(&self, request: Request<()>, last: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let mut ready = within("room for a stream", self.requests.clone().ready()).await.expect("the connection is alive");
        ready.send_request(request, last).expect("a request that may be sent")
    }

    /// Waits until the peer says that it takes no more requests; with which reason.
    pub(crate) async fn goodbye(&self) -> Reason {
        let asking = async {
            loop {
                match self.requests.clone().ready().await {
                    Ok(_) => tokio::time::sleep(std::time::Duration::from_millis(2)).await,
                    Err(error) => return error,
                }
            }
        };
        let error = within("GOAWAY", asking).await;
        assert!(error.is_go_away() && error.is_remote(), "{error}");
        error.reason().expect("GOAWAY has a reason")
    }

    /// Sends a whole request.
    pub(crate) async fn send(&self, request: Request<impl Into<Bytes>>) -> ResponseFuture {
        let (head, body) = request.into_parts();
        let body: Bytes = body.into();
        let (reply, mut upload) = self.open(Request::from_parts(head, ()), body.is_empty()).await;
        if !body.is_empty() {
            within("an upload", send_all(&mut upload, body)).await;
        }
        reply
    }

    /// Sends a whole request and reads the whole reply.
    pub(crate) async fn ask(&self, request: Request<impl Into<Bytes>>) -> H2Reply {
        read(self.send(request).await).await
    }

    /// [`Self::ask`] without a body.
    pub(crate) async fn get(&self, target: &str) -> H2Reply {
        self.ask(get(target)).await
    }
}

impl Drop for H2Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// A request without a body.
pub(crate) fn get(target: &str) -> Request<Bytes> {
    Request::get(format!("http://sidegate.test{target}")).body(Bytes::new()).expect("a valid target")
}

/// A request with a JSON body.
pub(crate) fn post(target: &str, body: &'static str) -> Request<&'static str> {
    let request = Request::post(format!("http://sidegate.test{target}")).header("content-type", "application/json");
    request.body(body).expect("a valid target")
}

/// Sends all of a body as the peer's windows allow. A peer that gives the stream up has its reasons: its reply tells.
pub(crate) async fn send_all(upload: &mut SendStream<Bytes>, mut body: Bytes) {
    while !body.is_empty() {
        upload.reserve_capacity(body.len());
        let Some(Ok(capacity)) = poll_fn(|context| upload.poll_capacity(context)).await else { return };
        let part = body.split_to(capacity.min(body.len()));
        if upload.send_data(part, body.is_empty()).is_err() {
            return;
        }
    }
}

/// The reply's head.
pub(crate) async fn head(reply: ResponseFuture) -> Response<RecvStream> {
    within("a reply's head", reply).await.expect("a reply")
}

/// The next part of a body; `None` at its end.
pub(crate) async fn part(body: &mut RecvStream) -> Option<Result<Bytes, h2::Error>> {
    let part = within("a part of a body", body.data()).await;
    if let Some(Ok(bytes)) = &part {
        let _ = body.flow_control().release_capacity(bytes.len());
    }
    part
}

/// The whole reply.
pub(crate) async fn read(reply: ResponseFuture) -> H2Reply {
    let (head, mut stream) = head(reply).await.into_parts();
    let (mut body, mut end) = (Vec::new(), Ok(()));
    while let Some(next) = part(&mut stream).await {
        match next {
            Ok(bytes) => body.extend_from_slice(&bytes),
            Err(error) => {
                end = Err(error.reason().unwrap_or(Reason::INTERNAL_ERROR));
                break;
            }
        }
    }
    let trailers = if end.is_ok() { stream.trailers().await.ok().flatten() } else { None };
    H2Reply { status: head.status, headers: head.headers, body, trailers, end }
}
