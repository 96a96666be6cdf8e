//! One request of a client that mends nothing: it sends no request again.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::time::timeout;

use crate::client::H1;

/// How long a client waits for all of a reply.
const PATIENCE: Duration = Duration::from_secs(30);

/// Every request of this process has a number of its own.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// What a client asks for.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) model: &'static str,
    pub(crate) stream: bool,
    /// Bytes of the prompt.
    pub(crate) prompt: usize,
    /// The key that it brings, where nobody swaps it.
    pub(crate) key: String,
}

impl Ask {
    pub(crate) fn of(model: &'static str) -> Self {
        Self { model, stream: false, prompt: 40, key: "sk-of-the-client".to_owned() }
    }

    pub(crate) fn streamed(self) -> Self {
        Self { stream: true, ..self }
    }

    fn body(&self) -> String {
        let prompt = "p".repeat(self.prompt);
        json!({ "model": self.model, "stream": self.stream, "max_tokens": 8, "messages": [{ "role": "user", "content": prompt }] })
            .to_string()
    }
}

/// What became of it.
pub(crate) struct Outcome {
    /// The client's name for the request, which goes up with it.
    pub(crate) name: String,
    /// The other side's name for it.
    pub(crate) id: Option<String>,
    pub(crate) begun: Instant,
    /// Until the head of the reply.
    pub(crate) head: Duration,
    /// Until its end.
    pub(crate) took: Duration,
    /// `None` where no head came.
    pub(crate) status: Option<u16>,
    /// All of it came, to its proper end.
    pub(crate) whole: bool,
}

impl Outcome {
    pub(crate) fn is_good(&self) -> bool {
        self.status == Some(200) && self.whole
    }

    /// What went wrong, in a word.
    pub(crate) fn word(&self) -> String {
        match self.status {
            None => "no reply".to_owned(),
            Some(200) if self.whole => "good".to_owned(),
            Some(200) => "truncated".to_owned(),
            Some(status) => status.to_string(),
        }
    }
}

/// Clients of one address, and the connections that they have left open.
pub(crate) struct Caller {
    to: SocketAddr,
    idle: Mutex<Vec<H1>>,
}

impl Caller {
    pub(crate) fn to(to: SocketAddr) -> Self {
        Self { to, idle: Mutex::default() }
    }

    pub(crate) async fn call(&self, ask: &Ask) -> Outcome {
        let begun = Instant::now();
        let name = format!("prove-{}", NEXT.fetch_add(1, Relaxed));
        let mut outcome = Outcome { name, id: None, begun, head: PATIENCE, took: PATIENCE, status: None, whole: false };
        // Whatever breaks it is seen in what is missing.
        let _ = timeout(PATIENCE, self.converse(ask, &mut outcome)).await;
        outcome.took = begun.elapsed();
        outcome
    }

    async fn converse(&self, ask: &Ask, outcome: &mut Outcome) -> io::Result<()> {
        let mut connection = self.connection().await?;
        let fields = format!("Authorization: Bearer {}\r\nX-Request-Id: {}\r\n", ask.key, outcome.name);
        connection.ask_with("POST", "/v1/chat/completions", &fields, &ask.body()).await?;
        let reply = connection.reply().await?;
        (outcome.head, outcome.status) = (outcome.begun.elapsed(), Some(reply.status));
        outcome.id.clone_from(&reply.id);
        let body = connection.body(&reply).await?;
        let ended = !ask.stream || reply.status != 200 || body.windows(6).any(|window| window == b"[DONE]");
        outcome.whole = ended;
        if !reply.closes {
            self.idle.lock().expect("no one panics with it").push(connection);
        }
        Ok(())
    }

    /// Sends a request, whatever it is, and leaves after `patience` or with the first part of the reply that comes before.
    pub(crate) async fn leave(&self, path: &str, body: &str, patience: Duration) -> Option<u16> {
        let begun = async {
            let mut connection = self.connection().await?;
            connection.ask_with("POST", path, "Authorization: Bearer sk-of-the-client\r\n", body).await?;
            connection.reply().await
        };
        timeout(patience, begun).await.ok()?.ok().map(|reply| reply.status)
    }

    async fn connection(&self) -> io::Result<H1> {
        while let Some(idle) = self.taken() {
            if !idle.is_closed() {
                return Ok(idle);
            }
        }
        H1::open(self.to).await
    }

    fn taken(&self) -> Option<H1> {
        self.idle.lock().expect("no one panics with it").pop()
    }
}
