//! The report: what was measured, as JSON. Its names are a promise; `docs/load.md` lists them.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use super::{answer::Kind, histogram::Histogram, prices::Price, site::Site, tally::Tally};
use crate::types::Secret;

/// What a load came to.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) users: u32,
    pub(super) rate_per_s: Option<f64>,
    pub(super) ended: Ended,
    #[serde(flatten)]
    pub(super) figures: Figures,
    /// The same figures of the other site.
    pub(super) compare: Option<Figures>,
    /// What the first site's reply takes longer than the other's, in milliseconds; below 0 where it is faster.
    pub(super) added_ms: Option<Added>,
}

/// Why a load was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ended {
    /// It ran as long as it was told.
    Complete,
    /// By a signal.
    Interrupted,
    /// The site accepted no key.
    Refused,
}

/// The figures of one site.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) url: String,
    pub(super) duration_s: f64,
    pub(super) requests: Requests,
    /// Failed requests by kind: a status, or a word.
    pub(super) failures: BTreeMap<String, u64>,
    /// What was said with the first of them.
    pub(super) first_failure: Option<String>,
    /// Of the requests that succeeded.
    pub(super) latency_ms: Option<Spread>,
    pub(super) first_token_ms: Option<Spread>,
    pub(super) tokens: Tokens,
    /// Nothing where the model's price is not known.
    pub(super) cost_usd: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Requests {
    /// Those that ended.
    pub(super) total: u64,
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    /// Those that were open when a signal came; they are in no other figure.
    pub(super) unfinished: u64,
    pub(super) success_percent: Option<f64>,
    /// Ended requests by the time from the first one's begin to the last one's end.
    pub(super) per_s: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) p50: f64,
    pub(super) p95: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct Tokens {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) output_per_s: f64,
    /// Replies without usage: for them, tokens are counted as events and the prompt as it was asked for.
    pub(super) replies_without_usage: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Added {
    pub(super) latency: Option<Difference>,
    pub(super) first_token: Option<Difference>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Difference {
    pub(super) p50: f64,
    pub(super) p95: f64,
}

impl Figures {
    /// The figures of a tally. `keys` are taken out of whatever the site said.
    pub(super) fn of(site: &Site, tally: &Tally, price: Option<Price>, keys: &[&Secret]) -> Self {
        let duration = tally.first_begun.zip(tally.last_ended).map_or(Duration::ZERO, |(begun, ended)| ended - begun).as_secs_f64();
        let per_second = |count: u64| if duration > 0.0 { rounded(count as f64 / duration) } else { 0.0 };
        let named = |kind: &Kind| kind.to_string();
        let first_failure = tally.first_failure.as_ref().map(|failure| match speakable(&failure.said, keys) {
            said if said.is_empty() => named(&failure.kind),
            said => format!("{}: {said}", failure.kind),
        });
        let replies = tally.succeeded > 0;
        Self {
            url: site.to_string(),
            duration_s: rounded(duration),
            requests: Requests {
                total: tally.ended(),
                succeeded: tally.succeeded,
                failed: tally.failed(),
                unfinished: tally.begun - tally.ended(),
                // Down: 100 is said of a load without a failure, and of no other.
                success_percent: tally.success().map(|percent| (percent * 1e3).floor() / 1e3),
                per_s: per_second(tally.ended()),
            },
            failures: tally.failures.iter().map(|(kind, count)| (named(kind), *count)).collect(),
            first_failure,
            latency_ms: Spread::of(&tally.latency),
            first_token_ms: Spread::of(&tally.first_token),
            tokens: Tokens {
                input: tally.input_tokens,
                output: tally.output_tokens,
                output_per_s: per_second(tally.output_tokens),
                replies_without_usage: tally.without_usage,
            },
            cost_usd: price.filter(|_| replies).map(|price| price.of(tally.input_tokens, tally.output_tokens)),
        }
    }

    /// What these figures have on top of the others.
    pub(super) fn added_to(&self, others: &Self) -> Added {
        let difference = |ours: Option<Spread>, theirs: Option<Spread>| {
            let (ours, theirs) = ours.zip(theirs)?;
            Some(Difference { p50: rounded(ours.p50 - theirs.p50), p95: rounded(ours.p95 - theirs.p95) })
        };
        Added {
            latency: difference(self.latency_ms, others.latency_ms),
            first_token: difference(self.first_token_ms, others.first_token_ms),
        }
    }
}

impl Spread {
    fn of(histogram: &Histogram) -> Option<Self> {
        let at = |percent| histogram.percentile(percent).map(millis);
        Some(Self { p50: at(50.0)?, p95: at(95.0)?, p99: at(99.0)?, max: histogram.max().map(millis)? })
    }
}

fn millis(duration: Duration) -> f64 {
    rounded(duration.as_secs_f64() * 1e3)
}

/// To three places, so that JSON shows no noise.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// What a stranger said, fit for a terminal: one short line without control characters and without a key.
fn speakable(said: &str, keys: &[&Secret]) -> String {
    const LONGEST: usize = 200;
    let said = keys.iter().fold(said.to_owned(), |said, key| said.replace(key.expose(), "[key]"));
    let words = said.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_one_line_without_a_key() {
        let key = Secret::new("sk-hidden".to_owned());
        assert_eq!(speakable("no\r\n\x1b[31m such  key: sk-hidden!", &[&key]), "no [31m such key: [key]!");
        assert_eq!(speakable(&"é".repeat(500), &[]).chars().count(), 200);
    }
}
