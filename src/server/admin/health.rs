//! `/health`: how the proxy and its providers are, in words and figures.

use std::{collections::BTreeSet, time::Instant};

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Json, Response},
};
use serde_json::{Value, json};

use super::{
    Admin, Shared,
    answer::{rounded, summary},
    observed::{Lately, Observed},
    probes::Readiness,
};
use crate::{
    config::Credentials,
    runtime::{Provider, Snapshot},
    telemetry::process,
    types::ProviderName,
};

/// Fewer attempts than this in the last minute say nothing of a provider.
const MINIMUM: u64 = 10;

/// The share of errors from which a provider is degraded, and from which it is down.
const SHARES: (f64, f64) = (0.5, 0.95);

/// How a provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It can be asked, and answers.
    Ok,
    /// Errors dominate.
    Degraded,
    /// It can't be asked, or nothing but errors comes back.
    Down,
}

impl Condition {
    /// From whether it can be asked, and what it did lately.
    fn of(can_be_asked: bool, lately: &Lately) -> Self {
        let share = lately.error_rate().filter(|_| lately.requests >= MINIMUM).unwrap_or(0.0);
        match can_be_asked {
            true if share < SHARES.0 => Self::Ok,
            true if share < SHARES.1 => Self::Degraded,
            _ => Self::Down,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// 503 where no traffic should come here, else 200.
pub async fn show(State(admin): State<Shared>) -> Response {
    let now = Instant::now();
    let snapshot = admin.runtime.snapshot.load_full();
    let observed = admin.observed();
    let asked = asked(&snapshot);
    let mut all_fine = true;
    let providers: Vec<Value> = snapshot
        .providers
        .values()
        .map(|provider| {
            let lately = observed.lately(&provider.record, now);
            let state = Condition::of(provider.has_key() || asked.with_own_keys.contains(&provider.name), &lately);
            all_fine &= state == Condition::Ok || !asked.at_all.contains(&provider.name);
            told(provider, state, &lately)
        })
        .collect();
    let (code, status) = status(&admin, all_fine);
    let body = figures(&admin, &observed, now, (status, snapshot.generation, providers));
    drop(observed);
    (code, Json(body)).into_response()
}

fn status(admin: &Admin, all_fine: bool) -> (StatusCode, &'static str) {
    match admin.readiness() {
        Readiness::Ready if all_fine => (StatusCode::OK, "ok"),
        Readiness::Ready => (StatusCode::OK, "degraded"),
        Readiness::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        Readiness::NoKey => (StatusCode::SERVICE_UNAVAILABLE, "unready"),
    }
}

fn figures(admin: &Admin, observed: &Observed, now: Instant, of: (&str, u64, Vec<Value>)) -> Value {
    let (status, generation, providers) = of;
    let traffic = &admin.runtime.traffic;
    json!({
        "status": status,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": rounded(now.duration_since(observed.started).as_secs_f64()),
        "generation": generation,
        "requests_per_second": rounded(observed.rate()),
        "latency_ms": summary(observed.window.durations()),
        "memory_bytes": process::resident(),
        "cpu_percent": rounded(observed.cpu_percent(now)),
        "connections": traffic.connections(),
        "streams": traffic.streams(),
        "providers": providers,
    })
}

fn told(provider: &Provider, state: Condition, lately: &Lately) -> Value {
    json!({
        "name": provider.name,
        "state": state.name(),
        "keys_active": provider.slots.iter().filter(|slot| slot.is_usable()).count(),
        "keys_total": provider.keys.len(),
        "connections": provider.record.connections(),
        "in_flight": provider.record.in_flight(),
        "requests_per_second": rounded(lately.rate),
        "error_rate": lately.error_rate().map(rounded),
    })
}

/// The providers that some route asks.
#[derive(Debug, Default)]
struct Asked<'s> {
    at_all: BTreeSet<&'s ProviderName>,
    /// With the credentials of whoever calls.
    with_own_keys: BTreeSet<&'s ProviderName>,
}

fn asked(snapshot: &Snapshot) -> Asked<'_> {
    let mut asked = Asked::default();
    for route in &snapshot.routes {
        for target in &route.targets {
            asked.at_all.insert(&target.provider.name);
            if route.credentials == Credentials::Client {
                asked.with_own_keys.insert(&target.provider.name);
            }
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_errors_say_nothing_and_many_say_it_all() {
        let state = |can, requests, errors| Condition::of(can, &Lately { requests, errors, rate: 0.0 });
        assert_eq!(state(true, 0, 0), Condition::Ok);
        assert_eq!(state(true, 9, 9), Condition::Ok);
        assert_eq!(state(true, 10, 4), Condition::Ok);
        assert_eq!(state(true, 10, 5), Condition::Degraded);
        assert_eq!(state(true, 100, 94), Condition::Degraded);
        assert_eq!(state(true, 100, 95), Condition::Down);
        assert_eq!(state(false, 100, 0), Condition::Down);
    }
}
