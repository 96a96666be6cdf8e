//! Gemini's own surface: `models/{model}:{method}`.

pub(super) mod error;
mod generate;

use http::Method;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Desk},
    ask::Ask,
    error::ApiError,
    openai::{embeddings::vector, models::faults},
    script::Script,
};

/// What the list shows before the faults. Any other name is answered too.
const MODELS: [&str; 3] = ["gemini-2.5-pro", "gemini-2.5-flash", "gemini-embedding-001"];

/// Dimensions of an embedding where the request does not say.
const DIMENSIONS: usize = 3072;

/// The most embeddings of one request: Gemini's API reference for `batchEmbedContents`, as of 2026-11.
const MOST_REQUESTS: usize = 100;

/// The model that a path names: `models/gemini-2.5-pro:generateContent`.
pub(super) fn model(path: &str) -> Option<&str> {
    path.strip_prefix("models/")?.split_once(':').map(|(model, _)| model)
}

/// Answers one request in Gemini's formats.
pub(super) fn answer(desk: &Desk<'_>, ask: Ask) -> Answer {
    let (get, post) = (desk.method == Method::GET, desk.method == Method::POST);
    let Some(name) = desk.path.strip_prefix("models") else { return Err(desk.unknown()) };
    match name.strip_prefix('/').map(|name| name.split_once(':').unwrap_or((name, ""))) {
        None if get && name.is_empty() => Ok(models()),
        Some((id, "")) if get => {
            ids().find(|known| *known == id).map(|id| Script::at_once(&described(id))).ok_or_else(|| ApiError::unknown_model(id))
        }
        Some((model, "generateContent")) if post => generate::answer(desk, &ask, model, false),
        Some((model, "streamGenerateContent")) if post => generate::answer(desk, &ask, model, true),
        Some((_, "countTokens")) if post => {
            ask.readable()?;
            let contents =
                if ask.body["contents"].is_null() { &ask.body["generateContentRequest"]["contents"] } else { &ask.body["contents"] };
            let tokens = desk.author(contents).prompt_tokens;
            Ok(Script::at_once(&json!({ "totalTokens": tokens, "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": tokens }] })))
        }
        Some((_, "embedContent")) if post => {
            ask.readable()?;
            Ok(Script::at_once(&json!({ "embedding": embedding(desk, &ask.body)? })))
        }
        Some((_, "batchEmbedContents")) if post => {
            ask.readable()?;
            let requests = ask.body["requests"].as_array().ok_or_else(|| ApiError::missing("requests"))?;
            ApiError::bound("requests", requests.len(), MOST_REQUESTS)?;
            let embeddings: Vec<Value> = requests.iter().map(|request| embedding(desk, request)).collect::<Result<_, _>>()?;
            Ok(Script::at_once(&json!({ "embeddings": embeddings })))
        }
        _ => Err(desk.unknown()),
    }
}

fn embedding(desk: &Desk<'_>, request: &Value) -> Result<Value, ApiError> {
    let content = &request["content"];
    if content.is_null() {
        return Err(ApiError::missing("content"));
    }
    let asked = request["outputDimensionality"].as_u64().and_then(|n| usize::try_from(n).ok());
    let dimensions = asked.unwrap_or(DIMENSIONS).clamp(1, DIMENSIONS);
    Ok(json!({ "values": vector(&mut desk.author(content), dimensions) }))
}

fn ids() -> impl Iterator<Item = &'static str> {
    MODELS.into_iter().chain(faults())
}

fn described(id: &str) -> Value {
    json!({
        "name": format!("models/{id}"), "version": "001", "displayName": id, "description": "Simulated.",
        "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"],
    })
}

fn models() -> Script {
    Script::at_once(&json!({ "models": ids().map(described).collect::<Vec<_>>() }))
}
