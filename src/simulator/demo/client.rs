//! The demo's own client: one streamed chat completion over HTTP/1.1.

use std::{io, net::SocketAddr};

use bytes::Bytes;
use http::{
    Request,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// Asks the proxy at `address` for a reply and hands on each token as it arrives.
///
/// # Errors
/// The connection fails, the status is not 200, the stream ends before `[DONE]`, or `show` fails.
pub(super) async fn stream(address: SocketAddr, show: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // It ends with its last request; an error reaches the caller through the reply.
    tokio::spawn(connection);
    let response = sender.send_request(request(address)?).await.map_err(io::Error::other)?;
    let status = response.status();
    if !status.is_success() {
        let body = response.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
        return Err(io::Error::other(format!("the first request was answered {status}: {}", String::from_utf8_lossy(&body))));
    }
    tokens(response.into_body(), show).await
}

fn request(address: SocketAddr) -> io::Result<Request<Full<Bytes>>> {
    let body = json!({
        "model": "gpt-4o", "stream": true,
        "messages": [{ "role": "user", "content": "Tell me what you see." }],
    });
    Request::post("/v1/chat/completions")
        .header(HOST, address.to_string())
        .header(AUTHORIZATION, "Bearer anything")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::from(body.to_string()))
        .map_err(io::Error::other)
}

/// Reads events of one `data:` line each, as the simulated provider writes them, wherever the network cuts them.
async fn tokens(mut body: Incoming, mut show: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    let mut unread = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame.map_err(io::Error::other)?.into_data() else { continue };
        unread.extend_from_slice(&bytes);
        while let Some(end) = unread.windows(2).position(|pair| pair == b"\n\n") {
            let event: Vec<u8> = unread.drain(..end + 2).collect();
            let Some(json) = event.trim_ascii().strip_prefix(b"data: ") else { continue };
            if json == b"[DONE]" {
                return Ok(());
            }
            let chunk: Value = serde_json::from_slice(json)?;
            if let Some(token) = chunk["choices"][0]["delta"]["content"].as_str() {
                show(token)?;
            }
        }
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the first reply ended before its last event"))
}
