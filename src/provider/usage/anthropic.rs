//! Anthropic's words for usage: `message_start` tells the prompt, each `message_delta` the output so far. Messages API as of
//! 2026-11.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Count, Parts, read, read_first};
use crate::types::Usage;

#[derive(Deserialize)]
struct Event<'e> {
    #[serde(borrow, default)]
    usage: Option<&'e RawValue>,
    #[serde(borrow, default)]
    message: Option<&'e RawValue>,
}

#[derive(Deserialize)]
struct Message<'e> {
    #[serde(borrow, default)]
    usage: Option<&'e RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Object {
    input_tokens: Count,
    output_tokens: Count,
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
}

/// What an event says, if it says something of usage.
pub(super) fn event(data: &[u8]) -> Option<Parts> {
    let event: Event<'_> = read(data)?;
    let of_message = || read::<Message<'_>>(event.message?.get().as_bytes())?.usage;
    object(event.usage.or_else(of_message)?.get().as_bytes())
}

/// What the object at the front of `json` says.
pub(super) fn object(json: &[u8]) -> Option<Parts> {
    let told: Object = read_first(json)?;
    Some(Parts {
        input: told.input_tokens.0,
        output: told.output_tokens.0,
        cached: told.cache_read_input_tokens.0,
        stored: told.cache_creation_input_tokens.0,
        ..Parts::default()
    })
}

/// `input_tokens` are those that had nothing to do with a cache; the prompt is all three.
pub(super) fn usage(Parts { input, output, cached, stored, .. }: Parts) -> Usage {
    let input = input.map(|input| input.saturating_add(cached.unwrap_or(0)).saturating_add(stored.unwrap_or(0)));
    Usage { input, output, cached, reasoning: None }
}
