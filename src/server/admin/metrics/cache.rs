//! The series of the cache.

use super::Page;
use crate::{
    runtime::{Runtime, Snapshot},
    telemetry::names,
    types::Cached,
};

/// Writes them, unless there was never anything to tell: what was counted stays when the config has no cache any more.
pub(super) fn write(page: &mut Page, runtime: &Runtime, snapshot: &Snapshot) {
    let record = &runtime.cache.record;
    let outcomes = record.outcomes();
    if outcomes.iter().all(|count| *count == 0) && snapshot.routes.iter().all(|route| route.cache.is_none()) {
        return;
    }
    page.family(names::CACHE_REQUESTS);
    for (cached, count) in Cached::ALL.into_iter().zip(outcomes) {
        page.sample(names::CACHE_REQUESTS, &format!("outcome=\"{}\"", cached.name()), count);
    }
    page.family(names::CACHE_BYPASSES);
    record.bypasses().for_each(|(reason, count)| page.sample(names::CACHE_BYPASSES, &format!("reason=\"{reason}\""), count));
    page.family(names::CACHE_NOT_STORED);
    record.replies_not_stored().for_each(|(reason, count)| page.sample(names::CACHE_NOT_STORED, &format!("reason=\"{reason}\""), count));
    page.family(names::CACHE_SAVED_TOKENS);
    for (direction, tokens) in ["in", "out"].into_iter().zip(record.saved_tokens()) {
        page.sample(names::CACHE_SAVED_TOKENS, &format!("direction=\"{direction}\""), tokens);
    }
    page.family(names::CACHE_SAVED_COST);
    page.sample(names::CACHE_SAVED_COST, "", record.saved_cost());
    let held = runtime.cache.store.held();
    for (name, value) in [
        (names::CACHE_STORED, record.replies_stored()),
        (names::CACHE_EVICTIONS, held.evictions),
        (names::CACHE_ENTRIES, held.entries),
        (names::CACHE_BYTES, held.bytes),
        (names::CACHE_FLIGHTS, record.flights().in_progress),
    ] {
        page.family(name);
        page.sample(name, "", value);
    }
}
