//! What a provider tells of an account's room, in the fields beside a reply.
//!
//! It is read beside every reply, so it costs one walk over the head and nothing else: no memory, and no reading where no such field
//! stands.

pub(in crate::provider) mod duration;
pub(in crate::provider) mod wait;

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use crate::types::{Dialect, Headroom, Room};

/// OpenAI's documentation on rate limits: what a quota without another word fills in.
const MINUTE: Duration = Duration::from_secs(60);
/// Groq's documentation on rate limits: its fields of requests count by the day, as OpenAI's do for small accounts.
const DAY: Duration = Duration::from_hours(24);

/// What the fields say of one quota.
#[derive(Clone, Copy, Default)]
struct Quota<'h> {
    limit: Option<u64>,
    remaining: Option<u64>,
    reset: Option<&'h HeaderValue>,
}

/// The quotas that any of the dialects tells.
#[derive(Default)]
struct Quotas<'h> {
    requests: Quota<'h>,
    tokens: Quota<'h>,
    /// A part of the account that has a quota of its own: OpenAI's project, Anthropic's prompts.
    part: Quota<'h>,
    /// Anthropic's, of what models write.
    output: Quota<'h>,
}

/// What is left for this account and model; nothing where the reply does not tell. `unix` is the time in seconds since 1970.
#[must_use]
pub fn headroom(dialect: Dialect, headers: &HeaderMap, unix: u64) -> Headroom {
    let prefix = match dialect {
        Dialect::Anthropic => "anthropic-ratelimit-",
        Dialect::Openai
        | Dialect::Azure
        | Dialect::Gemini
        | Dialect::Groq
        | Dialect::Deepseek
        | Dialect::Mistral
        | Dialect::Openrouter
        | Dialect::Vllm => "x-ratelimit-",
    };
    let mut quotas = Quotas::default();
    for (name, value) in headers {
        if let Some(name) = name.as_str().strip_prefix(prefix) {
            quotas.keep(dialect, name, value);
        }
    }
    let requests = quotas.requests.room(MINUTE, unix);
    let requests = requests.map(|room| Room { window: window(dialect, &quotas.requests, &room), ..room });
    let [tokens, part, output] = [quotas.tokens, quotas.part, quotas.output].map(|quota| quota.room(MINUTE, unix));
    // What a model will write is not known beforehand: only when nothing of it is left it says something.
    let output = output.filter(|room| room.remaining == 0);
    let tokens = [tokens, part, output].into_iter().flatten().min_by_key(|room| room.remaining);
    Headroom { requests, tokens }
}

impl<'h> Quotas<'h> {
    fn keep(&mut self, dialect: Dialect, name: &str, value: &'h HeaderValue) {
        // Anthropic has what is counted before what is told of it, all others have it behind.
        let split = if dialect == Dialect::Anthropic { name.rsplit_once('-').map(|(of, what)| (what, of)) } else { name.split_once('-') };
        let Some((what, of)) = split else { return };
        let quota = match of {
            // The last two of each are Mistral's.
            "requests" | "req-minute" => &mut self.requests,
            "tokens" | "tokens-minute" => &mut self.tokens,
            "project-tokens" | "input-tokens" => &mut self.part,
            "output-tokens" => &mut self.output,
            _ => return,
        };
        match what {
            "limit" => quota.limit = quota.limit.or(number(value)),
            // Told twice, less is left than either says.
            "remaining" => quota.remaining = [quota.remaining, number(value)].into_iter().flatten().min(),
            "reset" => quota.reset = quota.reset.or(Some(value)),
            _ => {}
        }
    }
}

impl Quota<'_> {
    fn room(self, window: Duration, unix: u64) -> Option<Room> {
        let reset = self.reset.and_then(|value| wait::until(value.as_bytes(), unix));
        Some(Room { limit: self.limit, remaining: self.remaining?, reset, window })
    }
}

/// In how long requests fill. OpenAI does not say it, but the time until its quota is whole again does: what is used of it comes
/// back evenly. 8.64 s for one of 10,000 make a day.
fn window(dialect: Dialect, quota: &Quota<'_>, room: &Room) -> Duration {
    let written_as_duration = || quota.reset.is_some_and(|value| duration::read(value.as_bytes()).is_some());
    match dialect {
        Dialect::Groq => DAY,
        Dialect::Openai if written_as_duration() => {
            let (Some(limit), Some(reset)) = (room.limit, room.reset) else { return MINUTE };
            let used = limit.saturating_sub(room.remaining).max(1);
            #[expect(clippy::cast_precision_loss, reason = "a comparison within one part in fifty")]
            let whole = reset.as_secs_f64() * limit as f64 / used as f64;
            if (whole / DAY.as_secs_f64() - 1.).abs() < 0.02 { DAY } else { MINUTE }
        }
        _ => MINUTE,
    }
}

/// A whole number from 0 on. What is less, a fraction or too large says nothing.
fn number(value: &HeaderValue) -> Option<u64> {
    std::str::from_utf8(value.as_bytes()).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
