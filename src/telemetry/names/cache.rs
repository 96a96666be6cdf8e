//! The names of what is told of the cache.

use super::{Kind, Metric, row};

/// How requests of routes with a cache were answered.
pub const CACHE_REQUESTS: &str = "sidegate_cache_requests_total";
/// Why the cache was not asked.
pub const CACHE_BYPASSES: &str = "sidegate_cache_bypasses_total";
/// Replies that were stored.
pub const CACHE_STORED: &str = "sidegate_cache_stored_total";
/// Why replies were not.
pub const CACHE_NOT_STORED: &str = "sidegate_cache_not_stored_total";
/// Entries that made room.
pub const CACHE_EVICTIONS: &str = "sidegate_cache_evictions_total";
/// Entries that are held.
pub const CACHE_ENTRIES: &str = "sidegate_cache_entries";
/// Memory of what is held.
pub const CACHE_BYTES: &str = "sidegate_cache_bytes";
/// Calls that equal requests may join.
pub const CACHE_FLIGHTS: &str = "sidegate_cache_flights";
/// Tokens that no provider was asked for.
pub const CACHE_SAVED_TOKENS: &str = "sidegate_cache_saved_tokens_total";
/// What they would have cost.
pub const CACHE_SAVED_COST: &str = "sidegate_cache_saved_cost_total";

/// Their rows.
pub(super) const ROWS: [Metric; 10] = [
    row(
        CACHE_REQUESTS,
        Kind::Counter,
        &["outcome"],
        "Requests of routes with a cache, by how it answered them: hit, stale (too old, but nobody else could answer), collapsed (by \
         the call of an equal request), miss, bypass (it was not asked). Without such a route all series of the cache are absent.",
    ),
    row(
        CACHE_BYPASSES,
        Kind::Counter,
        &["reason"],
        "Requests of routes with a cache that it was not asked for, by what kept it from being asked, in the words of docs/cache.md.",
    ),
    row(CACHE_STORED, Kind::Counter, &[], "Replies that were stored."),
    row(
        CACHE_NOT_STORED,
        Kind::Counter,
        &["reason"],
        "Replies to requests that had missed which were not stored, by what speaks against them, in the words of docs/cache.md.",
    ),
    row(CACHE_EVICTIONS, Kind::Counter, &[], "Entries that made room for others."),
    row(CACHE_ENTRIES, Kind::Gauge, &[], "Entries that the cache holds."),
    row(CACHE_BYTES, Kind::Gauge, &[], "Bytes that they occupy, with all that is kept about them."),
    row(CACHE_FLIGHTS, Kind::Gauge, &[], "Calls in progress that equal requests may join."),
    row(
        CACHE_SAVED_TOKENS,
        Kind::Counter,
        &["direction"],
        "Tokens that no provider was asked for, since the cache answered, as far as replies told them: in or out.",
    ),
    row(
        CACHE_SAVED_COST,
        Kind::Counter,
        &[],
        "US dollars that these tokens would have cost, estimates included. 0 without `prices` and without a limit of cost.",
    ),
];
