//! Callers with tokens: which hold, which are refused and why, where the keys come from, and that no flood of tokens reaches the issuer.

mod attacks;
mod config;
mod issuer;
mod properties;

use serde_json::Value;

use crate::support::{
    Client, Sidegate, Signer,
    client::Reply,
    eventually,
    signer::{claims, key_set},
};

/// The `clients:` of a config that takes tokens with `section`, and lets in others as `free`.
fn clients(section: &str) -> String {
    format!("clients: {{ anonymous: free, jwt: {{ audience: sidegate, {section} }} }}\n")
}

/// One in which these keys are written.
fn written(signers: &[&Signer], more: &str) -> String {
    let keys: Vec<_> = signers.iter().map(|signer| signer.jwk().to_string()).collect();
    clients(&format!("keys: [{}]{more}", keys.join(", ")))
}

/// Asks with this token on a connection of its own.
async fn ask(sidegate: &Sidegate, token: &str) -> Reply {
    ask_with(sidegate, &format!("Authorization: Bearer {token}\r\n")).await
}

async fn ask_with(sidegate: &Sidegate, fields: &str) -> Reply {
    let mut client = Client::connect(sidegate.address).await;
    client.get_with("/v1/models", fields).await;
    client.reply("GET").await
}

/// What the access log says of the request that had this reply.
async fn line_of(sidegate: &Sidegate, reply: &Reply) -> Value {
    let id = reply.head.get("x-request-id").unwrap();
    let line = || sidegate.log_lines().into_iter().find(|line| line.contains(&id));
    serde_json::from_str(&eventually("a line for this request", line, Option::is_some).await.unwrap()).unwrap()
}

/// The status, our own error's code, and why, as the log says it.
async fn outcome(sidegate: &Sidegate, token: &str) -> (u16, Option<String>, Option<String>) {
    let reply = ask(sidegate, token).await;
    let line = line_of(sidegate, &reply).await;
    assert!(!line.to_string().contains(token), "the log shows a token");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    (reply.status(), text(&line["error"]), text(&line["failure"]))
}

/// How a token is refused for this reason.
fn refused(why: &str) -> (u16, Option<String>, Option<String>) {
    (401, Some("invalid_jwt".to_owned()), Some(why.to_owned()))
}
