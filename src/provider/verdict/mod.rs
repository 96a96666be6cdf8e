//! What a reply, or an event of a stream, says about whom.
//!
//! What is told most exactly counts first: what one dialect alone does, then codes and types, then a message whose beginning is
//! known, then the status. Providers repeat what callers wrote, so only a *beginning* of a message may speak against a key or an
//! account; a word somewhere inside never does. Errors of OpenAI's shape are read alike in all dialects, as `openai` stands for many.
//! The cases are in `tests/corpus/verdicts`, and `docs/verdicts.md` is made from them.

mod google;
mod quota;
mod sentences;
mod status;
mod told;
mod words;

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use memchr::memmem;
use serde::de::IgnoredAny;

use self::told::Told;
use super::{rate_headers::wait, sse};
use crate::types::{Cause, Dialect, Verdict};

/// What is known of an error.
struct Facts<'f> {
    dialect: Dialect,
    /// `None` where the status has said that all is well.
    status: Option<u16>,
    /// `None` inside a stream.
    headers: Option<&'f HeaderMap>,
    told: &'f Told,
    /// The message for people in small letters.
    message: String,
    unix: u64,
}

/// The verdict on a reply: its status, its fields and the first part of its body, decoded, at most 64 KiB of it. `unix` is the time
/// in seconds since 1970.
#[must_use]
pub fn of_reply(dialect: Dialect, status: StatusCode, headers: &HeaderMap, body: &[u8], unix: u64) -> Verdict {
    if status.as_u16() >= 400 {
        return conclude(dialect, Some(status.as_u16()), Some(headers), &Told::read(body), unix);
    }
    if !status.is_success() || memmem::find(body, b"\"error\"").is_none() {
        return Cause::Served.into();
    }
    let told = Told::read(body);
    match told.is_error_in_disguise() {
        true => conclude(dialect, told.status(), Some(headers), &told, unix),
        false => Cause::Served.into(),
    }
}

/// Whether a reply with this status and this whole body, decoded, says in a known way that the request itself is at fault: that it
/// is invalid or too long, or that there is no such model. It would be refused again for as long as neither of the two sides changes.
///
/// A filter's refusal is none: filters change their mind. Nor is what says nothing known, or comes from who stands in between.
#[must_use]
pub fn is_callers_own(dialect: Dialect, status: StatusCode, body: &[u8]) -> bool {
    let status = status.as_u16();
    if !matches!(status, 400 | 404 | 422) || serde_json::from_slice::<IgnoredAny>(body).is_err() {
        return false;
    }
    let told = Told::read(body);
    match conclude(dialect, Some(status), None, &told, 0).cause {
        Cause::ContextLength | Cause::UnknownModel => true,
        Cause::Refused => status != 404 && words::blame_the_request(&told),
        _ => false,
    }
}

/// The verdict on one event of a stream whose status was 200. `None`: there is no error in it.
#[must_use]
pub fn of_event(dialect: Dialect, event: &[u8]) -> Option<Verdict> {
    // What a model writes may hold these words too; what it writes is no member of the outermost object.
    if memmem::find(event, b"error").is_none() && memmem::find(event, b"response.failed").is_none() {
        return None;
    }
    let json = sse::data(event)?;
    let told = Told::read(&json);
    let is_error = told.is_error && told.speaks() || is_called_error(event);
    is_error.then(|| conclude(dialect, told.status(), None, &told, 0))
}

/// Whether an event says something: comments and blank ones, which keep a connection alive, say nothing yet.
#[must_use]
pub fn is_first_word(event: &[u8]) -> bool {
    sse::data(event).is_some_and(|data| !data.trim_ascii().is_empty())
}

/// Whether the event's own name is `error`: Anthropic's and others'.
fn is_called_error(event: &[u8]) -> bool {
    sse::name(event).is_some_and(|name| name.trim_ascii() == b"error")
}

fn conclude(dialect: Dialect, status: Option<u16>, headers: Option<&HeaderMap>, told: &Told, unix: u64) -> Verdict {
    let facts = Facts { dialect, status, headers, told, message: told.message().to_ascii_lowercase(), unix };
    if let Some(verdict) = google::verdict(&facts) {
        return verdict;
    }
    let cause = status::settled(&facts)
        .or_else(|| peculiar(&facts))
        .or_else(|| sentences::cause(&facts))
        .or_else(|| words::cause(&facts))
        .unwrap_or_else(|| status::cause(&facts));
    let cause = match cause {
        Cause::RateLimited(_) => Cause::RateLimited(quota::dimension(&facts)),
        cause => cause,
    };
    Verdict { cause, wait: facts.wait(cause) }
}

/// What one dialect does and no other.
fn peculiar(facts: &Facts<'_>) -> Option<Cause> {
    let Facts { dialect: Dialect::Openrouter, status: Some(status), told, .. } = facts else { return None };
    // A provider behind it: nobody's key here, and nobody's account.
    let behind = !told.provider.is_empty();
    match status {
        401 | 402 if behind => Some(Cause::ServerError),
        429 if behind => Some(Cause::Overloaded),
        // What is under way holds the money, and gives it back.
        402 if facts.asked().is_some() => Some(Cause::RateLimited(quota::UNKNOWN)),
        // Its moderation of prompts, unless it says otherwise.
        403 if told.speaks() => sentences::cause(facts).or(Some(Cause::Refused)),
        408 => Some(Cause::GatewayTimeout),
        _ => None,
    }
}

impl Facts<'_> {
    fn wait(&self, cause: Cause) -> Option<Duration> {
        match cause {
            Cause::RateLimited(_) => self.asked().or_else(|| self.refilled()).or(self.told.retry).or_else(|| self.hinted()),
            Cause::Exhausted | Cause::Overloaded => self.asked().or(self.told.retry).or_else(|| self.hinted()),
            Cause::ServerError => self.asked(),
            _ => None,
        }
    }

    fn asked(&self) -> Option<Duration> {
        wait::asked(self.headers?, self.unix)
    }

    fn refilled(&self) -> Option<Duration> {
        wait::refilled(self.dialect, self.headers?, self.unix)
    }

    fn hinted(&self) -> Option<Duration> {
        wait::hinted(self.message.as_bytes())
    }
}

#[cfg(test)]
mod tests;
