//! An error in Google's envelope: `{"error":{"code","message","status","details"}}`, the code a number.

use http::StatusCode;
use serde_json::{Value, json};

use crate::simulator::error::{ApiError, NO_QUOTA};

/// An invalid key is 400 here, not 401.
pub(crate) fn status(error: &ApiError) -> StatusCode {
    if invalid_key(error) { StatusCode::BAD_REQUEST } else { error.status }
}

fn invalid_key(error: &ApiError) -> bool {
    error.code == Some("invalid_api_key")
}

/// The body.
pub(crate) fn json(error: &ApiError) -> Value {
    let code = status(error).as_u16();
    let word = match code {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    };
    let message = if invalid_key(error) { "API key not valid. Please pass a valid API key." } else { &*error.message };
    let details = details(error);
    json!({ "error": { "code": code, "message": message, "status": word, "details": details } })
}

/// The causes, each with its type. There is no `retry-after` here: `RetryInfo` stands in its place.
fn details(error: &ApiError) -> Vec<Value> {
    let mut details = Vec::new();
    if invalid_key(error) {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com",
            "metadata": { "service": "generativelanguage.googleapis.com" },
        }));
    }
    if error.status == StatusCode::TOO_MANY_REQUESTS {
        let spent = error.code == Some(NO_QUOTA);
        let quota = if spent { "GenerateRequestsPerDayPerProjectPerModel" } else { "GenerateRequestsPerMinutePerProjectPerModel" };
        let violation = json!({ "quotaMetric": "generativelanguage.googleapis.com/generate_requests", "quotaId": quota });
        details.push(json!({ "@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation] }));
    }
    if let Some(wait) = error.retry {
        let delay = format!("{}s", wait.as_secs_f64());
        details.push(json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay }));
    }
    details
}
