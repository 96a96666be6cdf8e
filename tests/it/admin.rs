//! The admin listener: what it tells, whom it lets change something, and that nobody can keep it from answering.

mod access;
mod cache;
mod decisions;
mod description;
mod figures;
mod health;
mod keys;
mod limits;
mod loris;
mod pages;
mod reload;

use std::net::SocketAddr;

use serde_json::Value;

use crate::support::{Client, Provider, Sidegate, client::Reply, eventually, within};

/// Two keys of equal weight, and one that is not in use.
const THREE_KEYS: &str = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
providers:
  scripted:
    base_url: http://$UPSTREAM/v1
    keys:
      - { name: first, value: sk-canary-first }
      - { name: second, value: sk-canary-second, account: org-b }
      - { name: spare, value: sk-canary-spare, weight: 0 }
routes: [{ path: /v1, targets: [scripted] }]
"#;

/// The same, where nothing is sent twice and nothing is left alone.
fn three_plain_keys() -> String {
    THREE_KEYS.replace("base_url:", "breaker: off\n    base_url:") + "retry: { attempts: 1 }\n"
}

/// Asks with these fields, each with its line end, beside the Host.
async fn ask(admin: SocketAddr, method: &str, path: &str, fields: &str) -> Reply {
    let host = if fields.contains("Host:") { String::new() } else { format!("Host: {admin}\r\n") };
    let mut client = Client::connect(admin).await;
    client.send(format!("{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n{fields}\r\n")).await;
    client.reply(method).await
}

/// The JSON that stands there now.
async fn json(sidegate: &Sidegate, path: &str) -> Value {
    sidegate.ask_admin(path).await.json()
}

/// Asks again and again until the answer is as wanted.
async fn json_becomes(sidegate: &Sidegate, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let reached = async {
        loop {
            let answer = json(sidegate, path).await;
            if wanted(&answer) {
                return answer;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    within(&format!("{path} becomes what is wanted"), reached).await
}

/// What `error.code` is.
fn code(reply: &Reply) -> String {
    let error = &reply.json()["error"];
    assert!(error["message"].as_str().is_some_and(|message| message.ends_with('.')), "{error}");
    error["code"].as_str().unwrap_or_default().to_owned()
}

/// The key of this name.
async fn key(sidegate: &Sidegate, name: &str) -> Value {
    let keys = json(sidegate, "/keys").await;
    let all = keys["keys"].as_array().unwrap();
    all.iter().find(|key| key["name"] == name).unwrap_or_else(|| panic!("no {name} in {keys}")).clone()
}

/// The credential of the next request at the provider.
async fn credential(provider: &mut Provider) -> String {
    provider.request().await.head.get("authorization").unwrap()
}

/// The same with a method that is never sent again.
async fn one_post(sidegate: &Sidegate, target: &str) -> u16 {
    let mut client = Client::connect(sidegate.address).await;
    client.post(target, "").await;
    client.reply("POST").await.status()
}

/// Sends one request over a connection of its own and reads the reply.
async fn one(sidegate: &Sidegate, target: &str) -> u16 {
    let mut client = Client::connect(sidegate.address).await;
    client.get(target).await;
    client.reply("GET").await.status()
}

/// Waits until so many lines are in the access log: each is of a request that is settled.
async fn settled(sidegate: &Sidegate, count: usize) {
    eventually("the access log", || sidegate.log_lines().len(), |lines| *lines >= count).await;
}
