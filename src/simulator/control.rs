//! The admin paths, by which a test in another process learns what was asked, and says what is to go wrong. They need no key and
//! count as no request.

use http::{Method, Request};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{Provider, answer::read, error::ApiError, exchange::Counters, faults::Fault, keys::Standing, reply::Reply, script::Script};
use crate::types::Dialect;

/// Counts of each key, and of all together. `DELETE` starts those of the keys anew, `POST` is an order.
const PATH: &str = "/_simulator";

/// The counts of all together alone.
const COUNTERS_PATH: &str = "/simulator/counters";

/// Whether this is for an admin path.
pub(super) fn is_meant(request: &Request<Incoming>) -> bool {
    let orders = [Method::GET, Method::POST, Method::DELETE];
    request.uri().path() == COUNTERS_PATH || request.uri().path() == PATH && orders.contains(request.method())
}

/// The reply of an admin path.
pub(super) async fn answer(provider: &Provider, request: Request<Incoming>) -> Reply {
    let all = || totals(&provider.onlooker.counters);
    let said = match (request.uri().path(), request.method()) {
        (COUNTERS_PATH, _) => Ok(all()),
        (_, &Method::DELETE) => {
            provider.keys.reset();
            Ok(json!({ "reset": true }))
        }
        (_, &Method::POST) => match read(request.into_body()).await {
            Ok(order) => obey(provider, &order).map_err(ApiError::malformed),
            Err(error) => Err(error),
        },
        _ => Ok(json!({ "all": all(), "keys": provider.keys.counts() })),
    };
    match said {
        Ok(said) => Reply::at_once(Dialect::Openai, Script::at_once(&said)),
        Err(error) => Reply::error(Dialect::Openai, &error, false),
    }
}

/// Does what an order says, or says what is wrong with it.
fn obey(provider: &Provider, order: &[u8]) -> Result<Value, String> {
    let order: Value = serde_json::from_slice(order).map_err(|why| why.to_string())?;
    let text = |field: &str| match &order[field] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(&**text)),
        other => Err(format!("`{field}` is no text: {other}")),
    };
    let known = order.as_object().is_some_and(|order| order.keys().all(|name| ["key", "is", "model", "fault"].contains(&&**name)));
    match (text("key")?, text("is")?, text("model")?, order.get("fault")) {
        (Some(key), Some(is), None, None) if known => {
            provider.keys.get(key).becomes(Standing::of(is).ok_or_else(|| format!("a key can't be `{is}`"))?);
        }
        (None, None, model, Some(_)) if known => {
            let fault = text("fault")?.map(Fault::named).transpose()?;
            provider.switches.set(model, fault)?;
        }
        _ => return Err("an order has a `key` and what it `is`, or a `fault` and perhaps a `model`".to_owned()),
    }
    Ok(json!({ "done": true }))
}

fn totals(counters: &Counters) -> Value {
    json!({
        "requests": counters.requests(), "open": counters.open(), "completed": counters.completed(),
        "broken": counters.broken(), "cancelled": counters.cancelled(), "processed": counters.processed(),
    })
}
