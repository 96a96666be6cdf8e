//! `/autoscaling`: whether there should be more replicas, or fewer, for whoever can make some.

use std::time::Instant;

use axum::{extract::State, response::Json};
use serde_json::{Value, json};

use super::{Shared, answer::rounded, stats};
use crate::telemetry::process;

/// The figures are those that the recommendation was made from.
pub async fn show(State(admin): State<Shared>) -> Json<Value> {
    let (advice, readings) = admin.observed().advise(&admin.runtime, Instant::now());
    let snapshot = admin.runtime.snapshot.load();
    let marks = &snapshot.config.autoscaling;
    let rate = marks.requests_per_second.map(|rate| json!({ "high": rate.high, "low": rate.low }));
    Json(json!({
        "recommendation": advice.recommendation.name(),
        "reason": advice.reason.to_string(),
        "priority": advice.priority.name(),
        "requests_per_second": rounded(readings.requests_per_second),
        "in_flight": admin.runtime.traffic.in_flight(),
        "queue": stats::waiting(&snapshot),
        "cpu_percent": rounded(readings.cpu),
        "memory_percent": readings.memory.map(rounded),
        "memory_bytes": process::resident(),
        "thresholds": {
            "cpu_percent": { "high": marks.cpu.high.number(), "low": marks.cpu.low.number() },
            "memory_percent": { "high": marks.memory.high.number() },
            "requests_per_second": rate,
            "cooldown_seconds": rounded(marks.cooldown.0.as_secs_f64()),
        },
        "cooldown_seconds_left": rounded(advice.cooldown_left.as_secs_f64()),
    }))
}
