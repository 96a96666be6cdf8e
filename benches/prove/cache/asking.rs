//! A client that keeps all that it was told, also of a reply that breaks off.

use std::{collections::BTreeMap, io, net::SocketAddr, time::Duration};

use bytes::BytesMut;
use serde_json::json;
use tokio::time::timeout;

use crate::client::H1;

/// How long a client waits for all of a reply.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) const CHAT: &str = "/v1/chat/completions";

/// What a client was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// `None` where no head came.
    pub(super) status: Option<u16>,
    /// What its reply says of the cache; empty where it says nothing.
    pub(super) cached: String,
    pub(super) body: BytesMut,
    /// What it saw instead of a proper end.
    pub(super) broke: Option<io::ErrorKind>,
}

impl Told {
    /// A good stream, or a good reply that is none.
    pub(super) fn is_good(&self) -> bool {
        let ended = self.body.starts_with(b"{") || self.body.ends_with(b"data: [DONE]\n\n");
        self.status == Some(200) && self.broke.is_none() && ended
    }

    /// What a client can tell from another's: all but whether it has led.
    pub(super) fn seen(&self) -> (Option<u16>, &[u8], Option<io::ErrorKind>) {
        (self.status, &self.body, self.broke)
    }
}

/// The body of a question to this model.
pub(super) fn question(model: &str, prompt: &str, stream: bool) -> String {
    json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": prompt }] }).to_string()
}

/// Asks on a connection of its own.
pub(super) async fn ask(to: SocketAddr, fields: &str, body: &str) -> Told {
    match H1::open(to).await {
        Ok(mut connection) => ask_on(&mut connection, fields, body).await,
        Err(error) => Told { broke: Some(error.kind()), ..Told::default() },
    }
}

/// Asks on this connection.
pub(super) async fn ask_on(connection: &mut H1, fields: &str, body: &str) -> Told {
    let mut told = Told::default();
    let asked = async {
        connection.ask_with("POST", CHAT, fields, body).await?;
        hear(connection, &mut told).await
    };
    let ended = timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    told.broke = ended.err().map(|error| error.kind());
    told
}

/// Sends these bytes, and hears what comes.
pub(super) async fn send(to: SocketAddr, bytes: &[u8]) -> Told {
    let mut told = Told::default();
    let asked = async {
        let mut connection = H1::open(to).await?;
        connection.send(bytes).await?;
        hear(&mut connection, &mut told).await
    };
    let ended = timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    told.broke = ended.err().map(|error| error.kind());
    told
}

async fn hear(connection: &mut H1, told: &mut Told) -> io::Result<()> {
    let reply = connection.reply().await?;
    told.status = Some(reply.status);
    told.cached.clone_from(&reply.cached);
    connection.body_into(&reply, &mut told.body).await
}

/// How many replies said what of the cache.
pub(super) fn words<'a>(told: impl IntoIterator<Item = &'a Told>) -> String {
    let mut words = BTreeMap::<&str, usize>::new();
    for told in told {
        *words.entry(if told.cached.is_empty() { "none" } else { &told.cached }).or_default() += 1;
    }
    words.iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}
