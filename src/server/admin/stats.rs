//! `/stats`: the last minute, second by second, and sums since the start.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::{extract::State, response::Json};
use serde_json::{Value, json};

use super::{
    Shared,
    answer::{rounded, summary},
};
use crate::{
    runtime::Snapshot,
    telemetry::{
        durations::Summary,
        window::{SECONDS, Second, Window},
    },
};

/// The places of the classes that have a series.
const CLASSES: [(&str, usize); 4] = [("2xx", 0), ("3xx", 1), ("4xx", 2), ("5xx", 3)];

/// Series are of whole seconds; what ended in the second that runs is in none of them yet, and in the sums.
pub async fn show(State(admin): State<Shared>) -> Json<Value> {
    let observed = admin.observed();
    let (window, traffic) = (&observed.window, &admin.runtime.traffic);
    let [bytes_up, bytes_down] = traffic.bytes();
    let statuses = window.statuses();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Json(json!({
        "now_ms": u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        "window_seconds": SECONDS,
        "requests_per_second": rounded(observed.rate()),
        "latency_ms": summary(window.durations()),
        "first_byte_ms": summary(window.first_bytes()),
        "statuses": CLASSES.into_iter().map(|(class, at)| (class.to_owned(), statuses[at].into())).collect::<serde_json::Map<_, _>>(),
        "in_flight": traffic.in_flight(),
        "streams": traffic.streams(),
        "connections": traffic.connections(),
        "queue": waiting(&admin.runtime.snapshot.load()),
        "series": series(window),
        "totals": {
            "requests": traffic.statuses().iter().sum::<u64>(),
            "errors": traffic.errors(),
            "bytes_up": bytes_up,
            "bytes_down": bytes_down,
        },
    }))
}

/// Requests that stand in a provider's line.
#[must_use]
pub fn waiting(snapshot: &Snapshot) -> u32 {
    snapshot.providers.values().filter_map(|provider| provider.queue.as_ref()).map(|queue| queue.line.waiting()).sum()
}

fn series(window: &Window) -> Value {
    let class = |at: usize| column(window, 0.into(), |second| second.statuses[at].into());
    let summaries: Vec<_> = window.seconds().map(|second| Summary::of([&second.durations])).collect();
    let percentile = |at: usize| {
        let missing = SECONDS - summaries.len();
        let values = summaries.iter().map(|summary| summary.map_or(Value::Null, |summary| rounded(summary.percentiles[at]).into()));
        std::iter::repeat_n(Value::Null, missing).chain(values).collect::<Vec<_>>()
    };
    json!({
        "requests": column(window, 0.into(), |second| second.requests().into()),
        "2xx": class(0),
        "3xx": class(1),
        "4xx": class(2),
        "5xx": class(3),
        "latency_p50_ms": percentile(0),
        "latency_p95_ms": percentile(2),
    })
}

/// One value a second, oldest first; seconds before the start have `empty`.
fn column(window: &Window, empty: Value, value: impl Fn(&Second) -> Value) -> Vec<Value> {
    let seconds = window.seconds();
    std::iter::repeat_n(empty, SECONDS - seconds.len()).chain(seconds.map(value)).collect()
}
