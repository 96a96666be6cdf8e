//! `POST /v1/moderations`: nothing is ever flagged, unless it says `flag me`.

use serde_json::{Map, Value, json};

use super::embeddings::MOST_INPUTS;
use crate::simulator::{answer::Answer, ask::Ask, error::ApiError, script::Script};

const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

/// A text that is flagged, for whoever needs one.
const FLAGGED: &str = "flag me";

/// Answers one request for a judgement; the model may be left out.
pub(super) fn answer(ask: &Ask) -> Answer {
    ask.readable()?;
    let input = &ask.body["input"];
    let results: Vec<Value> = match input {
        Value::Null => return Err(ApiError::missing("input")),
        // A list of parts is one input, a list of texts is several.
        Value::Array(list) if list.iter().all(Value::is_string) => {
            ApiError::bound("input", list.len(), MOST_INPUTS)?;
            list.iter().map(judge).collect()
        }
        one => vec![judge(one)],
    };
    let model = if ask.model.is_empty() { "omni-moderation-latest" } else { &ask.model };
    Ok(Script::whole(&json!({ "id": "modr-simulated", "model": model, "results": results }), 1))
}

fn judge(input: &Value) -> Value {
    let flagged = input.to_string().contains(FLAGGED);
    let each = |value: &dyn Fn(&str) -> Value| CATEGORIES.iter().map(|name| ((*name).to_owned(), value(name))).collect::<Map<_, _>>();
    let hit = |name: &str| flagged && name == "harassment";
    json!({
        "flagged": flagged,
        "categories": each(&|name| hit(name).into()),
        "category_scores": each(&|name| if hit(name) { 0.99 } else { 0.0001 }.into()),
        "category_applied_input_types": each(&|_| json!(["text"])),
    })
}
