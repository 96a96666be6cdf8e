//! Messages that are known by their beginning, where a provider has no code for what it says.
//!
//! What a caller wrote can stand in a message too. So each of these is bound to the statuses that it comes with, and what speaks
//! against a key or an account has to *begin* a message.

use super::Facts;
use crate::types::{Cause, Dialect};

/// In small letters. Sources: the error pages of each provider, and what they send, as of 2026-11.
const BEGINNINGS: &[(Cause, &[u16], &str)] = &[
    (Cause::Forbidden, &[401, 403], "you have insufficient permissions for this operation"),
    // What only a browser may ask for, by the path that the caller has chosen.
    (Cause::Forbidden, &[401, 403], "your request to "),
    (Cause::Region, &[403], "request not allowed"),
    (Cause::Region, &[400, 403], "user location is not supported"),
    (Cause::Region, &[400, 403], "gemini api free tier is not available in your country"),
    (Cause::Region, &[400, 403], "country, region, or territory not supported"),
    (Cause::Region, &[403], "access denied due to virtual network/firewall rules"),
    (Cause::Region, &[403], "this model is not available in your region"),
    (Cause::InvalidKey, &[403], "your api key was reported as leaked"),
    (Cause::InvalidKey, &[403], "method doesn't allow unregistered callers"),
    (Cause::InvalidKey, &[403], "oauth token has been revoked"),
    (Cause::Exhausted, &[403, 429], "out of call volume quota"),
    (Cause::Exhausted, &[403], "key limit exceeded"),
    (Cause::Exhausted, &[429], "your account is not active"),
    (Cause::Exhausted, &[429], "your prepayment credits are depleted"),
    (Cause::Exhausted, &[429], "your project has exceeded its monthly spending cap"),
    // One request is more than the account may ask for at once: it would never pass, and others do.
    (Cause::ContextLength, &[413, 429], "request too large"),
    (Cause::ContextLength, &[402], "this request requires more credits"),
    (Cause::ContextLength, &[400, 429], "extra usage is required for long context"),
    // A parameter of the caller's: any account would say so.
    (Cause::Refused, &[403], "you are not allowed to request "),
    // Somebody else's file, which any caller can name.
    (Cause::Refused, &[403], "you do not have permission to access the file"),
    (Cause::Overloaded, &[429], "that model is currently overloaded"),
    (Cause::Overloaded, &[429], "the engine is currently overloaded"),
    (Cause::Overloaded, &[429], "the model is overloaded"),
    (Cause::Overloaded, &[429], "the system is currently experiencing high demand"),
    (Cause::UnknownModel, &[400, 404], "model not exist"),
    (Cause::UnknownModel, &[404], "model "),
    (Cause::UnknownModel, &[404], "model: "),
    (Cause::UnknownModel, &[404], "models/"),
    (Cause::UnknownModel, &[404], "no endpoints found for "),
    (Cause::UnknownModel, &[404], "publisher model "),
    (Cause::UnknownModel, &[404], "the api deployment for this resource does not exist"),
    (Cause::UnknownModel, &[404], "the model "),
];

/// Anthropic's, which come with 400. Its compatible endpoint may be called `openai`; with other followers, of whom some begin
/// a message with the caller's words, they say nothing.
const ANTHROPIC: &[(Cause, &str)] = &[
    (Cause::InvalidKey, "this organization has been disabled"),
    (Cause::Exhausted, "you have reached your specified api usage limits"),
    (Cause::Exhausted, "your credit balance is too low"),
];

/// What is said of a prompt that is too long, somewhere in the message: OpenAI, vLLM, DeepSeek and OpenRouter; Anthropic; Gemini;
/// Groq; Mistral; xAI; servers of one's own. It speaks against nobody but the caller.
const TOO_LONG: &[&str] = &[
    "maximum context length",
    "context window",
    "model's context length",
    "prompt is too long",
    "exceed context limit",
    "maximum number of tokens allowed",
    "reduce the length of the messages",
    "maximum prompt length",
    "maximum model length",
    "maximum allowed length",
    "available context size",
    "`inputs` tokens + `max_new_tokens`",
];

/// The cause, where the message is a known one.
pub(super) fn cause(facts: &Facts<'_>) -> Option<Cause> {
    let Facts { message, status, told, .. } = facts;
    if *status == Some(400) && message.ends_with("is not a valid model id") {
        return Some(Cause::UnknownModel);
    }
    let begins = |(_, statuses, beginning): &&(Cause, &[u16], &str)| {
        status.is_some_and(|status| statuses.contains(&status)) && message.starts_with(beginning)
    };
    let known = BEGINNINGS.iter().find(begins).map(|(cause, ..)| *cause);
    known.or_else(|| of_anthropic(facts)).or_else(|| {
        let may_be = matches!(status, None | Some(400 | 413 | 422));
        let says = |text: &str| TOO_LONG.iter().any(|words| text.contains(words));
        (may_be && (says(message) || says(&told.behind))).then_some(Cause::ContextLength)
    })
}

fn of_anthropic(facts: &Facts<'_>) -> Option<Cause> {
    let may_be = facts.status == Some(400) && matches!(facts.dialect, Dialect::Anthropic | Dialect::Openai);
    let known = || ANTHROPIC.iter().find(|(_, beginning)| facts.message.starts_with(beginning));
    may_be.then(known)?.map(|(cause, _)| *cause)
}
