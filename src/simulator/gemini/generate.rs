//! `:generateContent` and `:streamGenerateContent`. A stream is of events with `alt=sse`, else one JSON list.

use serde_json::{Value, json};

use crate::simulator::{
    answer::{Answer, Desk},
    ask::Ask,
    error::ApiError,
    openai::tools::{self, Said},
    script::{Event, JSON, Script},
};

/// Answers one request for a content.
pub(super) fn answer(desk: &Desk<'_>, ask: &Ask, model: &str, stream: bool) -> Answer {
    ask.readable()?;
    let contents = ask.body["contents"].as_array().ok_or_else(|| ApiError::missing("contents"))?;
    let mut author = desk.author(&ask.body["contents"]);
    // As with chat: the result of a call is followed by words.
    let answered = contents.last().is_some_and(|content| content["parts"].as_array().is_some_and(|parts| parts.iter().any(is_result)));
    let (offered, choice) = tools_of(&ask.body);
    let call = if answered { None } else { tools::call(&offered, &choice, &mut author) };
    let id = author.id("");
    let said = Said::new(call, ask.most(), &mut author);
    let content = Content { id, model: model.to_owned(), said, prompt_tokens: author.prompt_tokens };
    Ok(match (stream, desk.query("alt")) {
        (false, _) => content.whole(),
        (true, Some("sse")) => content.events(),
        (true, _) => content.list(),
    })
}

fn is_result(part: &Value) -> bool {
    part.get("functionResponse").is_some()
}

/// The declared functions and the choice among them, in OpenAI's shape.
fn tools_of(body: &Value) -> (Value, Value) {
    let declared = body["tools"].as_array().into_iter().flatten().flat_map(|tool| tool["functionDeclarations"].as_array()).flatten();
    let function = |function: &Value| {
        let schema = function.get("parameters").or_else(|| function.get("parametersJsonSchema")).cloned().unwrap_or_default();
        json!({ "type": "function", "name": function["name"], "parameters": lower(schema) })
    };
    let offered = declared.map(function).collect();
    let none = body["toolConfig"]["functionCallingConfig"]["mode"] == "NONE";
    (offered, if none { "none".into() } else { Value::Null })
}

/// Google writes the types of a schema in capitals.
fn lower(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                *value = match value.as_str() {
                    Some(kind) if name == "type" => kind.to_ascii_lowercase().into(),
                    _ => lower(value.take()),
                };
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|item| *item = lower(item.take())),
        _ => {}
    }
    schema
}

/// A content that has been thought of and not been said.
struct Content {
    id: String,
    model: String,
    said: Said,
    prompt_tokens: usize,
}

impl Content {
    fn finish_reason(&self) -> &'static str {
        if matches!(&self.said, Said::Words(text) if text.cut) { "MAX_TOKENS" } else { "STOP" }
    }

    /// A reply, or a chunk of one, with the tokens said so far.
    fn object(&self, parts: &Value, finish_reason: Option<&str>, said: usize) -> Value {
        let mut candidate = json!({ "content": { "parts": parts, "role": "model" }, "index": 0 });
        if let Some(reason) = finish_reason {
            candidate["finishReason"] = reason.into();
        }
        json!({
            "candidates": [candidate],
            "usageMetadata": { "promptTokenCount": self.prompt_tokens, "candidatesTokenCount": said, "totalTokenCount": self.prompt_tokens + said },
            "modelVersion": self.model, "responseId": self.id,
        })
    }

    /// A call is never cut into pieces here.
    fn call(&self) -> Option<Value> {
        let Said::Call(call) = &self.said else { return None };
        let arguments: Value = serde_json::from_str(&self.said.joined()).unwrap_or_else(|_| json!({}));
        Some(json!([{ "functionCall": { "name": call.name, "args": arguments } }]))
    }

    fn whole(&self) -> Script {
        let count = self.said.tokens().len();
        let parts = self.call().unwrap_or_else(|| json!([{ "text": self.said.joined() }]));
        Script::whole(&self.object(&parts, Some(self.finish_reason()), count), count)
    }

    /// The chunks with the token at which each is due, the last one with its reason.
    fn chunks(self) -> (usize, Box<dyn Iterator<Item = (usize, Value)>>) {
        let count = self.said.tokens().len();
        if let Some(call) = self.call() {
            return (count, Box::new(std::iter::once((count, self.object(&call, Some("STOP"), count)))));
        }
        let chunk = move |n: usize| {
            let reason = (n + 1 == count).then(|| self.finish_reason());
            (n + 1, self.object(&json!([{ "text": self.said.tokens()[n] }]), reason, n + 1))
        };
        (count, Box::new((0..count).map(chunk)))
    }

    fn events(self) -> Script {
        let (count, chunks) = self.chunks();
        Script::stream(chunks.map(|(at, chunk)| Event { at, frame: format!("data: {chunk}\r\n\r\n").into() }), count)
    }

    fn list(self) -> Script {
        let (count, chunks) = self.chunks();
        let rows = chunks.enumerate().map(|(n, (at, chunk))| (at, format!("{}{chunk}", if n == 0 { "[" } else { ",\r\n" })));
        let events = rows.chain(std::iter::once((count, "]".to_owned()))).map(|(at, row)| Event { at, frame: row.into() });
        Script::Stream { content_type: JSON, events: Box::new(events), tokens: count }
    }
}
