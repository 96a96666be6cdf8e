//! A body as it was asked for, with what every endpoint reads from it.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use super::{
    error::ApiError,
    multipart::{self, Part},
};

/// What a request wants. A form's fields stand in `body` too, its files in `files`.
pub(super) struct Ask {
    /// The model, empty where none is named.
    pub(super) model: String,
    /// Whether the reply is to come bit by bit.
    pub(super) stream: bool,
    /// The JSON object; null where there is none.
    pub(super) body: Value,
    /// The files of a form.
    pub(super) files: Vec<Part>,
    /// Bytes of the body: what a prompt is charged by.
    pub(super) size: usize,
    /// What is wrong with it; only endpoints that read it mind.
    flaw: Option<ApiError>,
}

impl Ask {
    /// Reads a body, JSON or a form.
    pub(super) fn read(headers: &HeaderMap, bytes: &Bytes) -> Self {
        let (body, files, flaw) = match multipart::boundary(headers) {
            Some(boundary) => match multipart::parse(bytes, boundary) {
                Ok(parts) => form(parts),
                Err(why) => (Value::Null, Vec::new(), Some(ApiError::malformed(why))),
            },
            None => match serde_json::from_slice(bytes) {
                Ok(body @ Value::Object(_)) => (body, Vec::new(), None),
                Ok(_) => (Value::Null, Vec::new(), Some(ApiError::malformed("it is no JSON object"))),
                Err(why) => (Value::Null, Vec::new(), Some(ApiError::malformed(why))),
            },
        };
        let model = body["model"].as_str().unwrap_or_default().to_owned();
        let stream = body["stream"] == true || body["stream"] == "true";
        Self { model, stream, body, files, size: bytes.len(), flaw }
    }

    /// The error of a body that is no JSON object and no form.
    pub(super) fn readable(&self) -> Result<(), ApiError> {
        self.flaw.clone().map_or(Ok(()), Err)
    }

    /// The model, where one must be named.
    pub(super) fn model(&self) -> Result<&str, ApiError> {
        self.readable()?;
        match &self.body["model"] {
            Value::String(model) => Ok(model),
            Value::Null => Err(ApiError::missing("model")),
            _ => Err(ApiError::parameter("model", "invalid_type", "`model` must be a string.".to_owned())),
        }
    }

    /// A text that must be there.
    pub(super) fn text(&self, field: &'static str) -> Result<&str, ApiError> {
        self.readable()?;
        self.body[field].as_str().ok_or_else(|| ApiError::missing(field))
    }

    /// A field that counts something; forms carry numbers as text.
    pub(super) fn tokens(&self, field: &str) -> Option<usize> {
        let value = &self.body[field];
        let count = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
        Some(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// The most tokens that the reply may have, by whichever name it is asked for.
    pub(super) fn most(&self) -> Option<usize> {
        let names = ["max_completion_tokens", "max_output_tokens", "max_tokens"];
        let gemini = || self.body["generationConfig"]["maxOutputTokens"].as_u64().and_then(|most| usize::try_from(most).ok());
        names.into_iter().find_map(|name| self.tokens(name)).or_else(gemini)
    }

    /// The file of that field, which must be there.
    pub(super) fn file(&self, field: &'static str) -> Result<&Part, ApiError> {
        self.readable()?;
        // SDKs write `image[]` where there may be several.
        self.files.iter().find(|part| part.name.trim_end_matches("[]") == field).ok_or_else(|| ApiError::missing(field))
    }
}

fn form(parts: Vec<Part>) -> (Value, Vec<Part>, Option<ApiError>) {
    let mut body = json!({});
    let (files, fields): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| part.filename.is_some());
    for field in fields {
        body[field.name] = String::from_utf8_lossy(&field.content).into();
    }
    (body, files, None)
}
