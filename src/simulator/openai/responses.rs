//! `POST /v1/responses`, plain and streamed. A stream names its events, and its last one carries the whole response.

use std::{iter, rc::Rc};

use serde_json::{Value, json};

use super::{
    models::CREATED,
    sse, stored,
    tools::{self, Said},
};
use crate::simulator::{
    answer::{Answer, Desk},
    ask::Ask,
    error::ApiError,
    script::{Event, Script},
};

/// Answers one request for a response.
pub(super) fn answer(desk: &Desk<'_>, ask: Ask) -> Answer {
    ask.model()?;
    stored::check_past(desk, &ask.body)?;
    let mut author = desk.author(&ask.body["input"]);
    let input = &ask.body["input"];
    if input.is_null() {
        return Err(ApiError::missing("input"));
    }
    // As with chat: the result of a call is followed by words.
    let answered = input.as_array().and_then(|items| items.last()).is_some_and(|item| item["type"] == "function_call_output");
    let call = if answered { None } else { tools::call(&ask.body["tools"], &ask.body["tool_choice"], &mut author) };
    let item_prefix = if call.is_some() { "fc_" } else { "msg_" };
    let reply = Reply {
        id: author.id("resp_"),
        item_id: author.id(item_prefix),
        said: Said::new(call, ask.most(), &mut author),
        input_tokens: author.prompt_tokens,
        ask,
    };
    stored::keep(desk, &reply.ask.body, reply.response(Status::Ended));
    if reply.ask.body["background"] == true && !reply.ask.stream {
        return Ok(Script::at_once(&reply.response(Status::Begun)));
    }
    Ok(if reply.ask.stream { Rc::new(reply).stream() } else { Script::whole(&reply.response(Status::Ended), reply.said.tokens().len()) })
}

/// `POST /v1/responses/input_tokens`.
pub(super) fn count(desk: &Desk<'_>, ask: &Ask) -> Answer {
    ask.readable()?;
    let tokens = desk.author(&ask.body["input"]).prompt_tokens;
    Ok(Script::at_once(&json!({ "object": "response.input_tokens", "input_tokens": tokens })))
}

/// A response that has been thought of and not been said.
struct Reply {
    id: String,
    item_id: String,
    said: Said,
    input_tokens: usize,
    ask: Ask,
}

/// Where a response stands when an event shows it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Begun,
    Ended,
}

impl Reply {
    /// Whether it stops because the request asked for no more.
    fn cut(&self) -> bool {
        matches!(&self.said, Said::Words(text) if text.cut)
    }

    /// `status` as the wire has it.
    fn word(&self, status: Status) -> &'static str {
        match status {
            Status::Begun => "in_progress",
            Status::Ended if self.cut() => "incomplete",
            Status::Ended => "completed",
        }
    }

    fn usage(&self) -> Value {
        let (input, output) = (self.input_tokens, self.said.tokens().len());
        json!({
            "input_tokens": input, "input_tokens_details": { "cached_tokens": 0 },
            "output_tokens": output, "output_tokens_details": { "reasoning_tokens": 0 },
            "total_tokens": input + output,
        })
    }

    /// The response object. What the request set stands in it, as with the real one.
    fn response(&self, status: Status) -> Value {
        let ended = status == Status::Ended;
        let asked = |field: &str, default: Value| self.ask.body.get(field).cloned().unwrap_or(default);
        json!({
            "id": self.id, "object": "response", "created_at": CREATED, "model": self.ask.model,
            "status": self.word(status), "background": asked("background", false.into()), "error": null,
            "incomplete_details": (ended && self.cut()).then(|| json!({ "reason": "max_output_tokens" })),
            "instructions": asked("instructions", Value::Null),
            "max_output_tokens": asked("max_output_tokens", Value::Null),
            "metadata": asked("metadata", json!({})),
            "output": if ended { json!([self.item(status)]) } else { json!([]) },
            "parallel_tool_calls": asked("parallel_tool_calls", true.into()),
            "previous_response_id": asked("previous_response_id", Value::Null),
            "reasoning": asked("reasoning", json!({ "effort": null, "summary": null })),
            "service_tier": "default",
            "store": asked("store", true.into()),
            "temperature": asked("temperature", 1.0.into()),
            "text": asked("text", json!({ "format": { "type": "text" } })),
            "tool_choice": asked("tool_choice", "auto".into()),
            "tools": asked("tools", json!([])),
            "top_p": asked("top_p", 1.0.into()),
            "truncation": asked("truncation", "disabled".into()),
            "usage": ended.then(|| self.usage()),
            "user": asked("user", Value::Null),
        })
    }

    /// The only item of the output, empty at its beginning.
    fn item(&self, status: Status) -> Value {
        let ended = status == Status::Ended;
        let (id, status) = (&self.item_id, self.word(status));
        match &self.said {
            Said::Words(_) => {
                let content = if ended { json!([part(&self.said.joined())]) } else { json!([]) };
                json!({ "id": id, "type": "message", "status": status, "role": "assistant", "content": content })
            }
            Said::Call(call) => {
                let arguments = if ended { self.said.joined() } else { String::new() };
                json!({
                    "id": id, "type": "function_call", "status": status,
                    "call_id": call.id, "name": call.name, "arguments": arguments,
                })
            }
        }
    }

    fn stream(self: Rc<Self>) -> Script {
        let count = self.said.tokens().len();
        let (first, middle, last) = (Rc::clone(&self), Rc::clone(&self), self);
        let head = iter::once_with(move || first.opening()).flatten().map(|event| (0, event));
        let tokens = (0..count).map(move |n| (n + 1, middle.delta(n)));
        let tail = iter::once_with(move || last.closing()).flatten().map(move |event| (count, event));
        let events = head.chain(tokens).chain(tail).zip(0_u64..).map(|((at, mut event), number)| {
            event["sequence_number"] = number.into();
            Event { at, frame: sse::named(&event) }
        });
        Script::stream(events, count)
    }

    /// The events before the first token.
    fn opening(&self) -> Vec<Value> {
        let response = self.response(Status::Begun);
        let mut events = vec![
            json!({ "type": "response.created", "response": response }),
            json!({ "type": "response.in_progress", "response": response }),
            json!({ "type": "response.output_item.added", "output_index": 0, "item": self.item(Status::Begun) }),
        ];
        if let Said::Words(_) = self.said {
            events.push(self.in_part("response.content_part.added", "part", part("")));
        }
        events
    }

    /// The event of the n-th token.
    fn delta(&self, n: usize) -> Value {
        let token = self.said.tokens()[n].as_str();
        match &self.said {
            Said::Words(_) => with_logprobs(self.in_part("response.output_text.delta", "delta", token.into())),
            Said::Call(_) => self.in_item("response.function_call_arguments.delta", "delta", token.into()),
        }
    }

    /// The events behind the last token.
    fn closing(&self) -> Vec<Value> {
        let said = self.said.joined();
        let mut events = match &self.said {
            Said::Words(_) => {
                let part = part(&said);
                let text = self.in_part("response.output_text.done", "text", said.into());
                vec![with_logprobs(text), self.in_part("response.content_part.done", "part", part)]
            }
            Said::Call(call) => {
                let mut done = self.in_item("response.function_call_arguments.done", "arguments", said.into());
                done["name"] = call.name.as_str().into();
                vec![done]
            }
        };
        events.push(json!({ "type": "response.output_item.done", "output_index": 0, "item": self.item(Status::Ended) }));
        let kind = format!("response.{}", self.word(Status::Ended));
        events.push(json!({ "type": kind, "response": self.response(Status::Ended) }));
        events
    }

    /// An event about the item.
    fn in_item(&self, kind: &str, field: &str, value: Value) -> Value {
        json!({ "type": kind, "item_id": self.item_id, "output_index": 0, field: value })
    }

    /// An event about the item's only part.
    fn in_part(&self, kind: &str, field: &str, value: Value) -> Value {
        let mut event = self.in_item(kind, field, value);
        event["content_index"] = 0.into();
        event
    }
}

fn part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}

fn with_logprobs(mut event: Value) -> Value {
    event["logprobs"] = json!([]);
    event
}
