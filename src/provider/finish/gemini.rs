//! Gemini's content: candidates, each with its own `finishReason`. A stream has few events and no last one, so all are read.
//! GenerateContentResponse as of 2026-11.

use serde::Deserialize;

use super::{
    found::Found,
    json::{self, Each, Given, Object, Tell, Text},
};

/// Reasons that leave a candidate as good as it can be. Others are a filter's or a failure's.
const USUAL: [&str; 2] = ["STOP", "MAX_TOKENS"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk<'c> {
    #[serde(default)]
    error: Given,
    #[serde(default)]
    prompt_feedback: Option<Object<Feedback>>,
    #[serde(borrow, default)]
    candidates: Option<Each<Object<Candidate<'c>>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback {
    #[serde(default)]
    block_reason: Given,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'c> {
    /// The first one has none.
    #[serde(default)]
    index: Option<u64>,
    #[serde(borrow, default)]
    finish_reason: Option<Text<'c>>,
}

impl Tell for Candidate<'_> {
    fn tell(&self, found: &mut Found) {
        found.choice(self.index, json::str(self.finish_reason.as_ref()), &USUAL);
    }
}

impl Tell for Chunk<'_> {
    fn tell(&self, found: &mut Found) {
        found.error |= self.error.0;
        found.filtered |= self.prompt_feedback.as_ref().is_some_and(|feedback| feedback.0.block_reason.0);
        if let Some(candidates) = &self.candidates {
            found.reopen(&candidates.found);
            found.join(&candidates.found);
        }
    }
}

/// Takes the data of an event. `None` if it can't be read.
pub(super) fn object(json: &[u8], found: &mut Found) -> Option<()> {
    json::object::<Chunk<'_>>(json)?.tell(found);
    Some(())
}

/// Takes a JSON body: one object, or a list of what would else be the events of a stream. `None` if it can't be read.
pub(super) fn body(json: &[u8], found: &mut Found) -> Option<()> {
    if !json.trim_ascii_start().starts_with(b"[") {
        return object(json, found);
    }
    found.join(&json::list::<Object<Chunk<'_>>>(json)?.found);
    Some(())
}
