//! A provider that says what it is told to, by raw bytes: no two of its replies are alike.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::sleep,
};

/// A request: its head, its body, and which one it is.
pub(super) struct Request<'a> {
    pub(super) head: &'a str,
    pub(super) body: &'a str,
    pub(super) number: u64,
}

/// What is said to it.
pub(super) struct Answer {
    /// After how long.
    pub(super) after: Duration,
    /// Head and body.
    pub(super) bytes: Vec<u8>,
    /// Whether the connection is closed behind that.
    pub(super) leaves: bool,
}

impl Answer {
    /// At once, with no word behind it.
    pub(super) fn of(bytes: impl Into<Vec<u8>>) -> Self {
        Self { after: Duration::ZERO, bytes: bytes.into(), leaves: false }
    }

    /// A whole good reply, unlike all others, whose text this is.
    pub(super) fn good(number: u64, text: &str) -> Self {
        Self::of(json(&format!(
            r#"{{"id":"chatcmpl-{number}","object":"chat.completion","created":1,"model":"gpt-4o-mini","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":20,"completion_tokens":100,"total_tokens":120}}}}"#
        )))
    }
}

/// A reply of this JSON.
pub(super) fn json(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

type Script = dyn Fn(&Request<'_>) -> Answer + Send + Sync;

/// The provider; dropping it closes its port.
pub(super) struct Scripted {
    pub(super) address: SocketAddr,
    calls: Arc<AtomicU64>,
    accepting: AbortHandle,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Scripted {
    pub(super) async fn start(script: impl Fn(&Request<'_>) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let calls = Arc::new(AtomicU64::new(0));
        let (script, counted): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&calls));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, calls) = (Arc::clone(&script), Arc::clone(&counted));
                // An error is a peer that left.
                tokio::spawn(async move { drop(converse(stream, &*script, &calls).await) });
            }
        });
        Self { address, calls, accepting: accepting.abort_handle() }
    }

    /// How many requests came, whatever became of them.
    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }
}

async fn converse(mut stream: TcpStream, script: &Script, calls: &AtomicU64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = BytesMut::new();
    loop {
        let head = loop {
            if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break buffer.split_to(at + 4);
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(&head).into_owned();
        let length = head.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length = length.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0);
        while buffer.len() < length {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let body = buffer.split_to(length);
        let number = calls.fetch_add(1, Relaxed);
        let answer = script(&Request { head: &head, body: &String::from_utf8_lossy(&body), number });
        if !answer.after.is_zero() {
            sleep(answer.after).await;
        }
        stream.write_all(&answer.bytes).await?;
        if answer.leaves {
            return Ok(());
        }
    }
}
