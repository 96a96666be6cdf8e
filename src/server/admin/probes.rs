//! `/livez` and `/readyz`, for whoever starts the process and sends it traffic.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{Admin, Shared};
use crate::config::Credentials;

/// Whether traffic should come here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It should.
    Ready,
    /// No route has a key in use, nor takes its clients' own.
    NoKey,
}

impl Admin {
    /// Ready means that requests can be served: some provider has a key in use, or takes its clients' own.
    pub(super) fn readiness(&self) -> Readiness {
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

/// In plain text: whoever asks looks at the status.
pub async fn ready(State(admin): State<Shared>) -> Response {
    match admin.readiness() {
        Readiness::Ready => "ready\n".into_response(),
        Readiness::NoKey => (StatusCode::SERVICE_UNAVAILABLE, "no key in use\n").into_response(),
    }
}
