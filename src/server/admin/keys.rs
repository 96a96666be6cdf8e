//! `/keys`: how each key is, and taking one out of use and back.

use std::sync::Arc;

use axum::{
    extract::{Path, State, rejection::PathRejection},
    response::Json,
};
use serde_json::{Value, json};

use super::{
    Shared,
    answer::{Refusal, millis, rounded},
};
use crate::{
    policy::key_pool::Slot,
    runtime::{Provider, Snapshot, snapshot::PoolKey},
    telemetry::access_log::Timestamp,
};

/// One key, with where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'s> {
    /// Its provider.
    pub provider: &'s Provider,
    /// The key.
    pub key: &'s Arc<PoolKey>,
    /// Its place in the pool.
    pub slot: &'s Slot,
}

impl Placed<'_> {
    /// Whether it gets requests, and if not why.
    #[must_use]
    pub fn state(&self) -> &'static str {
        if self.slot.state.is_disabled() {
            "disabled"
        } else if self.slot.is_usable() {
            "active"
        } else {
            "unused"
        }
    }
}

/// All keys of a generation, provider by provider.
pub fn all(snapshot: &Snapshot) -> impl Iterator<Item = Placed<'_>> {
    snapshot
        .providers
        .values()
        .flat_map(|provider| provider.keys.iter().zip(&provider.slots).map(move |(key, slot)| Placed { provider, key, slot }))
}

/// The list.
pub async fn show(State(admin): State<Shared>) -> Json<Value> {
    let snapshot = admin.runtime.snapshot.load_full();
    Json(json!({ "keys": all(&snapshot).map(|placed| told(&placed)).collect::<Vec<_>>() }))
}

/// No new request gets this key; those that run go on.
///
/// # Errors
///
/// [`Refusal::NoKey`] if there is none of this id.
pub async fn disable(State(admin): State<Shared>, id: Result<Path<String>, PathRejection>) -> Result<Json<Value>, Refusal> {
    change(&admin, id, |slot| slot.state.disable(), "a key was disabled")
}

/// It gets requests again.
///
/// # Errors
///
/// [`Refusal::NoKey`] if there is none of this id.
pub async fn enable(State(admin): State<Shared>, id: Result<Path<String>, PathRejection>) -> Result<Json<Value>, Refusal> {
    change(&admin, id, |slot| slot.state.enable(), "a key was enabled")
}

fn change(
    admin: &Shared,
    id: Result<Path<String>, PathRejection>,
    change: impl Fn(&Slot),
    done: &'static str,
) -> Result<Json<Value>, Refusal> {
    // What is no text is no key's.
    let Path(id) = id.map_err(|_| Refusal::NoKey)?;
    let snapshot = admin.runtime.snapshot.load_full();
    let placed = all(&snapshot).find(|placed| is_id(&id, placed)).ok_or(Refusal::NoKey)?;
    change(placed.slot);
    let key = placed.key.fingerprint.to_str().unwrap_or_default();
    tracing::info!(provider = %placed.provider.name, key, name = %placed.key.name, "{done}");
    Ok(Json(told(&placed)))
}

/// A fingerprint has no dot, a provider's name may.
fn is_id(id: &str, placed: &Placed<'_>) -> bool {
    id.rsplit_once('.').is_some_and(|(provider, fingerprint)| {
        provider == placed.provider.name.as_str() && fingerprint.as_bytes() == placed.key.fingerprint.as_bytes()
    })
}

fn told(placed: &Placed<'_>) -> Value {
    let Placed { provider, key, slot } = placed;
    let fingerprint = key.fingerprint.to_str().unwrap_or_default();
    let record = &key.record;
    let last_error = record.last_error().map(|error| json!({ "class": error.class.to_string(), "at": Timestamp(error.at).to_string() }));
    json!({
        "id": format!("{}.{fingerprint}", provider.name),
        "provider": provider.name,
        "name": &*key.name,
        "fingerprint": fingerprint,
        "state": placed.state(),
        "weight": slot.spec.weight,
        "account": key.account,
        "in_flight": slot.state.in_flight(),
        "requests": record.requests(),
        "success_rate": record.success_rate().map(rounded),
        "latency_ms": record.mean_first_byte().map(millis),
        "last_error": last_error,
        "until": null,
    })
}
