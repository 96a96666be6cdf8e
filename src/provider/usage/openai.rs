//! OpenAI's words for usage, those of Chat Completions, Embeddings and Completions, and those of Responses, Images and Audio;
//! Azure's and those of all who copy them. API reference as of 2026-11.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Count, Parts, read, read_first};
use crate::types::Usage;

#[derive(Deserialize)]
struct Event<'e> {
    #[serde(borrow, default)]
    usage: Option<&'e RawValue>,
    /// Responses tell it of the response as a whole.
    #[serde(borrow, default)]
    response: Option<&'e RawValue>,
}

#[derive(Deserialize)]
struct Response<'e> {
    #[serde(borrow, default)]
    usage: Option<&'e RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Object<'o> {
    prompt_tokens: Count,
    completion_tokens: Count,
    input_tokens: Count,
    output_tokens: Count,
    #[serde(borrow)]
    prompt_tokens_details: Option<&'o RawValue>,
    #[serde(borrow)]
    completion_tokens_details: Option<&'o RawValue>,
    #[serde(borrow)]
    input_tokens_details: Option<&'o RawValue>,
    #[serde(borrow)]
    output_tokens_details: Option<&'o RawValue>,
    /// DeepSeek's word for it.
    prompt_cache_hit_tokens: Count,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Details {
    cached_tokens: Count,
    cache_write_tokens: Count,
    reasoning_tokens: Count,
}

/// What an event says, if it says something of usage.
pub(super) fn event(data: &[u8]) -> Option<Parts> {
    let event: Event<'_> = read(data)?;
    let of_response = || read::<Response<'_>>(event.response?.get().as_bytes())?.usage;
    object(event.usage.or_else(of_response)?.get().as_bytes())
}

/// What the object at the front of `json` says.
pub(super) fn object(json: &[u8]) -> Option<Parts> {
    let told: Object<'_> = read_first(json)?;
    let prompt = details([told.prompt_tokens_details, told.input_tokens_details]);
    let reply = details([told.completion_tokens_details, told.output_tokens_details]);
    Some(Parts {
        input: told.prompt_tokens.0.or(told.input_tokens.0),
        output: told.completion_tokens.0.or(told.output_tokens.0),
        cached: prompt.cached_tokens.0.or(told.prompt_cache_hit_tokens.0),
        stored: prompt.cache_write_tokens.0,
        reasoning: reply.reasoning_tokens.0,
        ..Parts::default()
    })
}

/// The first object that can be read.
fn details(objects: [Option<&RawValue>; 2]) -> Details {
    objects.into_iter().flatten().find_map(|details| read(details.get().as_bytes())).unwrap_or_default()
}

/// Details are parts of the sums.
pub(super) fn usage(Parts { input, output, cached, stored, reasoning, .. }: Parts) -> Usage {
    Usage { input, output, cached, stored, stored_long: None, reasoning }
}
