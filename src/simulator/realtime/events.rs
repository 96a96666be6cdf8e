//! The events of one reply: their names, their order, and when each is due.

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::simulator::{pace::Pace, text::Author};

/// Names of events that changed when the API became general.
pub(super) struct Names {
    /// What tells of a new item.
    pub(super) item: &'static [&'static str],
    delta: &'static str,
    done: &'static str,
    /// The type of a part of text.
    part: &'static str,
}

static GENERAL: Names = Names {
    item: &["conversation.item.added", "conversation.item.done"],
    delta: "response.output_text.delta",
    done: "response.output_text.done",
    part: "output_text",
};

static BETA: Names = Names { item: &["conversation.item.created"], delta: "response.text.delta", done: "response.text.done", part: "text" };

impl Names {
    pub(super) fn of(beta: bool) -> &'static Self {
        if beta { &BETA } else { &GENERAL }
    }
}

/// An item as the provider shows it: with an id, where the client gave it none.
pub(super) fn item_of(item: &Value) -> Value {
    let mut item = if item.is_object() { item.clone() } else { json!({}) };
    item["object"] = "realtime.item".into();
    item["status"] = "completed".into();
    if !item["id"].is_string() {
        item["id"] = format!("item_{:016x}", fastrand::u64(..)).into();
    }
    item
}

/// A reply on its way.
pub(super) struct Saying {
    names: &'static Names,
    id: String,
    item_id: String,
    tokens: Vec<String>,
    prompt_tokens: usize,
    said: usize,
    due: Instant,
}

impl Saying {
    /// A reply with the events that come before its first token.
    pub(super) fn begin(names: &'static Names, author: &mut Author, most: Option<usize>, pace: Pace) -> (Self, Vec<Value>) {
        let (id, item_id, text) = (author.id("resp_"), author.id("item_"), author.write(most));
        let (tokens, prompt_tokens) = (text.tokens, author.prompt_tokens);
        let saying = Self { names, id, item_id, tokens, prompt_tokens, said: 0, due: Instant::now() + pace.first };
        let events = vec![
            json!({ "type": "response.created", "response": saying.response("in_progress") }),
            json!({ "type": "response.output_item.added", "response_id": saying.id, "output_index": 0, "item": saying.item("in_progress", "") }),
            saying.event("response.content_part.added", "part", saying.part("")),
        ];
        (saying, events)
    }

    /// When the next token comes.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Whether the last token is out.
    pub(super) fn is_over(&self) -> bool {
        self.said == self.tokens.len()
    }

    /// The next token, and behind the last one what ends the reply.
    pub(super) fn next(&mut self, pace: Pace) -> Vec<Value> {
        let Some(token) = self.tokens.get(self.said) else { return Vec::new() };
        let mut events = vec![self.event(self.names.delta, "delta", token.as_str().into())];
        self.said += 1;
        self.due += pace.each;
        if self.is_over() {
            let text = self.text();
            events.push(self.event(self.names.done, "text", text.as_str().into()));
            events.push(self.event("response.content_part.done", "part", self.part(&text)));
            events.extend(self.end("completed"));
        }
        events
    }

    /// What ends a reply that the client does not want any more.
    pub(super) fn cancel(self) -> Vec<Value> {
        self.end("cancelled")
    }

    fn end(&self, status: &str) -> Vec<Value> {
        let item = self.item(if status == "completed" { status } else { "incomplete" }, &self.text());
        vec![
            json!({ "type": "response.output_item.done", "response_id": self.id, "output_index": 0, "item": item }),
            json!({ "type": "response.done", "response": self.response(status) }),
        ]
    }

    fn text(&self) -> String {
        self.tokens[..self.said].concat()
    }

    fn part(&self, text: &str) -> Value {
        json!({ "type": self.names.part, "text": text })
    }

    fn item(&self, status: &str, text: &str) -> Value {
        let content = if text.is_empty() { json!([]) } else { json!([self.part(text)]) };
        json!({ "id": self.item_id, "object": "realtime.item", "type": "message", "role": "assistant", "status": status, "content": content })
    }

    fn response(&self, status: &str) -> Value {
        let ended = status != "in_progress";
        let usage = json!({
            "total_tokens": self.prompt_tokens + self.said, "input_tokens": self.prompt_tokens, "output_tokens": self.said,
            "input_token_details": { "text_tokens": self.prompt_tokens, "audio_tokens": 0, "cached_tokens": 0 },
            "output_token_details": { "text_tokens": self.said, "audio_tokens": 0 },
        });
        json!({
            "object": "realtime.response", "id": self.id, "status": status, "status_details": null, "metadata": null,
            "output": if ended { json!([self.item("completed", &self.text())]) } else { json!([]) },
            "output_modalities": ["text"], "usage": ended.then_some(usage),
        })
    }

    fn event(&self, kind: &str, field: &str, value: Value) -> Value {
        json!({ "type": kind, "response_id": self.id, "item_id": self.item_id, "output_index": 0, "content_index": 0, field: value })
    }
}
