//! Gemini's words for usage: `usageMetadata`, in each event of a stream and counting up. GenerateContentResponse as of 2026-11.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Count, Parts, read, read_first};
use crate::types::Usage;

#[derive(Deserialize)]
struct Event<'e> {
    #[serde(borrow, default, rename = "usageMetadata")]
    usage: Option<&'e RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Object {
    prompt_token_count: Count,
    candidates_token_count: Count,
    cached_content_token_count: Count,
    tool_use_prompt_token_count: Count,
    thoughts_token_count: Count,
}

/// What an event says, if it says something of usage.
pub(super) fn event(data: &[u8]) -> Option<Parts> {
    object(read::<Event<'_>>(data)?.usage?.get().as_bytes())
}

/// What the object at the front of `json` says.
pub(super) fn object(json: &[u8]) -> Option<Parts> {
    let told: Object = read_first(json)?;
    Some(Parts {
        input: told.prompt_token_count.0,
        output: told.candidates_token_count.0,
        cached: told.cached_content_token_count.0,
        tools: told.tool_use_prompt_token_count.0,
        reasoning: told.thoughts_token_count.0,
        ..Parts::default()
    })
}

/// Thoughts come beside the candidates, and what tools bring beside the prompt; what was cached is a part of the prompt.
pub(super) fn usage(Parts { input, output, cached, tools, reasoning, .. }: Parts) -> Usage {
    let sum = |part: Option<u64>, beside: Option<u64>| match (part, beside) {
        (None, None) => None,
        (part, beside) => Some(part.unwrap_or(0).saturating_add(beside.unwrap_or(0))),
    };
    Usage { input: input.and(sum(input, tools)), output: sum(output, reasoning), cached, reasoning, ..Usage::default() }
}
