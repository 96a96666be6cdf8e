//! Server-sent events as OpenAI writes them: one line of JSON an event, `\n` line ends.

use bytes::Bytes;
use serde_json::Value;

/// What ends a stream of chat completions.
pub(super) const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

/// An event without a name.
pub(super) fn unnamed(json: &Value) -> Bytes {
    format!("data: {json}\n\n").into()
}

/// An event whose name is its field `type`.
pub(super) fn named(json: &Value) -> Bytes {
    format!("event: {}\ndata: {json}\n\n", json["type"].as_str().unwrap_or_default()).into()
}
