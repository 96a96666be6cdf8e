//! An error as OpenAI words it: `{"error": {"message", "type", "param", "code"}}`, with its status and header fields.

use std::borrow::Cow;

use http::StatusCode;
use serde_json::{Value, json};

/// Header fields that an error adds to the usual ones, or sets instead of them.
pub(super) type Fields = &'static [(&'static str, &'static str)];

/// An error reply. SDKs choose their exception by `status` and read the rest from the body.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    /// The field `type`.
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<&'static str>,
    message: Cow<'static, str>,
    pub(super) fields: Fields,
}

/// The `type` of every error that is the caller's own fault.
pub(super) const INVALID_REQUEST: &str = "invalid_request_error";

impl ApiError {
    /// An error whose words don't depend on the request.
    pub(super) const fn fixed(
        status: StatusCode,
        kind: &'static str,
        code: Option<&'static str>,
        message: &'static str,
        fields: Fields,
    ) -> Self {
        Self { status, kind, code, param: None, message: Cow::Borrowed(message), fields }
    }

    /// 400: this parameter is missing or of the wrong type.
    pub(super) fn parameter(param: &'static str, code: &'static str, message: String) -> Self {
        let (status, kind) = (StatusCode::BAD_REQUEST, INVALID_REQUEST);
        Self { status, kind, code: Some(code), param: Some(param), message: message.into(), fields: &[] }
    }

    /// 400: this parameter must be there.
    pub(super) fn missing(param: &'static str) -> Self {
        Self::parameter(param, "missing_required_parameter", format!("The parameter `{param}` is required."))
    }

    /// 400: the body is no JSON object.
    pub(super) fn malformed(why: impl std::fmt::Display) -> Self {
        let message = format!("The body could not be read as a JSON object: {why}.");
        Self { message: message.into(), ..Self::fixed(StatusCode::BAD_REQUEST, INVALID_REQUEST, None, "", &[]) }
    }

    /// 404: nothing answers this method at this path.
    pub(super) fn unknown_endpoint(method: &http::Method, path: &str) -> Self {
        let message = format!("Unknown endpoint: {method} {path}.");
        Self { message: message.into(), ..Self::fixed(StatusCode::NOT_FOUND, INVALID_REQUEST, Some("unknown_url"), "", &[]) }
    }

    /// 404: there is no such model.
    pub(super) fn unknown_model(id: &str) -> Self {
        let message = format!("The model `{id}` does not exist.");
        let error = Self::fixed(StatusCode::NOT_FOUND, INVALID_REQUEST, Some("model_not_found"), "", &[]);
        Self { message: message.into(), param: Some("model"), ..error }
    }

    /// The body of the reply.
    pub(super) fn json(&self) -> Value {
        let Self { kind, code, param, message, .. } = self;
        json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
    }
}
