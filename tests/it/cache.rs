//! The same question is paid for once: who asks it again gets the same bytes, and nobody gets an answer that is another's.

mod directives;
mod hits;
mod limits;
mod poisoning;
mod purge;
mod refusals;
mod sharing;
mod stale;
mod surfaces;
mod unfit;

use sidegate::config::KeyHash;

use crate::support::{Client, Provider, Script, Sidegate, client::Reply, eventually};

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const ASK: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;
pub(crate) const STREAMED: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"stream":true}"#;
/// Another question.
pub(crate) const OTHER: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"ho"}]}"#;
pub(crate) const CACHED: &str = "cache: { ttl: 10m }\n";
pub(crate) const STORED: &str = "sidegate_cache_stored_total";

/// A whole and good reply of OpenAI's that says this.
pub(crate) fn answer(says: &str) -> String {
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{{"index":0,"message":{{"role":"assistant","content":"{says}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":16,"completion_tokens":4,"total_tokens":20}}}}"#
    )
}

/// Answers with it.
pub(crate) fn reply(says: &str) -> Script {
    Script::json("200 OK", &answer(says))
}

/// The events of a whole and good stream that says this.
pub(crate) fn events(says: &str) -> [String; 4] {
    let event = |delta: &str, reason: &str| {
        format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{reason}}}]}}\n\n"
        )
    };
    [
        event("{\"role\":\"assistant\",\"content\":\"\"}", "null"),
        event(&format!("{{\"content\":\"{says}\"}}"), "null"),
        event("{}", "\"stop\""),
        "data: [DONE]\n\n".to_owned(),
    ]
}

/// Answers with them, a chunk each.
pub(crate) fn stream(says: &str) -> Script {
    Script::events(&events(says).each_ref().map(String::as_str))
}

/// A provider without a script, and Sidegate before it with a cache and what else is said.
async fn house(sections: &str) -> (Provider, Sidegate) {
    let provider = Provider::start().await;
    let cached = if sections.contains("cache:") { "" } else { CACHED };
    let sidegate = Sidegate::with(&format!("{cached}{sections}"), provider.address).await;
    (provider, sidegate)
}

/// Client keys `sg-0` and on, one for each of these tiers, and nobody else.
pub(crate) fn clients(tiers: &[&str]) -> String {
    let key = |(n, tier)| format!("{{ name: client-{n}, sha256: {}, tier: {tier} }}", KeyHash::of(format!("sg-{n}").as_bytes()));
    let keys: Vec<_> = tiers.iter().enumerate().map(key).collect();
    format!("clients: {{ anonymous: deny, keys: [{}] }}\n", keys.join(", "))
}

/// What the client of this number proves itself with.
pub(crate) fn credential(n: usize) -> String {
    format!("Authorization: Bearer sg-{n}\r\n")
}

/// Asks over a connection of its own, with these fields, each with its line end.
pub(crate) async fn ask_at(sidegate: &Sidegate, target: &str, fields: &str, body: &str) -> Reply {
    let mut client = Client::connect(sidegate.address).await;
    client.post_with(target, &format!("Content-Type: application/json\r\n{fields}"), body).await;
    client.reply("POST").await
}

/// Asks for a completion.
pub(crate) async fn ask_with(sidegate: &Sidegate, fields: &str, body: &str) -> Reply {
    ask_at(sidegate, CHAT, fields, body).await
}

/// Asks for a completion, and for nothing else.
pub(crate) async fn ask(sidegate: &Sidegate, body: &str) -> Reply {
    ask_with(sidegate, "", body).await
}

/// What the reply says that the cache had to do with it.
pub(crate) fn cached(reply: &Reply) -> String {
    reply.head.get("x-sidegate-cache").unwrap_or_default()
}

/// Waits until so many replies have been stored since the beginning.
pub(crate) async fn stored(sidegate: &Sidegate, count: u32) {
    sidegate.metric_becomes(STORED, f64::from(count)).await;
}

/// Waits until so many requests have been settled.
pub(crate) async fn settled(sidegate: &Sidegate, count: usize) {
    eventually("requests are settled", || sidegate.log_lines().len(), |lines| *lines >= count).await;
}

/// What must be the same in two replies to the same question.
#[track_caller]
pub(crate) fn assert_same(first: &Reply, second: &Reply) {
    let told = |reply: &Reply| {
        let fields = ["content-type", "content-encoding"].map(|name| reply.head.get(name));
        (reply.status(), fields, reply.text(), reply.is_complete())
    };
    assert_eq!(told(first), told(second));
    assert_eq!(first.body.bytes, second.body.bytes);
}
