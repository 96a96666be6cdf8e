//! What the admin listener tells of keys, breakers and decisions, and what an operator may change there.

use serde_json::Value;

use super::{Client, Sidegate, client::Reply, within};

impl Sidegate {
    /// The JSON that stands there now.
    pub(crate) async fn admin_json(&self, path: &str) -> Value {
        self.ask_admin(path).await.json()
    }

    /// Asks again and again until the answer is as wanted.
    pub(crate) async fn admin_becomes(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let last = std::sync::Mutex::new(Value::Null);
        let asking = async {
            loop {
                let answer = self.admin_json(path).await;
                if wanted(&answer) {
                    return Some(answer);
                }
                *last.lock().unwrap() = answer;
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let giving_up = tokio::time::timeout(super::PATIENCE, asking).await.unwrap_or_default();
        giving_up.unwrap_or_else(|| panic!("{path} does not become what is wanted: {:#}", last.lock().unwrap()))
    }

    /// An operator's word.
    pub(crate) async fn tell_admin(&self, path: &str) -> Reply {
        let mut client = Client::connect(self.admin).await;
        client.send(format!("POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin)).await;
        client.reply("POST").await
    }

    /// The key of this name, as `/keys` tells it.
    pub(crate) async fn key(&self, name: &str) -> Value {
        let keys = self.admin_json("/keys").await;
        find(&keys["keys"], |key| key["name"] == name).unwrap_or_else(|| panic!("no key {name} in {keys}"))
    }

    /// How the keys of these names are.
    pub(crate) async fn states<const N: usize>(&self, names: [&str; N]) -> [String; N] {
        let keys = self.admin_json("/keys").await;
        names.map(|name| {
            let key = find(&keys["keys"], |key| key["name"] == name).unwrap_or_else(|| panic!("no key {name} in {keys}"));
            text(&key["state"])
        })
    }

    /// Does this to the key of this name.
    pub(crate) async fn change_key(&self, name: &str, to: &str) {
        let id = text(&self.key(name).await["id"]);
        let reply = self.tell_admin(&format!("/keys/{id}/{to}")).await;
        assert_eq!(reply.status(), 200, "{}", reply.text());
    }

    /// The state of a breaker: of a provider's host, or of one model there. One that nobody has heard of is closed.
    pub(crate) async fn breaker(&self, provider: &str, model: Option<&str>) -> String {
        self.breaker_entry(provider, model).await.map_or_else(|| "closed".to_owned(), |entry| text(&entry["state"]))
    }

    /// Does this to the breaker of a model, or without one to the host's.
    pub(crate) async fn change_breaker(&self, provider: &str, model: Option<&str>, to: &str) {
        let query = model.map(|model| format!("?model={model}")).unwrap_or_default();
        let reply = self.tell_admin(&format!("/breakers/{provider}/{to}{query}")).await;
        assert_eq!(reply.status(), 200, "{}", reply.text());
    }

    /// What else is told of it.
    pub(crate) async fn breaker_entry(&self, provider: &str, model: Option<&str>) -> Option<Value> {
        let breakers = self.admin_json("/breakers").await;
        let scope = if model.is_some() { "model" } else { "host" };
        find(&breakers["breakers"], |entry| entry["provider"] == provider && entry["scope"] == scope && entry["model"].as_str() == model)
    }

    /// Waits until a breaker is in this state.
    pub(crate) async fn breaker_becomes(&self, provider: &str, model: Option<&str>, state: &str) {
        let reached = async {
            while self.breaker(provider, model).await != state {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        within(&format!("the breaker of {provider} and {model:?} is {state}"), reached).await;
    }

    /// Every breaker that is not closed.
    pub(crate) async fn tripped(&self) -> Vec<Value> {
        let breakers = self.admin_json("/breakers").await;
        let all = breakers["breakers"].as_array().unwrap_or_else(|| panic!("no breakers in {breakers}"));
        all.iter().filter(|entry| entry["state"] != "closed").cloned().collect()
    }

    /// Why the request with this reply went where it went.
    pub(crate) async fn decision(&self, reply: &Reply) -> Value {
        let id = reply.head.get("x-request-id").expect("every reply has an id");
        // It is written when the request is settled, a moment after its last byte.
        let told = self.admin_becomes(&format!("/decisions/{id}"), |told| told["decisions"].is_array()).await;
        told["decisions"][0].clone()
    }

    /// Every key is active, no model of it rests, and every breaker is closed.
    pub(crate) async fn blames_nobody(&self) {
        let keys = self.admin_json("/keys").await;
        for key in keys["keys"].as_array().unwrap() {
            assert_eq!((&key["state"], &key["until"]), (&"active".into(), &Value::Null), "{key:#}");
            let rests = key["models"].as_array().unwrap().iter().any(|model| model["state"] != "active");
            assert!(!rests, "{key:#}");
        }
        assert_eq!(self.tripped().await, Vec::<Value>::new());
    }

    /// Waits until everything that was taken is given back: requests and keys in flight, streams, places in line.
    pub(crate) async fn holds_nothing(&self) {
        let reached = async {
            loop {
                let page = self.ask_admin("/metrics").await.text();
                let taken: Vec<&str> = page.lines().filter(|line| is_taken(line)).collect();
                if taken.is_empty() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        within("everything is given back", reached).await;
    }
}

/// Whether this line of the metrics tells of something that is held now.
fn is_taken(line: &str) -> bool {
    let gauge = |name: &str| {
        ["_in_flight", "_waiting", "sidegate_streams_open", "sidegate_body_buffered_bytes"].iter().any(|end| name.ends_with(end))
    };
    let Some((series, value)) = line.rsplit_once(' ') else { return false };
    let name = series.split('{').next().unwrap_or_default();
    !line.starts_with('#') && gauge(name) && value != "0"
}

fn find(entries: &Value, is: impl Fn(&Value) -> bool) -> Option<Value> {
    entries.as_array().and_then(|entries| entries.iter().find(|entry| is(entry)).cloned())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
