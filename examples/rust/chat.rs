//! A streamed chat through Sidegate with nothing but an HTTP client.
//!
//! ```sh
//! cargo run --example chat -- "Why is the sky blue?"
//! ```
//!
//! `SIDEGATE_URL` is where Sidegate listens, `MODEL` the model to ask.

use std::{env, error::Error, io::Write};

use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let base = env::var("SIDEGATE_URL").unwrap_or_else(|_| "http://127.0.0.1:8080/v1".to_owned());
    let model = env::var("MODEL").unwrap_or_else(|_| "gpt-4o-mini".to_owned());
    let question = env::args().nth(1).unwrap_or_else(|| "Say hello.".to_owned());

    let uri: Uri = format!("{base}/chat/completions").parse()?;
    let authority = uri.authority().ok_or("SIDEGATE_URL must be such as http://127.0.0.1:8080/v1")?;
    let stream = TcpStream::connect((authority.host(), authority.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);

    let ask = json!({ "model": model, "stream": true, "messages": [{ "role": "user", "content": question }] });
    let request = Request::post(uri.path())
        .header(header::HOST, authority.as_str())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(ask.to_string())))?;
    let reply = sender.send_request(request).await?;
    let status = reply.status();
    let mut body = reply.into_body();
    if !status.is_success() {
        let error = body.collect().await?.to_bytes();
        return Err(format!("{status}: {}", String::from_utf8_lossy(&error)).into());
    }

    let mut events = Events::default();
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame?.into_data() {
            for text in events.texts(&bytes)? {
                print!("{text}");
                std::io::stdout().flush()?;
            }
        }
    }
    println!();
    Ok(())
}

/// Server-sent events that may arrive cut anywhere.
#[derive(Default)]
struct Events {
    rest: Vec<u8>,
}

impl Events {
    /// The text of each event that `bytes` completes.
    fn texts(&mut self, bytes: &[u8]) -> serde_json::Result<Vec<String>> {
        self.rest.extend_from_slice(bytes);
        let mut texts = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let Some(event) = line.trim_ascii_end().strip_prefix(b"data: ").filter(|event| *event != b"[DONE]") else { continue };
            let event: Value = serde_json::from_slice(event)?;
            texts.extend(event["choices"][0]["delta"]["content"].as_str().map(str::to_owned));
        }
        Ok(texts)
    }
}
