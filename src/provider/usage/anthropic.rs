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
struct Object<'o> {
    input_tokens: Count,
    output_tokens: Count,
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    #[serde(borrow)]
    cache_creation: Option<&'o RawValue>,
}

/// What was put into the cache, by how long it stays.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Creation {
    ephemeral_1h_input_tokens: Count,
}

/// What an event says, if it says something of usage.
pub(super) fn event(data: &[u8]) -> Option<Parts> {
    let event: Event<'_> = read(data)?;
    let of_message = || read::<Message<'_>>(event.message?.get().as_bytes())?.usage;
    object(event.usage.or_else(of_message)?.get().as_bytes())
}

/// What the object at the front of `json` says.
pub(super) fn object(json: &[u8]) -> Option<Parts> {
    let told: Object<'_> = read_first(json)?;
    let creation: Option<Creation> = told.cache_creation.and_then(|creation| read(creation.get().as_bytes()));
    Some(Parts {
        input: told.input_tokens.0,
        output: told.output_tokens.0,
        cached: told.cache_read_input_tokens.0,
        stored: told.cache_creation_input_tokens.0,
        stored_long: creation.and_then(|creation| creation.ephemeral_1h_input_tokens.0),
        ..Parts::default()
    })
}

/// `input_tokens` are those that had nothing to do with a cache; the prompt is all three.
pub(super) fn usage(Parts { input, output, cached, stored, stored_long, .. }: Parts) -> Usage {
    let input = input.map(|input| input.saturating_add(cached.unwrap_or(0)).saturating_add(stored.unwrap_or(0)));
    Usage { input, output, cached, stored, stored_long, reasoning: None }
}
