//! `/livez`, `/readyz` and `/drain`, for whoever starts the process, sends it traffic, and ends it.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Json, Response},
};
use serde_json::json;

use super::{Admin, Shared};
use crate::config::Credentials;

/// Whether traffic should come here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It should.
    Ready,
    /// A drain has begun.
    Draining,
    /// No route has a key in use, nor takes its clients' own.
    NoKey,
}

impl Admin {
    /// Ready means that requests can be served: no drain has begun, and some provider has a key in use, or takes its clients' own.
    pub(super) fn readiness(&self) -> Readiness {
        if !self.drain.is_serving() {
            return Readiness::Draining;
        }
        let snapshot = self.runtime.snapshot.load();
        let can_serve = snapshot
            .routes
            .iter()
            .any(|route| route.credentials == Credentials::Client || route.targets.iter().any(|target| target.provider.has_key()));
        if can_serve { Readiness::Ready } else { Readiness::NoKey }
    }
}

/// The process runs, whatever else may be wrong.
pub async fn live() -> &'static str {
    "ok\n"
}

/// Begins a drain: the whole of a stop in order, by itself. What is under way finishes, and then the process exits.
pub async fn drain(State(admin): State<Shared>) -> Response {
    admin.drain.begin();
    (StatusCode::ACCEPTED, Json(json!({ "status": "draining" }))).into_response()
}

/// In plain text: whoever asks looks at the status.
pub async fn ready(State(admin): State<Shared>) -> Response {
    match admin.readiness() {
        Readiness::Ready => "ready\n".into_response(),
        Readiness::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response(),
        Readiness::NoKey => (StatusCode::SERVICE_UNAVAILABLE, "no key in use\n").into_response(),
    }
}
