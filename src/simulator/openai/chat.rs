//! `POST /v1/chat/completions`, plain and streamed.

use std::{iter, rc::Rc};

use serde_json::{Value, json};

use super::{
    models::CREATED,
    sse,
    tools::{self, Said},
};
use crate::simulator::{
    answer::{Answer, Desk},
    ask::Ask,
    error::ApiError,
    script::{Event, Script},
};

/// Answers one request for a completion.
pub(super) fn answer(desk: &Desk<'_>, ask: &Ask) -> Answer {
    let model = ask.model()?;
    let mut author = desk.author(&ask.body["messages"]);
    let messages = ask.body["messages"].as_array().ok_or_else(|| ApiError::missing("messages"))?;
    // A model that has the result of its call goes on in words; else an agent would never come to an end.
    let answered = messages.last().is_some_and(|message| message["role"] == "tool");
    let call = if answered { None } else { tools::call(&ask.body["tools"], &ask.body["tool_choice"], &mut author) };
    let completion = Completion {
        id: author.id("chatcmpl-"),
        model: model.to_owned(),
        said: Said::new(call, ask.most(), &mut author),
        prompt_tokens: author.prompt_tokens,
        include_usage: ask.body["stream_options"]["include_usage"] == true,
    };
    Ok(if ask.stream { Rc::new(completion).stream() } else { completion.whole() })
}

/// A completion that has been thought of and not been said.
struct Completion {
    id: String,
    model: String,
    said: Said,
    prompt_tokens: usize,
    /// Whether the stream ends with a chunk for the usage.
    include_usage: bool,
}

impl Completion {
    fn finish_reason(&self) -> &'static str {
        match &self.said {
            Said::Call(_) => "tool_calls",
            Said::Words(text) if text.cut => "length",
            Said::Words(_) => "stop",
        }
    }

    fn usage(&self) -> Value {
        let (prompt, completion) = (self.prompt_tokens, self.said.tokens().len());
        json!({
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": { "cached_tokens": 0, "audio_tokens": 0 },
            "completion_tokens_details": {
                "reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
            },
        })
    }

    fn whole(&self) -> Script {
        let message = match &self.said {
            Said::Words(_) => json!({ "role": "assistant", "content": self.said.joined(), "refusal": null, "annotations": [] }),
            Said::Call(call) => {
                let function = json!({ "name": call.name, "arguments": self.said.joined() });
                let calls = [json!({ "id": call.id, "type": "function", "function": function })];
                json!({ "role": "assistant", "content": null, "tool_calls": calls, "refusal": null, "annotations": [] })
            }
        };
        let choice = json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": self.finish_reason() });
        let json = json!({
            "id": self.id, "object": "chat.completion", "created": CREATED, "model": self.model,
            "choices": [choice], "usage": self.usage(), "service_tier": "default", "system_fingerprint": FINGERPRINT,
        });
        Script::whole(&json, self.said.tokens().len())
    }

    fn stream(self: Rc<Self>) -> Script {
        let count = self.said.tokens().len();
        let (first, middle, last) = (Rc::clone(&self), Rc::clone(&self), self);
        let usage = last.include_usage.then(|| last.chunk(&json!([]), &last.usage()));
        let head = iter::once_with(move || (0, first.delta(&first.head(), None)));
        let tokens = (0..count).map(move |n| (n + 1, middle.delta(&middle.piece(n), None)));
        let finish = iter::once_with(move || (count, last.delta(&json!({}), Some(last.finish_reason()))));
        let chunks = head.chain(tokens).chain(finish).chain(usage.map(|chunk| (count, chunk)));
        let events = chunks.map(|(at, chunk)| Event { at, frame: sse::unnamed(&chunk) });
        Script::stream(events.chain(iter::once(Event { at: count, frame: sse::DONE })), count)
    }

    /// The delta before the first token.
    fn head(&self) -> Value {
        match &self.said {
            Said::Words(_) => json!({ "role": "assistant", "content": "", "refusal": null }),
            Said::Call(call) => {
                let function = json!({ "name": call.name, "arguments": "" });
                let calls = [json!({ "index": 0, "id": call.id, "type": "function", "function": function })];
                json!({ "role": "assistant", "content": null, "tool_calls": calls, "refusal": null })
            }
        }
    }

    /// The delta of the n-th token.
    fn piece(&self, n: usize) -> Value {
        let token = &self.said.tokens()[n];
        match &self.said {
            Said::Words(_) => json!({ "content": token }),
            Said::Call(_) => json!({ "tool_calls": [{ "index": 0, "function": { "arguments": token } }] }),
        }
    }

    fn delta(&self, delta: &Value, finish_reason: Option<&str>) -> Value {
        self.chunk(&json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason }]), &Value::Null)
    }

    /// A chunk. Its usage stands there, as null, only where the stream ends with one for the usage.
    fn chunk(&self, choices: &Value, usage: &Value) -> Value {
        let mut chunk = json!({
            "id": self.id, "object": "chat.completion.chunk", "created": CREATED, "model": self.model,
            "choices": choices, "service_tier": "default", "system_fingerprint": FINGERPRINT,
        });
        if self.include_usage {
            chunk["usage"] = usage.clone();
        }
        chunk
    }
}

/// The configuration that a reply came from; here there is only one.
const FINGERPRINT: &str = "fp_simulated";
