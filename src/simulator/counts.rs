//! The admin paths, by which a test in another process learns what was asked. They need no key and count as no request.

use http::Method;
use serde_json::{Value, json};

use super::{Provider, exchange::Counters, script::Script};

/// Counts of each key, and of all together. `DELETE` starts those of the keys anew.
const PATH: &str = "/_simulator";

/// The counts of all together alone.
const COUNTERS_PATH: &str = "/simulator/counters";

/// The counts, where this is a request for them.
pub(super) fn answer(provider: &Provider, method: &Method, path: &str) -> Option<Script> {
    let all = || totals(&provider.onlooker.counters);
    match (method, path) {
        (_, COUNTERS_PATH) => Some(Script::at_once(&all())),
        (&Method::GET, PATH) => Some(Script::at_once(&json!({ "all": all(), "keys": provider.keys.counts() }))),
        (&Method::DELETE, PATH) => {
            provider.keys.reset();
            Some(Script::at_once(&json!({ "reset": true })))
        }
        _ => None,
    }
}

fn totals(counters: &Counters) -> Value {
    json!({
        "requests": counters.requests(), "open": counters.open(), "completed": counters.completed(),
        "broken": counters.broken(), "cancelled": counters.cancelled(),
    })
}
