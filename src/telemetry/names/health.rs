//! The names of what is told of keys' health, breakers, attempts and lines.

use super::{Kind, Metric, row};

/// Whether a key is in use.
pub const KEY_STATE: &str = "sidegate_key_state";
/// Changes of a key's state.
pub const KEY_TRANSITIONS: &str = "sidegate_key_transitions_total";
/// What takes models of a key's account out of use for a while.
pub const KEY_COOLDOWNS: &str = "sidegate_key_cooldowns_total";
/// Where a provider's breakers stand.
pub const BREAKER_STATE: &str = "sidegate_breaker_state";
/// Changes of their state.
pub const BREAKER_TRANSITIONS: &str = "sidegate_breaker_transitions_total";
/// What they keep from being sent.
pub const BREAKER_REFUSED: &str = "sidegate_breaker_refused_total";
/// How attempts end.
pub const ATTEMPTS: &str = "sidegate_attempt_total";
/// Attempts that follow one to the same target.
pub const RETRIES: &str = "sidegate_attempt_retries_total";
/// Attempts that follow one with a key that turned out to be bad.
pub const SWAPS: &str = "sidegate_attempt_swaps_total";
/// Attempts that follow one to another target.
pub const FALLBACKS: &str = "sidegate_attempt_fallbacks_total";
/// Retries that there was no budget for.
pub const BUDGET_EXHAUSTED: &str = "sidegate_attempt_budget_exhausted_total";
/// Requests in a provider's line.
pub const QUEUE_WAITING: &str = "sidegate_queue_waiting";
/// Requests that the line has let through.
pub const QUEUE_IN_FLIGHT: &str = "sidegate_queue_in_flight";
/// How long they stood in it.
pub const QUEUE_SECONDS: &str = "sidegate_queue_seconds";

/// Their rows.
pub(super) const ROWS: [Metric; 14] = [
    row(
        KEY_STATE,
        Kind::Gauge,
        &["provider", "key", "state"],
        "1 for the state that a key of the running config is in, else 0: active, cooling (its account rests, for one model or all), \
         quarantined (it was refused, and waits for a probe), half_open (the probe is under way), disabled (by an operator), unused \
         (weight 0).",
    ),
    row(
        KEY_TRANSITIONS,
        Kind::Counter,
        &["provider", "key", "to", "cause"],
        "Changes of the state of a key of the running config, by the state that it came to, and by what the reply said that led to \
         it. Absent before the first.",
    ),
    row(
        KEY_COOLDOWNS,
        Kind::Counter,
        &["provider", "key", "cause"],
        "Replies to a key of the running config after which its account was not asked for a model for a while, by what they said: \
         rate_limited_requests, rate_limited_tokens, rate_limited, unknown_model, forbidden. Absent before the first.",
    ),
    row(
        BREAKER_STATE,
        Kind::Gauge,
        &["provider", "scope", "state"],
        "Breakers of the running config in a state (closed, open, half_open): one of scope host, one of scope model for each model \
         that was asked for and did not always answer, one of scope others for those beyond the bound.",
    ),
    row(
        BREAKER_TRANSITIONS,
        Kind::Counter,
        &["provider", "scope", "to", "cause"],
        "Changes of the state of a provider's breakers, by the state that one came to, and by what led to it. Absent before the first.",
    ),
    row(BREAKER_REFUSED, Kind::Counter, &["provider", "scope"], "Attempts that were not made because a breaker is open."),
    row(
        ATTEMPTS,
        Kind::Counter,
        &["provider", "verdict"],
        "Attempts that are over, by what their end says, in the words of docs/resilience.md; served is a reply that holds no error. \
         Verdicts that never came are absent.",
    ),
    row(RETRIES, Kind::Counter, &["provider"], "Attempts that were followed by another one to the same target."),
    row(SWAPS, Kind::Counter, &["provider"], "Attempts whose key was refused, and that were followed by another one with another key."),
    row(FALLBACKS, Kind::Counter, &["provider"], "Requests that went on to the next target, by the provider that they left."),
    row(BUDGET_EXHAUSTED, Kind::Counter, &["provider"], "Retries that were not made because the budget of `retry` was spent."),
    row(QUEUE_WAITING, Kind::Gauge, &["provider"], "Requests that wait in a provider's line. Absent without `queue`."),
    row(QUEUE_IN_FLIGHT, Kind::Gauge, &["provider"], "Requests that a provider's line has let through. Absent without `queue`."),
    row(
        QUEUE_SECONDS,
        Kind::Histogram,
        &["provider"],
        "Seconds that requests stood in a provider's line, those that left it included. Those that were let through at once count \
         as 0. Absent without `queue`.",
    ),
];
