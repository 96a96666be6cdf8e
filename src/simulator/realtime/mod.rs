//! `GET /v1/realtime`: a WebSocket over HTTP/1.1 (RFC 6455).
//!
//! The model `echo` sends each message back at once, for measurements. With any other model one talks as with OpenAI.

mod dialogue;
mod events;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{
    Provider,
    body::{Body, Ending},
    dialect,
    error::ApiError,
    exchange::{End, Exchange},
    faults::{Fault, Kind},
    listen::Line,
    pace::Pace,
    reply::Reply,
    script::Script,
};
use crate::types::Dialect;
use dialogue::Dialogue;

/// The largest message that is read, as OpenAI allows for a piece of sound.
const LARGEST_MESSAGE: usize = 16 << 20;

/// The model that sends everything back.
const ECHO: &str = "echo";

/// Whether a request wants to talk.
pub(super) fn is_wanted<B>(request: &Request<B>) -> bool {
    let upgrades = request.headers().get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    upgrades && dialect::rest(request.uri().path()) == Some("realtime")
}

/// Answers with 101 and makes a session of the connection, or says why not.
pub(super) fn accept<B>(provider: &Arc<Provider>, request: Request<B>, mut exchange: Exchange, line: &Line) -> Response<Body> {
    let headers = request.headers();
    let model = dialect::query(request.uri(), "model").unwrap_or_default().to_owned();
    exchange.note(|seen| seen.model = Some(model.clone()));
    let refuse = |error: &ApiError, exchange| Reply::error(Dialect::Openai, error, false).respond(exchange);
    if model.is_empty() {
        return refuse(&ApiError::missing("model"), exchange);
    }
    if let Some(Kind::Error(error)) = Fault::of(&model).map(|fault| &fault.kind) {
        return refuse(error, exchange);
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|_| headers.get(SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13"));
    let Some(accepted) = key.and_then(|key| HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok()) else {
        return refuse(&ApiError::malformed("it is no WebSocket handshake of version 13"), exchange);
    };
    let offers_protocol = dialect::protocols(headers).any(|protocol| protocol == "realtime");
    let beta = headers.get("openai-beta").is_some_and(|value| value == "realtime=v1");
    exchange.note(|seen| (seen.status, seen.stream) = (Some(StatusCode::SWITCHING_PROTOCOLS), true));
    line.becomes(Session { provider: Arc::clone(provider), exchange, model, beta });
    let nothing = Script::content("", Bytes::new(), 0);
    let mut response = Response::new(Body::new(nothing, Pace::AT_ONCE, Ending::Clean, Exchange::unseen(provider)));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accepted);
    if offers_protocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("realtime"));
    }
    response
}

/// A talk that begins when its 101 is out. Dropped before, or cut off, it counts as cancelled.
pub(super) struct Session {
    provider: Arc<Provider>,
    exchange: Exchange,
    model: String,
    /// Whether the client wants the names of events that were used before the API was general.
    beta: bool,
}

impl Session {
    /// Talks until one side closes.
    pub(super) async fn run(self, stream: impl AsyncRead + AsyncWrite + Unpin, read_already: Bytes) {
        let limits = WebSocketConfig::default().max_message_size(Some(LARGEST_MESSAGE)).max_frame_size(Some(LARGEST_MESSAGE));
        let mut socket = WebSocketStream::from_partially_read(stream, read_already.to_vec(), Role::Server, Some(limits)).await;
        let Self { provider, mut exchange, model, beta } = self;
        let ended = if model == ECHO {
            echo(&mut socket, &mut exchange).await
        } else {
            Dialogue::new(&provider.options, model, beta).run(&mut socket, &mut exchange).await
        };
        // A close that was answered is an end; a connection that broke is a client that left.
        if matches!(ended, Ok(()) | Err(Error::ConnectionClosed)) {
            exchange.finish(End::Complete);
        }
    }
}

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>, exchange: &mut Exchange) -> Result<(), Error> {
    while let Some(message) = socket.next().await {
        let message = message?;
        if matches!(message, Message::Text(_) | Message::Binary(_)) {
            socket.send(message).await?;
            exchange.note(|seen| seen.tokens += 1);
        }
    }
    Ok(())
}
