//! OpenAI's chats and completions, and those of all who copy them: choices, each with its own `finish_reason`. API reference as
//! of 2026-11.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;

use super::{
    found::Found,
    json::{self, Each, Given, Object, Tell, Text},
};

/// Reasons that leave a reply as good as it can be. Others are a filter's, a failure's, or nobody knows.
const USUAL: [&str; 4] = ["stop", "length", "tool_calls", "function_call"];

#[derive(Deserialize)]
struct Chunk<'c> {
    #[serde(default)]
    error: Given,
    #[serde(borrow, default)]
    object: Option<Text<'c>>,
    #[serde(borrow, default)]
    r#type: Option<Text<'c>>,
    #[serde(borrow, default)]
    choices: Option<Each<Object<Choice<'c>>>>,
}

#[derive(Deserialize)]
struct Choice<'c> {
    #[serde(default)]
    index: Option<u64>,
    #[serde(borrow, default)]
    finish_reason: Option<Text<'c>>,
    /// OpenRouter's, of a provider behind it.
    #[serde(default)]
    error: Given,
    #[serde(default)]
    delta: Option<Object<Said>>,
    #[serde(default)]
    message: Option<Object<Said>>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    refusal: Given,
}

impl Tell for Choice<'_> {
    fn tell(&self, found: &mut Found) {
        found.choice(self.index, json::str(self.finish_reason.as_ref()), &USUAL);
        found.error |= self.error.0;
        let refuses = |said: &Option<Object<Said>>| said.as_ref().is_some_and(|said| said.0.refusal.0);
        found.filtered |= refuses(&self.delta) || refuses(&self.message);
    }
}

/// Takes a JSON body, or the data of an event. `None` if it can't be read.
pub(super) fn object(json: &[u8], found: &mut Found) -> Option<()> {
    let chunk: Chunk<'_> = json::object(json)?;
    let says = |text: &Option<Text<'_>>| json::str(text.as_ref()) == Some("error");
    found.error |= chunk.error.0 || says(&chunk.object) || says(&chunk.r#type);
    if let Some(choices) = chunk.choices {
        found.join(&choices.found);
    }
    Some(())
}

/// Takes the data of an event, which is parsed only if it may say more than that the first choice goes on.
pub(super) fn event(data: &[u8], found: &mut Found) -> Option<()> {
    static FINDERS: LazyLock<Finders> = LazyLock::new(Finders::new);
    let Finders { index, reason, error, refusal } = &*FINDERS;
    let mut begun = false;
    let other = any(index, data, |value| {
        let first = value.starts_with(b"0") && matches!(value.get(1), Some(b',' | b'}' | b' '));
        begun |= first;
        !first
    });
    let says_more = |finder| any(finder, data, |value| !value.starts_with(b"null"));
    if other || says_more(reason) || says_more(error) || says_more(refusal) {
        return object(data, found);
    }
    if begun {
        found.begin();
    }
    Some(())
}

/// The names of the members that count.
struct Finders {
    index: Finder<'static>,
    reason: Finder<'static>,
    error: Finder<'static>,
    refusal: Finder<'static>,
}

impl Finders {
    fn new() -> Self {
        Self {
            index: Finder::new(b"\"index\""),
            reason: Finder::new(b"\"finish_reason\""),
            error: Finder::new(b"\"error\""),
            refusal: Finder::new(b"\"refusal\""),
        }
    }
}

/// Whether any of the words found is no member's name, or has a value of which this is so.
fn any(finder: &Finder<'_>, data: &[u8], mut counts: impl FnMut(&[u8]) -> bool) -> bool {
    let mut rest = data;
    while let Some(at) = finder.find(rest) {
        rest = &rest[at + finder.needle().len()..];
        let value = rest.trim_ascii_start().strip_prefix(b":");
        if value.is_none_or(|value| counts(value.trim_ascii_start())) {
            return true;
        }
    }
    false
}
