//! `/keys`: how each key is, taking one out of use and back, and forgetting what speaks against it.

use std::sync::Arc;

use axum::{
    extract::{Path, State, rejection::PathRejection},
    response::Json,
};
use serde_json::{Value, json};

use super::{
    Shared,
    answer::{Refusal, millis, rounded, when},
};
use crate::{
    policy::key_pool::{Health, ModelStanding, Slot, Standing},
    runtime::{Provider, Snapshot, snapshot::PoolKey},
    telemetry::access_log::Timestamp,
    types::{Cause, Headroom, Moment, headroom::Room},
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

/// What a key may be, in the words of metrics. One whose file is gone counts as not in use.
pub const STATES: [&str; 6] = ["active", "cooling", "quarantined", "half_open", "disabled", "unused"];

impl Placed<'_> {
    /// Whether it gets requests, and if not why: one of [`STATES`].
    #[must_use]
    pub fn state(&self, now: Moment) -> &'static str {
        state(self.slot.standing(now).health)
    }
}

fn state(health: Health) -> &'static str {
    match health {
        Health::Retired => Health::Unused.name(),
        other => other.name(),
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
    let now = admin.runtime.moment();
    Json(json!({ "keys": all(&snapshot).map(|placed| told(&placed, now)).collect::<Vec<_>>() }))
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

/// What speaks against it and its account is forgotten: the next request may get it.
///
/// # Errors
///
/// [`Refusal::NoKey`] if there is none of this id.
pub async fn reset(State(admin): State<Shared>, id: Result<Path<String>, PathRejection>) -> Result<Json<Value>, Refusal> {
    change(&admin, id, Slot::reset, "a key was reset")
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
    Ok(Json(told(&placed, admin.runtime.moment())))
}

/// A fingerprint has no dot, a provider's name may.
fn is_id(id: &str, placed: &Placed<'_>) -> bool {
    id.rsplit_once('.').is_some_and(|(provider, fingerprint)| {
        provider == placed.provider.name.as_str() && fingerprint.as_bytes() == placed.key.fingerprint.as_bytes()
    })
}

fn told(placed: &Placed<'_>, now: Moment) -> Value {
    let Placed { provider, key, slot } = placed;
    let fingerprint = key.fingerprint.to_str().unwrap_or_default();
    let record = &key.record;
    let last_error = record.last_error().map(|error| json!({ "class": error.class.to_string(), "at": Timestamp(error.at).to_string() }));
    let Standing { health, cause, until, in_flight, share, probes, models } = slot.standing(now);
    let (until, next_probe) = if health == Health::Quarantined { (None, until) } else { (until, None) };
    json!({
        "id": format!("{}.{fingerprint}", provider.name),
        "provider": provider.name,
        "name": &*key.name,
        "fingerprint": fingerprint,
        "state": state(health),
        "cause": cause.map(Cause::name),
        "until": when(until, now),
        "next_probe": when(next_probe, now),
        "share": rounded(share),
        "probes": probes,
        "weight": slot.spec.weight,
        "account": key.account,
        "in_flight": in_flight,
        "models": models.iter().map(|model| told_model(model, now)).collect::<Vec<_>>(),
        "requests": record.requests(),
        "success_rate": record.success_rate().map(rounded),
        "latency_ms": record.mean_first_byte().map(millis),
        "last_error": last_error,
    })
}

/// A model that is turned off is so whether it rests or not.
fn told_model(standing: &ModelStanding, now: Moment) -> Value {
    let ModelStanding { model, cooling, off, headroom: Headroom { requests, tokens } } = standing;
    let (state, why) = match (off, cooling) {
        (Some(off), _) => ("off", Some(off)),
        (None, Some(cooling)) => ("cooling", Some(cooling)),
        (None, None) => ("active", None),
    };
    let (until, cause) = why.map(|(until, cause)| (*until, cause.name())).unzip();
    json!({
        "model": Some(model).filter(|model| !model.is_empty()),
        "state": state,
        "cause": cause,
        "until": when(until, now),
        "requests": requests.as_ref().map(told_room),
        "tokens": tokens.as_ref().map(told_room),
    })
}

fn told_room(room: &Room) -> Value {
    let Room { limit, remaining, reset, window } = room;
    json!({
        "limit": limit,
        "remaining": remaining,
        "reset_seconds": reset.map(|reset| rounded(reset.as_secs_f64())),
        "window_seconds": rounded(window.as_secs_f64()),
    })
}
