//! Anthropic's messages: a `message_delta` says why a stream ends, `message_stop` that it has. Messages API as of 2026-11.

use serde::{Deserialize, de::IgnoredAny};

use super::{
    found::Found,
    json::{self, Each, Given, Object, Text},
};

/// Reasons that leave a message as good as it can be. Others are a refusal, or a turn that goes on elsewhere.
const USUAL: [&str; 4] = ["end_turn", "max_tokens", "stop_sequence", "tool_use"];

#[derive(Deserialize)]
struct Event<'e> {
    #[serde(borrow, default)]
    r#type: Option<Text<'e>>,
    #[serde(default)]
    error: Given,
    #[serde(borrow, default)]
    delta: Option<Object<Delta<'e>>>,
}

#[derive(Deserialize)]
struct Delta<'d> {
    #[serde(borrow, default)]
    stop_reason: Option<Text<'d>>,
}

#[derive(Deserialize)]
struct Message<'m> {
    #[serde(borrow, default)]
    r#type: Option<Text<'m>>,
    #[serde(default)]
    error: Given,
    #[serde(borrow, default)]
    stop_reason: Option<Text<'m>>,
    #[serde(default)]
    content: Option<Each<IgnoredAny>>,
}

/// Takes a JSON body. `None` if it can't be read.
pub(super) fn object(json: &[u8], found: &mut Found) -> Option<()> {
    let message: Message<'_> = json::object(json)?;
    let kind = json::str(message.r#type.as_ref());
    found.error |= message.error.0 || kind == Some("error");
    found.unclear |= kind != Some("message") || message.content.is_none();
    found.choice(None, json::str(message.stop_reason.as_ref()), &USUAL);
    Some(())
}

/// Takes the data of an event of this name, which is parsed only if its type has something to do with an end.
pub(super) fn event(name: Option<&[u8]>, data: &[u8], found: &mut Found) -> Option<()> {
    if json::kind(data).is_some_and(|kind| !says_more(kind)) {
        return Some(());
    }
    let event: Event<'_> = json::object(data)?;
    found.error |= event.error.0;
    let kind = json::str(event.r#type.as_ref());
    match kind {
        Some("message_start") => {
            found.unclear |= found.has_begun();
            found.begin();
        }
        Some("message_delta") => {
            found.unclear |= !found.has_begun();
            found.choice(None, json::str(event.delta.as_ref().and_then(|delta| delta.0.stop_reason.as_ref())), &USUAL);
        }
        Some("message_stop") => found.over = true,
        Some("error") => found.error = true,
        _ => return Some(()),
    }
    // SDKs go by the one or by the other.
    found.unclear |= name.is_some_and(|name| Some(name) != kind.map(str::as_bytes));
    Some(())
}

fn says_more(kind: &[u8]) -> bool {
    matches!(kind, b"message_start" | b"message_delta" | b"message_stop" | b"error")
}
