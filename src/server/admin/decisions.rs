//! `/decisions`: how the last requests were decided, and one of them by its id.

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::Uri,
    response::Json,
};
use serde_json::{Value, json};

use super::{
    Shared,
    answer::{Refusal, millis},
    query,
};
use crate::telemetry::{
    access_log::Timestamp,
    decisions::{Decision, Tried},
};

/// The most that are told at once: about a megabyte.
const MOST: usize = 1_000;

/// As many as are told where nobody says how many.
const USUAL: usize = 20;

/// The last so many, the latest first.
///
/// # Errors
///
/// [`Refusal::Query`] for a query that is not understood.
pub async fn show(State(admin): State<Shared>, uri: Uri) -> Result<Json<Value>, Refusal> {
    let mut most = USUAL;
    for (name, value) in query::pairs(&uri)? {
        match (name.as_str(), value.parse()) {
            ("last", Ok(count @ 0..=MOST)) => most = count,
            ("last", _) => return Err(Refusal::Query("`last` is a number up to 1000.")),
            _ => return Err(Refusal::Query("There is one thing to ask for here: `last`.")),
        }
    }
    Ok(all(&admin, &admin.runtime.decisions.last(most)))
}

/// Those of requests with this id: one, unless a client sends the same id with many.
///
/// # Errors
///
/// [`Refusal::NoDecision`] if none of them is among those that are kept.
pub async fn one(State(admin): State<Shared>, id: Result<Path<String>, PathRejection>) -> Result<Json<Value>, Refusal> {
    let Path(id) = id.map_err(|_| Refusal::NoDecision)?;
    let mut found = admin.runtime.decisions.of(&id);
    found.truncate(MOST);
    if found.is_empty() { Err(Refusal::NoDecision) } else { Ok(all(&admin, &found)) }
}

fn all(admin: &Shared, decisions: &[Decision]) -> Json<Value> {
    let kept = admin.runtime.snapshot.load().config.log.decisions;
    Json(json!({ "kept": kept, "decisions": decisions.iter().map(told).collect::<Vec<_>>() }))
}

fn told(decision: &Decision) -> Value {
    json!({
        "request_id": decision.request_id.as_str(),
        "at": Timestamp(decision.at).to_string(),
        "route": decision.route.as_deref(),
        "model": decision.model.as_ref().map(|model| model.as_str()),
        "cache": decision.cache,
        "status": decision.status,
        "end": decision.end,
        "error": decision.error,
        "duration_ms": millis(decision.took),
        "cost_usd": decision.cost.map(|cost| cost.dollars()),
        "cost_estimated": decision.cost_estimated,
        "tried": decision.tried.iter().map(told_step).collect::<Vec<_>>(),
        "untold": decision.tried.untold(),
    })
}

fn told_step(tried: &Tried) -> Value {
    json!({
        "provider": tried.provider,
        "key": tried.key.map(|key| key.to_string()),
        "key_name": tried.key_name.as_deref(),
        "model": tried.model.as_deref(),
        "why": tried.why,
        "after_ms": millis(tried.since_start),
        "took_ms": millis(tried.took),
        "waited_for_key_ms": millis(tried.waited_for_key),
        "waited_in_line_ms": millis(tried.waited_in_line),
        "stopped": tried.stopped,
        "sent": tried.sent.name(),
        "status": tried.status,
        "cause": tried.cause.map(|cause| cause.name()),
        "blame": tried.cause.map(|cause| cause.blame().name()),
        "then": tried.then,
    })
}
