//! `POST /v1/embeddings`: unit vectors that depend on the seed and on the text alone.

use serde_json::{Value, json};

use crate::simulator::{
    answer::{Answer, Desk},
    ask::Ask,
    base64,
    error::ApiError,
    script::Script,
    text::{self, Author},
};

/// The most dimensions that a request may ask for: twice what the largest model has.
const MOST_DIMENSIONS: usize = 6144;

/// The most inputs of one request, here and where texts are judged: OpenAI's API reference for embeddings, as of 2026-11.
pub(super) const MOST_INPUTS: usize = 2048;

/// Answers one request for embeddings.
pub(super) fn answer(desk: &Desk<'_>, ask: &Ask) -> Answer {
    ask.model()?;
    let inputs = inputs(&ask.body["input"])?;
    ApiError::bound("input", inputs.len(), MOST_INPUTS)?;
    let dimensions = dimensions(ask)?;
    let base64 = match ask.body["encoding_format"].as_str() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(other) => {
            let message = format!("`{other}` is not an encoding format; use `float` or `base64`.");
            return Err(ApiError::parameter("encoding_format", "invalid_value", message));
        }
    };
    let embedding = |input: &Value| {
        let vector = vector(&mut desk.author(input), dimensions);
        if base64 { base64::encode(&bytes(&vector)).into() } else { Value::from(vector) }
    };
    let rows: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| json!({ "object": "embedding", "index": index, "embedding": embedding(input) }))
        .collect();
    let tokens: usize = inputs.iter().map(count).sum();
    let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
    Ok(Script::whole(&json!({ "object": "list", "data": rows, "model": ask.model, "usage": usage }), 0))
}

/// A text, a list of texts, a text as token numbers, or a list of those.
fn inputs(input: &Value) -> Result<&[Value], ApiError> {
    match input {
        Value::Null => Err(ApiError::missing("input")),
        Value::String(_) => Ok(std::slice::from_ref(input)),
        Value::Array(list) if list.is_empty() => {
            Err(ApiError::parameter("input", "invalid_value", "`input` must not be an empty list.".to_owned()))
        }
        Value::Array(list) if list.iter().all(Value::is_u64) => Ok(std::slice::from_ref(input)),
        Value::Array(list) if list.iter().all(|item| item.is_string() || item.is_array()) => Ok(list),
        _ => Err(ApiError::parameter("input", "invalid_type", "`input` must be a text or a list of texts or tokens.".to_owned())),
    }
}

fn dimensions(ask: &Ask) -> Result<usize, ApiError> {
    match ask.tokens("dimensions") {
        None if ask.model.contains("large") => Ok(3072),
        None => Ok(1536),
        Some(n) if (1..=MOST_DIMENSIONS).contains(&n) => Ok(n),
        Some(n) => {
            let message = format!("`dimensions` is {n}; it must lie between 1 and {MOST_DIMENSIONS}.");
            Err(ApiError::parameter("dimensions", "invalid_value", message))
        }
    }
}

/// The tokens of one text.
fn count(input: &Value) -> usize {
    match input {
        Value::Array(tokens) => tokens.len(),
        other => text::estimate(other.as_str().unwrap_or_default()),
    }
}

/// A vector of length 1, as the models make them.
pub(crate) fn vector(author: &mut Author, dimensions: usize) -> Vec<f32> {
    let mut vector: Vec<f32> = std::iter::repeat_with(|| author.dice.f32() - 0.5).take(dimensions).collect();
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    vector.iter_mut().for_each(|x| *x /= length);
    vector
}

/// Little-endian 32-bit floats, as SDKs unpack them.
fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_has_length_one() {
        let vector = vector(&mut Author::new(1, 1, &Value::Null), 256);
        let length: f32 = vector.iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-4, "{length}");
    }
}
