//! Sidegate's admin listener, as an operator asks it.

use std::{io, net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::time::timeout;

use crate::client::H1;

/// One kept-alive connection to it.
pub(crate) struct Admin {
    address: SocketAddr,
    connection: Option<H1>,
}

impl Admin {
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    /// Status and body.
    pub(crate) async fn ask(&mut self, method: &str, path: &str) -> io::Result<(u16, String)> {
        self.say(method, path, "").await
    }

    /// The same with a body.
    pub(crate) async fn say(&mut self, method: &str, path: &str, body: &str) -> io::Result<(u16, String)> {
        let asked = async {
            let mut connection = match self.connection.take() {
                Some(connection) if !connection.is_closed() => connection,
                _ => H1::open(self.address).await?,
            };
            connection.ask(method, path, body).await?;
            let reply = connection.reply().await?;
            let body = connection.body(&reply).await?;
            self.connection = (!reply.closes).then_some(connection);
            Ok((reply.status, String::from_utf8_lossy(&body).into_owned()))
        };
        timeout(Duration::from_secs(20), asked).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// `GET /config`.
    pub(crate) async fn config(&mut self) -> Value {
        let (_, body) = self.ask("GET", "/config").await.expect("the admin listener answers");
        serde_json::from_str(&body).expect("JSON")
    }

    /// The config's number.
    pub(crate) async fn generation(&mut self) -> u64 {
        self.config().await["generation"].as_u64().expect("a generation")
    }
}
