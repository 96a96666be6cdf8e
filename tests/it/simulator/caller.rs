//! A client for the simulated provider, one connection a call, and the provider with its onlooker.

use std::{ops::Deref, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use sidegate::simulator::{Options, Running, Seen, start_observed};
use tokio::{net::TcpStream, sync::mpsc, time::timeout};

/// How long a test waits for what must happen.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

/// A running provider and the requests that it has seen to their end.
pub(super) struct Simulated {
    running: Running,
    seen: mpsc::UnboundedReceiver<Seen>,
}

impl Simulated {
    pub(super) fn start(options: Options) -> Self {
        let (report, seen) = mpsc::unbounded_channel();
        let running = start_observed(options, move |exchange| drop(report.send(exchange))).unwrap();
        Self { running, seen }
    }

    /// The next request that has ended.
    pub(super) async fn seen(&mut self) -> Seen {
        timeout(DEADLINE, self.seen.recv()).await.unwrap().unwrap()
    }
}

impl Deref for Simulated {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.running
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

pub(super) fn request(method: &str, path: &str, json: Option<&Value>) -> Request<Full<Bytes>> {
    let body = json.map(Value::to_string).unwrap_or_default();
    let request = Request::builder().method(method).uri(format!("http://simulated{path}"));
    request.header("host", "simulated").header("authorization", "Bearer key").body(body.into()).unwrap()
}

pub(super) fn chat(json: &Value) -> Request<Full<Bytes>> {
    request("POST", "/v1/chat/completions", Some(json))
}

/// Sends a request over a connection of its own. Dropping the reply gives up what is left of it.
pub(super) async fn call(provider: &Running, protocol: Protocol, mut request: Request<Full<Bytes>>) -> Response<Incoming> {
    let io = TokioIo::new(TcpStream::connect(provider.address()).await.unwrap());
    match protocol {
        Protocol::Http1 => {
            *request.uri_mut() = request.uri().path_and_query().unwrap().as_str().parse().unwrap();
            let (mut sender, connection) = http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        }
        Protocol::Http2 => {
            request.headers_mut().remove("host");
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        }
    }
}

pub(super) async fn body(reply: Response<Incoming>) -> Bytes {
    reply.into_body().collect().await.unwrap().to_bytes()
}

/// The frames of a body as they arrived; over HTTP/2 they are those that were sent, less the empty one that ends it.
pub(super) async fn frames(reply: Response<Incoming>) -> Vec<String> {
    let mut body = reply.into_body();
    let mut frames = Vec::new();
    while let Some(frame) = body.frame().await {
        frames.push(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap());
    }
    frames.retain(|frame| !frame.is_empty());
    frames
}

/// The events of a stream that ends with `[DONE]`, without it.
pub(super) async fn events(reply: Response<Incoming>) -> Vec<Value> {
    let text = String::from_utf8(body(reply).await.to_vec()).unwrap();
    let events = text.strip_suffix("data: [DONE]\n\n").unwrap();
    events.split_terminator("\n\n").map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap()).collect()
}
