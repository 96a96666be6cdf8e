//! Server-sent events as OpenAI and Anthropic write them: one line of JSON an event, `\n` line ends.

use bytes::Bytes;
use serde_json::Value;

/// What ends a stream of chat completions.
pub(crate) const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

/// An event without a name.
pub(crate) fn unnamed(json: &Value) -> Bytes {
    format!("data: {json}\n\n").into()
}

/// An event whose name is its field `type`.
pub(crate) fn named(json: &Value) -> Bytes {
    format!("event: {}\ndata: {json}\n\n", json["type"].as_str().unwrap_or_default()).into()
}
