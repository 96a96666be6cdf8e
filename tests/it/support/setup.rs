//! Sidegate before several providers, with several keys, put together a line at a time.

use std::net::SocketAddr;

use super::{Client, Sidegate, client::Reply};

/// What a story changes of the config. Providers and targets are told as YAML in one line.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    providers: String,
    targets: Vec<String>,
    route: String,
    sections: String,
    more_workers: usize,
}

impl Setup {
    /// One provider called `scripted`, with these lines about it.
    pub(crate) fn of(address: SocketAddr, about: &str) -> Self {
        Self::default().provider("scripted", address, about).target("scripted")
    }

    /// One more provider: its name, its place and what else is said of it, such as `keys: [...], breaker: off`.
    pub(crate) fn provider(mut self, name: &str, address: SocketAddr, about: &str) -> Self {
        let keys = if about.contains("keys:") { String::new() } else { format!("keys: [{{ name: {name}, value: sk-{name} }}], ") };
        self.providers += &format!("  {name}: {{ base_url: \"http://{address}/v1\", {keys}{about} }}\n");
        self
    }

    /// The next target of the only route: a name, or `{ provider: ..., model: ... }`.
    pub(crate) fn target(mut self, target: &str) -> Self {
        self.targets.push(target.to_owned());
        self
    }

    /// More about the route, such as `order: cheapest`.
    pub(crate) fn route(mut self, about: &str) -> Self {
        self.route += &format!(", {about}");
        self
    }

    /// A section of its own, such as `retry: { attempts: 1 }`.
    pub(crate) fn section(mut self, section: &str) -> Self {
        self.sections += section;
        self.sections += "\n";
        self
    }

    /// With so many workers beside the one.
    pub(crate) fn more_workers(mut self, count: usize) -> Self {
        self.more_workers = count;
        self
    }

    /// The config as text.
    pub(crate) fn text(&self) -> String {
        let Self { providers, targets, route, sections, more_workers } = self;
        let workers = more_workers + 1;
        format!(
            "listen: {{ address: \"127.0.0.1:0\", workers: {workers} }}\nadmin: {{ address: \"127.0.0.1:0\" }}\nproviders:\n{providers}\
             routes:\n  - {{ path: /v1, targets: [{}]{route} }}\n{sections}",
            targets.join(", ")
        )
    }

    pub(crate) async fn start(&self) -> Sidegate {
        Sidegate::start(&self.text(), SocketAddr::from(([127, 0, 0, 1], 0))).await
    }
}

impl Sidegate {
    /// Asks `model` for a completion over a connection of its own and reads the whole reply.
    pub(crate) async fn chat(&self, model: &str) -> Reply {
        Client::connect(self.address).await.chat(model).await
    }

    /// The same `count` times, one after the other; the statuses.
    pub(crate) async fn chats(&self, model: &str, count: usize) -> Vec<u16> {
        let (mut client, mut statuses) = (Client::connect(self.address).await, Vec::new());
        for _ in 0..count {
            let reply = client.chat(model).await;
            statuses.push(reply.status());
            if reply.head.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                client = Client::connect(self.address).await;
            }
        }
        statuses
    }
}
