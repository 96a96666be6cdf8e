//! What is wrong with a request or with the provider, in words that each dialect renders in its own shape.

use std::{borrow::Cow, time::Duration};

use http::StatusCode;
use serde_json::{Value, json};

use super::{anthropic, gemini};
use crate::types::{Dialect, RequestFormat};

/// Header fields that an error adds to the usual ones, or sets instead of them, in OpenAI's formats.
pub(super) type Fields = &'static [(&'static str, &'static str)];

/// An error reply. SDKs choose their exception by `status` and read the rest from the body.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    /// The field `type`, as OpenAI has it.
    pub(super) kind: &'static str,
    pub(super) code: Option<&'static str>,
    pub(super) param: Option<&'static str>,
    pub(super) message: Cow<'static, str>,
    /// When it is worth another try.
    pub(super) retry: Option<Duration>,
    pub(super) fields: Fields,
}

/// The `type` of every error that is the caller's own fault.
pub(super) const INVALID_REQUEST: &str = "invalid_request_error";

/// The `code` of an account that is out of money, by which the dialects know that waiting does not help.
pub(super) const NO_QUOTA: &str = "insufficient_quota";

impl ApiError {
    /// An error whose words don't depend on the request.
    pub(super) const fn fixed(status: StatusCode, kind: &'static str, code: Option<&'static str>, message: &'static str) -> Self {
        Self { status, kind, code, param: None, message: Cow::Borrowed(message), retry: None, fields: &[] }
    }

    /// With these fields beside the usual ones.
    pub(super) const fn with(mut self, fields: Fields) -> Self {
        self.fields = fields;
        self
    }

    /// Worth another try after `wait`.
    pub(super) const fn after(mut self, wait: Duration) -> Self {
        self.retry = Some(wait);
        self
    }

    /// In these words.
    pub(super) fn saying(self, message: String) -> Self {
        Self { message: message.into(), ..self }
    }

    /// 400: this parameter is missing or of the wrong type.
    pub(super) fn parameter(param: &'static str, code: &'static str, message: String) -> Self {
        Self { param: Some(param), ..Self::fixed(StatusCode::BAD_REQUEST, INVALID_REQUEST, Some(code), "").saying(message) }
    }

    /// 400: this parameter must be there.
    pub(super) fn missing(param: &'static str) -> Self {
        Self::parameter(param, "missing_required_parameter", format!("The parameter `{param}` is required."))
    }

    /// 400 for a list that is longer than `most`: each member of it costs a reply as much as a whole request.
    pub(super) fn bound(param: &'static str, length: usize, most: usize) -> Result<(), Self> {
        let message = || format!("`{param}` has {length} members; at most {most} are allowed.");
        if length > most { Err(Self::parameter(param, "array_above_max_length", message())) } else { Ok(()) }
    }

    /// 400: the body is not what the endpoint reads.
    pub(super) fn malformed(why: impl std::fmt::Display) -> Self {
        let message = format!("The body could not be read: {why}.");
        Self::fixed(StatusCode::BAD_REQUEST, INVALID_REQUEST, None, "").saying(message)
    }

    /// 404: nothing answers this method at this path.
    pub(super) fn unknown_endpoint(method: &http::Method, path: &str) -> Self {
        let message = format!("Unknown endpoint: {method} {path}.");
        Self::fixed(StatusCode::NOT_FOUND, INVALID_REQUEST, Some("unknown_url"), "").saying(message)
    }

    /// 404: there is no such model.
    pub(super) fn unknown_model(id: &str) -> Self {
        let error = Self::fixed(StatusCode::NOT_FOUND, INVALID_REQUEST, Some("model_not_found"), "");
        Self { param: Some("model"), ..error }.saying(format!("The model `{id}` does not exist."))
    }

    /// 404: this account has no such object. That another one may have it is nobody's business.
    pub(super) fn unknown_object(what: &str, id: &str) -> Self {
        let error = Self::fixed(StatusCode::NOT_FOUND, INVALID_REQUEST, None, "");
        Self { param: Some("id"), ..error }.saying(format!("No such {what}: {id}."))
    }

    /// The status that the dialect has for it.
    pub(super) fn status(&self, dialect: Dialect) -> StatusCode {
        match dialect.request_format() {
            RequestFormat::Openai => self.status,
            RequestFormat::Anthropic => anthropic::error::status(self),
            RequestFormat::Gemini => gemini::error::status(self),
        }
    }

    /// The body of the reply; `request_id` stands in it where the dialect repeats it there.
    pub(super) fn json(&self, dialect: Dialect, request_id: &str) -> Value {
        let Self { kind, code, param, message, .. } = self;
        match dialect {
            // Azure has no type where it limits, and its code is the status as a text.
            Dialect::Azure if self.retry.is_some() => json!({ "error": { "message": message, "code": self.status.as_str() } }),
            Dialect::Azure if self.status == StatusCode::UNAUTHORIZED => json!({ "error": { "code": "401", "message": message } }),
            Dialect::Anthropic => anthropic::error::json(self, request_id),
            Dialect::Gemini => gemini::error::json(self),
            Dialect::Openai
            | Dialect::Azure
            | Dialect::Groq
            | Dialect::Deepseek
            | Dialect::Mistral
            | Dialect::Openrouter
            | Dialect::Vllm => json!({ "error": { "message": message, "type": kind, "param": param, "code": code } }),
        }
    }
}
