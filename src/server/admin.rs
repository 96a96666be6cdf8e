//! The admin listener: probes, metrics and the running config. It never shares a port with applications.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Json},
    routing::get,
};
use tokio::net::TcpListener;

use crate::runtime::Runtime;

/// Serves the admin endpoints for ever.
///
/// # Errors
///
/// If the listener breaks.
pub async fn serve(listener: std::net::TcpListener, runtime: Arc<Runtime>) -> std::io::Result<()> {
    axum::serve(TcpListener::from_std(listener)?, router(runtime)).await
}

fn router(runtime: Arc<Runtime>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/config", get(config))
        .with_state(runtime)
}

/// Ready means that requests can be served: some provider has a key in use, or takes its clients' own.
async fn ready(State(runtime): State<Arc<Runtime>>) -> impl IntoResponse {
    let snapshot = runtime.snapshot.load();
    let can_serve = snapshot.routes.iter().any(|route| {
        route.credentials == crate::config::Credentials::Client || route.targets.iter().any(|target| target.provider.has_key())
    });
    if can_serve { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "no key in use\n") }
}

async fn metrics(State(runtime): State<Arc<Runtime>>) -> impl IntoResponse {
    runtime.refresh();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], runtime.metrics.render())
}

/// The running config. Secrets print as `[secret]`, wherever they stand.
async fn config(State(runtime): State<Arc<Runtime>>) -> impl IntoResponse {
    let snapshot = runtime.snapshot.load();
    Json(serde_json::json!({ "generation": snapshot.generation, "config": snapshot.config }))
}
