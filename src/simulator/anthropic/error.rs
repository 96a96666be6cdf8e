//! An error as Anthropic words it: `{"type":"error","error":{"type","message"},"request_id"}`.

use http::StatusCode;
use serde_json::{Value, json};

use crate::simulator::error::{ApiError, NO_QUOTA};

/// Anthropic's own status for an overload.
const OVERLOADED: u16 = 529;

/// Every status is what it is, but for an overload and an empty account.
pub(crate) fn status(error: &ApiError) -> StatusCode {
    match error.status {
        StatusCode::SERVICE_UNAVAILABLE => StatusCode::from_u16(OVERLOADED).unwrap_or(error.status),
        _ if error.code == Some(NO_QUOTA) => StatusCode::BAD_REQUEST,
        status => status,
    }
}

/// The body.
pub(crate) fn json(error: &ApiError, request_id: &str) -> Value {
    let (kind, message) = match status(error).as_u16() {
        _ if error.code == Some(NO_QUOTA) => {
            ("invalid_request_error", "Your credit balance is too low to access the API. Buy credits to go on.")
        }
        401 => ("authentication_error", &*error.message),
        402 => ("billing_error", &*error.message),
        403 => ("permission_error", &*error.message),
        404 => ("not_found_error", &*error.message),
        413 => ("request_too_large", &*error.message),
        429 => ("rate_limit_error", &*error.message),
        504 => ("timeout_error", &*error.message),
        OVERLOADED => ("overloaded_error", "Overloaded"),
        500.. => ("api_error", &*error.message),
        _ => ("invalid_request_error", &*error.message),
    };
    json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": request_id })
}
