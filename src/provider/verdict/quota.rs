//! Which quota a refusal is about.

use super::Facts;
use crate::{provider::rate_headers::headroom, types::Dimension};

pub(super) const UNKNOWN: Dimension = Dimension::Unknown;

/// By its type, else by the fields, else by its message.
pub(super) fn dimension(facts: &Facts<'_>) -> Dimension {
    for word in facts.told.words() {
        match word {
            "tokens" => return Dimension::Tokens,
            "requests" => return Dimension::Requests,
            _ => {}
        }
    }
    if let Some(headers) = facts.headers {
        let room = headroom(facts.dialect, headers, facts.unix);
        match [room.requests, room.tokens].map(|room| room.is_some_and(|room| room.remaining == 0)) {
            [true, false] => return Dimension::Requests,
            [false, true] => return Dimension::Tokens,
            _ => {}
        }
    }
    of_text(&facts.message)
}

/// A message speaks of one of them, or of both or neither.
pub(super) fn of_text(text: &str) -> Dimension {
    let speaks = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let tokens = speaks(&["tokens per ", "token rate limit", "input tokens", "output tokens", "tokens_per", "(tpm)", "(tpd)"]);
    let requests = speaks(&["requests per ", "call rate limit", "requests_per", "free-models-per-", "(rpm)", "(rpd)"]);
    match (tokens, requests) {
        (true, false) => Dimension::Tokens,
        (false, true) => Dimension::Requests,
        _ => Dimension::Unknown,
    }
}
