//! Anthropic's surface: messages, their tokens, and models.

pub(super) mod error;
mod messages;

use http::Method;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Desk},
    ask::Ask,
    error::ApiError,
    openai::models::faults,
    script::Script,
};

/// What the list shows before the faults. Any other name is answered too.
const MODELS: [&str; 3] = ["claude-opus-4-1", "claude-sonnet-4-5", "claude-haiku-4-5"];

/// Answers one request in Anthropic's formats.
pub(super) fn answer(desk: &Desk<'_>, ask: Ask) -> Answer {
    if !desk.headers.contains_key("anthropic-version") {
        return Err(ApiError::parameter("anthropic-version", "missing", "anthropic-version: header is required".to_owned()));
    }
    let (get, post) = (desk.method == Method::GET, desk.method == Method::POST);
    match desk.path {
        "messages" if post => messages::answer(desk, &ask),
        "messages/count_tokens" if post => {
            ask.model()?;
            let tokens = desk.author(&ask.body["messages"]).prompt_tokens;
            Ok(Script::at_once(&json!({ "input_tokens": tokens })))
        }
        "models" if get => Ok(models()),
        path => match path.strip_prefix("models/") {
            Some(id) if get => {
                ids().find(|known| *known == id).map(|id| Script::at_once(&model(id))).ok_or_else(|| ApiError::unknown_model(id))
            }
            _ => Err(desk.unknown()),
        },
    }
}

fn ids() -> impl Iterator<Item = &'static str> {
    MODELS.into_iter().chain(faults())
}

fn model(id: &str) -> Value {
    json!({ "type": "model", "id": id, "display_name": id, "created_at": "2023-11-14T22:13:20Z" })
}

fn models() -> Script {
    let models: Vec<Value> = ids().map(model).collect();
    let (first, last) = (models.first().map(|model| model["id"].clone()), models.last().map(|model| model["id"].clone()));
    Script::at_once(&json!({ "data": models, "has_more": false, "first_id": first, "last_id": last }))
}
