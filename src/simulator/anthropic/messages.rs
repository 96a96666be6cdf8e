//! `POST /v1/messages`, plain and streamed. Every event has a name; a ping stands among them, as with the real one.

use std::rc::Rc;

use serde_json::{Value, json};

use crate::simulator::{
    answer::{Answer, Desk},
    ask::Ask,
    error::ApiError,
    openai::{
        sse,
        tools::{self, Said},
    },
    script::{Event, Script},
};

/// Answers one request for a message.
pub(super) fn answer(desk: &Desk<'_>, ask: &Ask) -> Answer {
    let model = ask.model()?.to_owned();
    let messages = ask.body["messages"].as_array().ok_or_else(|| ApiError::missing("messages"))?;
    if ask.tokens("max_tokens").is_none() {
        return Err(ApiError::missing("max_tokens"));
    }
    let mut author = desk.author(&ask.body["messages"]);
    // As with chat: the result of a call is followed by words.
    let answered = messages.last().is_some_and(|message| has_result(&message["content"]));
    let (offered, choice) = tools_of(&ask.body);
    let call = if answered { None } else { tools::call(&offered, &choice, &mut author) };
    let (id, call_id) = (author.id("msg_"), author.id("toolu_"));
    let said = Said::new(call, ask.most(), &mut author);
    let message = Message { id, call_id, model, said, input_tokens: author.prompt_tokens };
    Ok(if ask.stream { Rc::new(message).stream() } else { message.whole() })
}

fn has_result(content: &Value) -> bool {
    content.as_array().is_some_and(|blocks| blocks.iter().any(|block| block["type"] == "tool_result"))
}

/// The tools and the choice among them, in OpenAI's shape.
fn tools_of(body: &Value) -> (Value, Value) {
    let tool = |tool: &Value| json!({ "type": "function", "name": tool["name"], "parameters": tool["input_schema"] });
    let offered = body["tools"].as_array().into_iter().flatten().map(tool).collect();
    let choice = match body["tool_choice"]["type"].as_str() {
        Some("tool") => json!({ "type": "function", "name": body["tool_choice"]["name"] }),
        Some("none") => "none".into(),
        _ => Value::Null,
    };
    (offered, choice)
}

/// A message that has been thought of and not been said.
struct Message {
    id: String,
    call_id: String,
    model: String,
    said: Said,
    input_tokens: usize,
}

impl Message {
    fn stop_reason(&self) -> &'static str {
        match &self.said {
            Said::Call(_) => "tool_use",
            Said::Words(text) if text.cut => "max_tokens",
            Said::Words(_) => "end_turn",
        }
    }

    fn object(&self, content: &Value, stop_reason: Option<&str>, output_tokens: usize) -> Value {
        json!({
            "id": self.id, "type": "message", "role": "assistant", "model": self.model, "content": content,
            "stop_reason": stop_reason, "stop_sequence": null,
            "usage": {
                "input_tokens": self.input_tokens, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
                "output_tokens": output_tokens, "service_tier": "standard",
            },
        })
    }

    fn whole(&self) -> Script {
        let (said, count) = (self.said.joined(), self.said.tokens().len());
        let block = match &self.said {
            Said::Words(_) => json!({ "type": "text", "text": said }),
            Said::Call(call) => {
                let input: Value = serde_json::from_str(&said).unwrap_or_else(|_| json!({}));
                json!({ "type": "tool_use", "id": self.call_id, "name": call.name, "input": input })
            }
        };
        Script::whole(&self.object(&json!([block]), Some(self.stop_reason()), count), count)
    }

    fn stream(self: Rc<Self>) -> Script {
        let count = self.said.tokens().len();
        let block = match &self.said {
            Said::Words(_) => json!({ "type": "text", "text": "" }),
            Said::Call(call) => json!({ "type": "tool_use", "id": self.call_id, "name": call.name, "input": {} }),
        };
        let head = [
            json!({ "type": "message_start", "message": self.object(&json!([]), None, 1) }),
            json!({ "type": "content_block_start", "index": 0, "content_block": block }),
            json!({ "type": "ping" }),
        ];
        let delta = json!({ "stop_reason": self.stop_reason(), "stop_sequence": null });
        let tail = [
            json!({ "type": "content_block_stop", "index": 0 }),
            json!({ "type": "message_delta", "delta": delta, "usage": { "output_tokens": count } }),
            json!({ "type": "message_stop" }),
        ];
        let deltas = (0..count).map(move |n| (n + 1, self.delta(n)));
        let events = head.into_iter().map(|event| (0, event)).chain(deltas).chain(tail.into_iter().map(move |event| (count, event)));
        Script::stream(events.map(|(at, event)| Event { at, frame: sse::named(&event) }), count)
    }

    /// The event of the n-th token.
    fn delta(&self, n: usize) -> Value {
        let token = &self.said.tokens()[n];
        let delta = match &self.said {
            Said::Words(_) => json!({ "type": "text_delta", "text": token }),
            Said::Call(_) => json!({ "type": "input_json_delta", "partial_json": token }),
        };
        json!({ "type": "content_block_delta", "index": 0, "delta": delta })
    }
}
