//! OpenAI's responses: the last event of a stream is the response as a whole. API reference as of 2026-11.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    found::Found,
    json::{self, Each, Given, Object, Tell, Text},
};

#[derive(Deserialize)]
struct Event<'e> {
    #[serde(borrow, default)]
    r#type: Option<Text<'e>>,
    #[serde(default)]
    error: Given,
    #[serde(borrow, default)]
    response: Option<Object<Response<'e>>>,
}

#[derive(Deserialize)]
struct Response<'r> {
    #[serde(borrow, default)]
    object: Option<Text<'r>>,
    #[serde(borrow, default)]
    r#type: Option<Text<'r>>,
    #[serde(borrow, default)]
    status: Option<Text<'r>>,
    #[serde(default)]
    error: Given,
    #[serde(default)]
    incomplete_details: Given,
    #[serde(borrow, default)]
    output: Option<Each<Object<Item<'r>>>>,
}

#[derive(Deserialize)]
struct Item<'i> {
    #[serde(borrow, default)]
    r#type: Option<Text<'i>>,
    /// Messages have a list of parts; of other items it may be anything.
    #[serde(borrow, default)]
    content: Option<&'i RawValue>,
}

#[derive(Deserialize)]
struct Part<'p> {
    #[serde(borrow, default)]
    r#type: Option<Text<'p>>,
}

impl Tell for Part<'_> {
    fn tell(&self, found: &mut Found) {
        found.filtered |= json::str(self.r#type.as_ref()) == Some("refusal");
    }
}

impl Tell for Item<'_> {
    fn tell(&self, found: &mut Found) {
        if json::str(self.r#type.as_ref()) != Some("message") {
            return;
        }
        let parts = self.content.and_then(|content| json::list::<Object<Part<'_>>>(content.get().as_bytes()));
        match parts {
            Some(parts) => found.join(&parts.found),
            None => found.unclear = true,
        }
    }
}

impl Response<'_> {
    fn tell(&self, found: &mut Found) {
        let says = |text: &Option<Text<'_>>| json::str(text.as_ref()) == Some("error");
        found.error |= self.error.0 || says(&self.object) || says(&self.r#type);
        match (json::str(self.status.as_ref()), &self.output) {
            (Some("completed"), Some(output)) if !output.is_empty && !self.incomplete_details.0 => {
                found.join(&output.found);
                found.end();
            }
            (Some("failed"), _) => found.error = true,
            (Some("incomplete" | "cancelled"), _) => found.filtered = true,
            _ => found.unclear = true,
        }
    }
}

/// Takes a JSON body. `None` if it can't be read.
pub(super) fn object(json: &[u8], found: &mut Found) -> Option<()> {
    json::object::<Response<'_>>(json)?.tell(found);
    Some(())
}

/// Takes the data of an event of this name, which is parsed only if its type has something to do with an end.
pub(super) fn event(name: Option<&[u8]>, data: &[u8], found: &mut Found) -> Option<()> {
    if json::kind(data).is_some_and(|kind| !says_more(kind)) {
        return Some(());
    }
    let event: Event<'_> = json::object(data)?;
    found.error |= event.error.0;
    match json::str(event.r#type.as_ref()) {
        Some(kind @ "response.completed") => {
            // SDKs go by the one or by the other.
            found.unclear |= name.is_some_and(|name| name != kind.as_bytes());
            found.over = true;
            event.response?.0.tell(found);
        }
        Some("error" | "response.failed") => found.error = true,
        Some("response.incomplete" | "response.cancelled") => found.filtered = true,
        Some(kind) if kind.starts_with("response.refusal.") => found.filtered = true,
        _ => {}
    }
    Some(())
}

fn says_more(kind: &[u8]) -> bool {
    matches!(kind, b"error" | b"response.completed" | b"response.failed" | b"response.incomplete" | b"response.cancelled")
        || kind.starts_with(b"response.refusal.")
}
