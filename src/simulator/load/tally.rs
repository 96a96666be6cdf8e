//! What one site's requests came to, counted as they end.

use std::collections::BTreeMap;

use http::StatusCode;
use tokio::time::Instant;

use super::{
    answer::{Answer, Failure, Kind},
    histogram::Histogram,
};

/// So many refusals of the key in a row, without anything else, and there is nothing to measure.
const ENOUGH: u64 = 10;

/// The counts of one site.
pub(super) struct Tally {
    /// Requests that were begun, ended or not.
    pub(super) begun: u64,
    pub(super) succeeded: u64,
    pub(super) failures: BTreeMap<Kind, u64>,
    /// What was said with the first failure of all.
    pub(super) first_failure: Option<Failure>,
    /// Of those that succeeded, from when they were due to their last byte.
    pub(super) latency: Histogram,
    /// To their first token; nothing for replies that come whole.
    pub(super) first_token: Histogram,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    /// Replies without usage: their tokens are counted as events, and their prompts as asked for.
    pub(super) without_usage: u64,
    pub(super) first_begun: Option<Instant>,
    pub(super) last_ended: Option<Instant>,
    /// About how long a prompt is, for replies without usage.
    prompt_tokens: u32,
}

impl Tally {
    pub(super) fn new(prompt_tokens: u32) -> Self {
        Self {
            begun: 0,
            succeeded: 0,
            failures: BTreeMap::new(),
            first_failure: None,
            latency: Histogram::new(),
            first_token: Histogram::new(),
            input_tokens: 0,
            output_tokens: 0,
            without_usage: 0,
            first_begun: None,
            last_ended: None,
            prompt_tokens,
        }
    }

    /// A request begins.
    pub(super) fn begin(&mut self, now: Instant) {
        self.begun += 1;
        self.first_begun.get_or_insert(now);
    }

    /// A request that was due at `due` ends.
    pub(super) fn end(&mut self, due: Instant, now: Instant, outcome: Result<Answer, Failure>) {
        self.last_ended = Some(now);
        match outcome {
            Ok(answer) => {
                self.succeeded += 1;
                self.latency.add(now - due);
                if let Some(first) = answer.first_token {
                    self.first_token.add(Instant::from_std(first).saturating_duration_since(due));
                }
                self.without_usage += u64::from(answer.usage.is_none());
                // A site may say any number.
                let input = answer.usage.map_or(self.prompt_tokens.into(), |usage| usage.input_tokens);
                let output = answer.usage.map_or(answer.events, |usage| usage.output_tokens);
                self.input_tokens = self.input_tokens.saturating_add(input);
                self.output_tokens = self.output_tokens.saturating_add(output);
            }
            Err(failure) => {
                *self.failures.entry(failure.kind).or_default() += 1;
                self.first_failure.get_or_insert(failure);
            }
        }
    }

    /// Whether the site lets nobody in, so that more of the same would tell nothing.
    pub(super) fn is_refused(&self) -> bool {
        let refused = self.failures.get(&Kind::Status(StatusCode::UNAUTHORIZED));
        self.succeeded == 0 && refused.is_some_and(|count| *count >= ENOUGH && *count == self.failed())
    }

    pub(super) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Requests that have ended.
    pub(super) fn ended(&self) -> u64 {
        self.succeeded + self.failed()
    }

    /// The part of them that succeeded, in percent; nothing before the first has ended.
    pub(super) fn success(&self) -> Option<f64> {
        (self.ended() > 0).then(|| 100.0 * self.succeeded as f64 / self.ended() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::answer::Usage, *};

    #[test]
    fn a_site_that_makes_up_its_usage_ends_no_load() {
        let (mut tally, now) = (Tally::new(16), Instant::now());
        for _ in 0..2 {
            let usage = Some(Usage { input_tokens: u64::MAX, output_tokens: u64::MAX });
            tally.end(now, now, Ok(Answer { first_token: None, usage, events: 0 }));
        }
        assert_eq!((tally.succeeded, tally.input_tokens, tally.output_tokens), (2, u64::MAX, u64::MAX));
    }
}
