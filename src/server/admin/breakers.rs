//! `/breakers`: where each provider's breakers stand, and holding them open or closed.

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::Uri,
    response::Json,
};
use serde_json::{Value, json};

use super::{
    Shared,
    answer::{Refusal, rounded, when},
    query,
};
use crate::{
    pipeline::tell,
    policy::breaker::{Forced, Phase, Standing, Transition},
    runtime::{Guard, Provider},
    types::Moment,
};

/// All of them, provider by provider.
pub async fn show(State(admin): State<Shared>) -> Json<Value> {
    let snapshot = admin.runtime.snapshot.load_full();
    let now = admin.runtime.moment();
    let of = |provider| told(provider, now);
    Json(json!({ "breakers": snapshot.providers.values().flat_map(|provider| of(&**provider)).collect::<Vec<_>>() }))
}

/// Nothing more is sent, until it is closed or reset.
///
/// # Errors
///
/// [`Refusal::NoProvider`] if there is none of this name with breakers, [`Refusal::Query`] for a query that is not understood.
pub async fn open(State(admin): State<Shared>, name: Result<Path<String>, PathRejection>, uri: Uri) -> Result<Json<Value>, Refusal> {
    change(&admin, name, &uri, |guard, model| hold(guard, model, Forced::Open))
}

/// Everything is sent, whatever becomes of it, until it is opened or reset.
///
/// # Errors
///
/// Those of [`open`].
pub async fn close(State(admin): State<Shared>, name: Result<Path<String>, PathRejection>, uri: Uri) -> Result<Json<Value>, Refusal> {
    change(&admin, name, &uri, |guard, model| hold(guard, model, Forced::Closed))
}

/// They are closed, forget what they have counted, and are left to themselves.
///
/// # Errors
///
/// Those of [`open`].
pub async fn reset(State(admin): State<Shared>, name: Result<Path<String>, PathRejection>, uri: Uri) -> Result<Json<Value>, Refusal> {
    change(&admin, name, &uri, |guard, model| Ok(guard.board.reset(model)))
}

fn hold(guard: &Guard, model: Option<&str>, forced: Forced) -> Result<Vec<Transition>, Refusal> {
    let transition = guard.board.force(model, forced);
    transition.map(|transition| vec![transition]).ok_or(Refusal::Query("`model` is too long a name, or too many models are held already."))
}

fn change(
    admin: &Shared,
    name: Result<Path<String>, PathRejection>,
    uri: &Uri,
    change: impl Fn(&Guard, Option<&str>) -> Result<Vec<Transition>, Refusal>,
) -> Result<Json<Value>, Refusal> {
    // What is no text is no provider's name.
    let Path(name) = name.map_err(|_| Refusal::NoProvider)?;
    let mut model = None;
    for (name, value) in query::pairs(uri)? {
        match name.as_str() {
            "model" if model.is_none() && !value.is_empty() => model = Some(value),
            "model" => return Err(Refusal::Query("`model` is the name of one model.")),
            _ => return Err(Refusal::Query("There is one thing to ask for here: `model`.")),
        }
    }
    let snapshot = admin.runtime.snapshot.load_full();
    let provider = snapshot.providers.values().find(|provider| provider.name.as_str() == name).ok_or(Refusal::NoProvider)?;
    let guard = provider.breaker.as_ref().ok_or(Refusal::NoProvider)?;
    let now = admin.runtime.moment();
    tell::breakers(provider, &change(guard, model.as_deref())?, now);
    Ok(Json(json!({ "breakers": told(provider, now) })))
}

/// Those of one provider, the host's first; none where it has `breaker: off`.
fn told(provider: &Provider, now: Moment) -> Vec<Value> {
    let Some(guard) = &provider.breaker else { return Vec::new() };
    guard.board.standings(&guard.spec, now).iter().map(|standing| told_one(provider, standing, now)).collect()
}

fn told_one(provider: &Provider, standing: &Standing, now: Moment) -> Value {
    let Standing { scope, model, phase, forced, why, until, total, failures, slow, consecutive, probes } = standing;
    let forced = forced.map(|forced| match forced {
        Forced::Open => Phase::Open.name(),
        Forced::Closed => Phase::Closed.name(),
    });
    json!({
        "provider": provider.name,
        "scope": scope.name(),
        "model": model,
        "state": phase.name(),
        "forced": forced,
        "reason": why.name(),
        "until": when(*until, now),
        "attempts": total,
        "failures": failures,
        "error_rate": (*total > 0).then(|| rounded(f64::from(*failures) / f64::from(*total))),
        "slow": slow,
        "consecutive": consecutive,
        "probes": probes,
    })
}
