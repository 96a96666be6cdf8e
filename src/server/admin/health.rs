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
    policy::{
        breaker::{Phase, Scope},
        key_pool::Health,
    },
    runtime::{Provider, Snapshot},
    telemetry::process,
    types::{Moment, ProviderName},
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

/// Whether a provider can be asked, by its keys and breakers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// It can.
    Whole,
    /// For some models or in a moment only.
    Partial,
    /// It can't.
    None,
}

impl Reach {
    fn of(provider: &Provider, asked_with_own_keys: bool, keys: &[Health], now: Moment) -> Self {
        let breakers = provider.breaker.as_ref().map_or_else(Vec::new, |guard| guard.board.standings(&guard.spec, now));
        let is_shut = breakers.iter().any(|breaker| breaker.scope == Scope::Host && breaker.phase == Phase::Open);
        let can_serve = |health: &Health| matches!(health, Health::Active | Health::Cooling | Health::HalfOpen);
        if is_shut || !(asked_with_own_keys || keys.iter().any(can_serve)) {
            Self::None
        } else if breakers.iter().any(|breaker| breaker.phase != Phase::Closed) || !(asked_with_own_keys || keys.contains(&Health::Active))
        {
            Self::Partial
        } else {
            Self::Whole
        }
    }
}

impl Condition {
    /// From whether it can be asked, and what it did lately.
    fn of(reach: Reach, lately: &Lately) -> Self {
        let share = lately.error_rate().filter(|_| lately.requests >= MINIMUM).unwrap_or(0.0);
        match reach {
            Reach::Whole if share < SHARES.0 => Self::Ok,
            Reach::Whole | Reach::Partial if share < SHARES.1 => Self::Degraded,
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
    let (now, moment) = (Instant::now(), admin.runtime.moment());
    let snapshot = admin.runtime.snapshot.load_full();
    let observed = admin.observed();
    let asked = asked(&snapshot);
    let mut all_fine = true;
    let providers: Vec<Value> = snapshot
        .providers
        .values()
        .map(|provider| {
            let lately = observed.lately(&provider.record, now);
            let keys: Vec<_> = provider.slots.iter().map(|slot| slot.standing(moment).health).collect();
            let reach = Reach::of(provider, asked.with_own_keys.contains(&provider.name), &keys, moment);
            let state = Condition::of(reach, &lately);
            all_fine &= state == Condition::Ok || !asked.at_all.contains(&provider.name);
            told(provider, state, &keys, &lately)
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

fn told(provider: &Provider, state: Condition, keys: &[Health], lately: &Lately) -> Value {
    json!({
        "name": provider.name,
        "state": state.name(),
        "keys_active": keys.iter().filter(|health| **health == Health::Active).count(),
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
        let state = |reach, requests, errors| Condition::of(reach, &Lately { requests, errors, rate: 0.0 });
        assert_eq!(state(Reach::Whole, 0, 0), Condition::Ok);
        assert_eq!(state(Reach::Whole, 9, 9), Condition::Ok);
        assert_eq!(state(Reach::Whole, 10, 4), Condition::Ok);
        assert_eq!(state(Reach::Whole, 10, 5), Condition::Degraded);
        assert_eq!(state(Reach::Whole, 100, 94), Condition::Degraded);
        assert_eq!(state(Reach::Whole, 100, 95), Condition::Down);
        assert_eq!(state(Reach::Partial, 0, 0), Condition::Degraded);
        assert_eq!(state(Reach::Partial, 100, 95), Condition::Down);
        assert_eq!(state(Reach::None, 100, 0), Condition::Down);
    }
}
