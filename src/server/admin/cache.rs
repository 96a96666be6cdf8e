//! `/cache`: what it holds and what it saved, and `/cache/purge`: what it is to forget.

use std::time::Instant;

use axum::{extract::State, http::Uri, response::Json};
use serde_json::{Map, Value, json};

use super::{
    Shared,
    answer::{Refusal, rounded},
    query,
};
use crate::{
    runtime::cache::Purge,
    telemetry::{CacheRecord, cache_record::hit_ratio},
    types::Cached,
};

/// What stands where a purge does not say of what.
const WHAT: Refusal = Refusal::Query("Say what is to be forgotten, in the query: `all=true`, or one `client`, or one `model`.");

/// One cache for all routes that have one.
pub async fn show(State(admin): State<Shared>) -> Json<Value> {
    let snapshot = admin.runtime.snapshot.load_full();
    let (held, record) = (admin.runtime.cache.store.held(), &admin.runtime.cache.record);
    let (max_bytes, max_entries) = snapshot.config.cache_bounds();
    let lately = admin.observed().cached(record, Instant::now());
    Json(json!({
        "routes": snapshot.routes.iter().filter(|route| route.cache.is_some()).count(),
        "entries": held.entries,
        "max_entries": max_entries,
        "bytes": held.bytes,
        "max_bytes": max_bytes.0,
        "evictions": held.evictions,
        "last_minute": outcomes(lately),
        "total": outcomes(record.outcomes()),
        "bypasses": counts(record.bypasses()),
        "stored": record.replies_stored(),
        "not_stored": counts(record.replies_not_stored()),
        "flights": flights(record),
        "saved": saved(record),
    }))
}

/// Forgets all replies, or those to one client, or those of one model.
///
/// # Errors
///
/// [`Refusal::Query`] for a query that does not say which, and nothing is forgotten then.
pub async fn purge(State(admin): State<Shared>, uri: Uri) -> Result<Json<Value>, Refusal> {
    let mut purge = None;
    for (name, value) in query::pairs(&uri)? {
        let asked = match name.as_str() {
            "all" if value == "true" => Purge::All,
            "client" if !value.is_empty() => Purge::Client(value.into()),
            "model" if !value.is_empty() => Purge::Model(value.into()),
            _ => return Err(WHAT),
        };
        if purge.replace(asked).is_some() {
            return Err(WHAT);
        }
    }
    let purge = purge.ok_or(WHAT)?;
    let cache = &admin.runtime.cache;
    let purged = cache.purge(&purge);
    let (client, model) = match &purge {
        Purge::All => (None, None),
        Purge::Client(client) => (Some(&**client), None),
        Purge::Model(model) => (None, Some(&**model)),
    };
    tracing::info!(client, model, purged, "the cache was purged");
    Ok(Json(json!({ "purged": purged, "entries": cache.store.held().entries })))
}

fn outcomes(outcomes: [u64; Cached::ALL.len()]) -> Value {
    let mut told = counts(Cached::ALL.into_iter().map(Cached::name).zip(outcomes));
    told.insert("hit_ratio".to_owned(), json!(hit_ratio(outcomes).map(rounded)));
    told.into()
}

fn counts(counts: impl Iterator<Item = (&'static str, u64)>) -> Map<String, Value> {
    counts.map(|(word, count)| (word.to_owned(), count.into())).collect()
}

fn flights(record: &CacheRecord) -> Value {
    let flights = record.flights();
    json!({ "in_progress": flights.in_progress, "ended": flights.ended, "joined": flights.joined })
}

fn saved(record: &CacheRecord) -> Value {
    let [tokens_in, tokens_out] = record.saved_tokens();
    json!({ "tokens_in": tokens_in, "tokens_out": tokens_out, "cost_usd": record.saved_cost().dollars() })
}
