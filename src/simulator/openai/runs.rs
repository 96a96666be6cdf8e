//! Runs of an assistant over a thread: the reply is a message there, whole or as a stream of events.

use std::iter;

use serde_json::{Value, json};

use super::{
    born,
    collections::{self, Kind},
    models::CREATED,
};
use crate::simulator::{
    answer::{Answer, Desk},
    ask::Ask,
    error::ApiError,
    script::{Event, Script},
};

/// `POST /v1/threads/runs`: a thread with its first messages, and a run over it.
pub(super) fn create_with_thread(desk: &Desk<'_>, ask: &Ask) -> Answer {
    // Looked at first: a request that is refused leaves nothing behind.
    collections::find(desk, "assistants", ask.text("assistant_id")?)?;
    let thread = collections::create(desk, kind(desk, "", "threads")?, "threads", json!({ "metadata": {} }));
    let id = thread["id"].as_str().unwrap_or_default();
    for message in ask.body["thread"]["messages"].as_array().into_iter().flatten() {
        let home = format!("threads/{id}/messages");
        collections::create(desk, kind(desk, "threads", "messages")?, &home, born::message(id, message, &Value::Null));
    }
    create(desk, &format!("threads/{id}/runs"), ask)
}

fn kind(desk: &Desk<'_>, parent: &str, name: &str) -> Result<&'static Kind, ApiError> {
    Kind::of(parent, name).ok_or_else(|| desk.unknown())
}

/// `POST /v1/threads/{id}/runs`.
pub(super) fn create(desk: &Desk<'_>, home: &str, ask: &Ask) -> Answer {
    let assistant = collections::find(desk, "assistants", ask.text("assistant_id")?)?;
    let thread = home.split('/').nth(1).unwrap_or_default();
    let messages = format!("threads/{thread}/messages");
    let past: Vec<Value> = desk.provider.store.list(desk.key.owner.account, &messages).iter().map(|m| m.json["content"].clone()).collect();
    let mut author = desk.author(&json!(past));
    let text = author.write(ask.tokens("max_completion_tokens"));
    let (prompt, count) = (author.prompt_tokens, text.tokens.len());
    let setting = |field: &str| ask.body.get(field).filter(|value| !value.is_null()).unwrap_or(&assistant.json[field]).clone();
    let run = collections::create(
        desk,
        kind(desk, "threads", "runs")?,
        home,
        json!({
            "thread_id": thread, "assistant_id": assistant.id, "status": "completed", "model": setting("model"),
            "instructions": assistant.json["instructions"].as_str().unwrap_or_default(), "tools": setting("tools"), "metadata": {},
            "started_at": CREATED, "completed_at": CREATED, "expires_at": null, "cancelled_at": null, "failed_at": null,
            "last_error": null, "required_action": null, "incomplete_details": null, "temperature": 1.0, "top_p": 1.0,
            "max_completion_tokens": ask.body["max_completion_tokens"], "max_prompt_tokens": null, "parallel_tool_calls": true,
            "truncation_strategy": { "type": "auto", "last_messages": null }, "tool_choice": "auto", "response_format": "auto",
            "usage": { "prompt_tokens": prompt, "completion_tokens": count, "total_tokens": prompt + count },
        }),
    );
    let said = json!({ "role": "assistant", "content": text.tokens.concat() });
    let message = collections::create(desk, kind(desk, "threads", "messages")?, &messages, born::message(thread, &said, &run));
    Ok(if ask.stream { stream(&run, &message, text.tokens) } else { Script::at_once(&run) })
}

/// The events of a run: each a name and an object, and at last the word that it is done.
fn stream(run: &Value, message: &Value, tokens: Vec<String>) -> Script {
    let count = tokens.len();
    let with = |object: &Value, status: &str| {
        let mut object = object.clone();
        object["status"] = status.into();
        object
    };
    let mut empty = with(message, "in_progress");
    empty["content"] = json!([]);
    let head = [
        ("thread.run.created", with(run, "queued")),
        ("thread.run.queued", with(run, "queued")),
        ("thread.run.in_progress", with(run, "in_progress")),
        ("thread.message.created", empty.clone()),
        ("thread.message.in_progress", empty),
    ];
    let tail = [("thread.message.completed", message.clone()), ("thread.run.completed", with(run, "completed"))];
    let id = message["id"].clone();
    let delta = move |token: String| {
        let content = json!([{ "index": 0, "type": "text", "text": { "value": token } }]);
        ("thread.message.delta", json!({ "id": id, "object": "thread.message.delta", "delta": { "content": content } }))
    };
    let head = head.into_iter().map(|event| (0, event));
    let deltas = tokens.into_iter().enumerate().map(move |(n, token)| (n + 1, delta(token)));
    let events = head.chain(deltas).chain(tail.into_iter().map(move |event| (count, event)));
    let events = events.map(|(at, (name, json))| Event { at, frame: format!("event: {name}\ndata: {json}\n\n").into() });
    Script::stream(events.chain(iter::once(Event { at: count, frame: "event: done\ndata: [DONE]\n\n".into() })), count)
}
