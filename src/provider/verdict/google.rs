//! Google's `RESOURCE_EXHAUSTED`, which names the quotas that are used up: by the minute, by the day, or none at all.
//!
//! `dialect: openai` may stand for its compatible endpoint, so the shape tells, not the dialect.

use std::time::Duration;

use super::{Facts, quota};
use crate::types::{Cause, Dimension, Verdict};

/// Quotas by the day come back at midnight in California. Whoever asks once an hour finds out in time, and what a refusal says
/// of a wait of seconds is about another quota.
const DAILY: Duration = Duration::from_hours(1);

/// The verdict, where quotas are named.
pub(super) fn verdict(facts: &Facts<'_>) -> Option<Verdict> {
    let told = facts.told;
    if facts.status != Some(429) || told.quotas.is_empty() && !facts.message.contains("quota exceeded for metric") {
        return None;
    }
    if told.has_none || has_limit_of_zero(&facts.message) {
        // This account was never meant to have this model.
        return Some(Cause::Forbidden.into());
    }
    let dimension = match (told.quotas.contains("token"), told.quotas.contains("request")) {
        (true, false) => Dimension::Tokens,
        (false, true) => Dimension::Requests,
        _ => quota::of_text(&facts.message),
    };
    let wait = facts.wait(Cause::RateLimited(dimension));
    let wait = if told.quotas.contains("perday") { wait.max(Some(DAILY)) } else { wait };
    Some(Verdict { cause: Cause::RateLimited(dimension), wait })
}

fn has_limit_of_zero(message: &str) -> bool {
    message.split("limit: 0").skip(1).any(|behind| !behind.starts_with(|next: char| next.is_ascii_digit() || next == '.'))
}
