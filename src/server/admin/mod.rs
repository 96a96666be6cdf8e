//! The admin listener: probes, metrics, the running config, and a page that shows it all. It never shares a port with applications.

mod page;

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_TYPE, HOST},
        uri::Authority,
    },
    middleware::{self, Next},
    response::{IntoResponse, Json, Response},
    routing::{get, post},
};
use tokio::net::TcpListener;

use super::drain::Drain;
use crate::runtime::Runtime;

/// Serves the admin endpoints for ever.
///
/// # Errors
///
/// If the listener breaks.
pub async fn serve(listener: std::net::TcpListener, runtime: Arc<Runtime>, drain: Drain) -> std::io::Result<()> {
    axum::serve(TcpListener::from_std(listener)?, router(runtime, drain)).await
}

fn router(runtime: Arc<Runtime>, drain: Drain) -> Router {
    let begun = drain.clone();
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(|runtime| ready(runtime, drain)))
        .route("/drain", post(|| begin(begun)))
        .route("/metrics", get(metrics))
        .route("/config", get(config))
        .merge(page::routes())
        .with_state(runtime)
        .layer(middleware::from_fn(only_by_address))
}

/// Refuses what asks for a name that somebody may have registered. A page in an operator's browser can let its own name
/// point here and read what it is answered as its own; the browser then says that name. An address can't be made to
/// point elsewhere, and a name without a dot belongs to nobody outside.
async fn only_by_address(request: Request, next: Next) -> Response {
    if is_own(request.headers()) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, "ask by IP address, by localhost, or by a name without a dot\n").into_response()
    }
}

/// Without a Host it was no browser.
fn is_own(headers: &HeaderMap) -> bool {
    headers.get_all(HOST).iter().all(|host| {
        host.to_str().ok().and_then(|text| text.parse::<Authority>().ok()).is_some_and(|authority| {
            let name = authority.host().trim_start_matches('[').trim_end_matches(']');
            name.parse::<IpAddr>().is_ok() || !name.contains(['.', ':'])
        })
    })
}

/// A whole graceful stop, by itself: what is under way finishes, and then the process exits.
async fn begin(drain: Drain) -> impl IntoResponse {
    drain.begin();
    (StatusCode::ACCEPTED, Json(serde_json::json!({ "status": "draining" })))
}

/// Ready means that requests can be served: no drain has begun, and some provider has a key in use, or takes its clients' own.
async fn ready(State(runtime): State<Arc<Runtime>>, drain: Drain) -> impl IntoResponse {
    if !drain.is_serving() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n");
    }
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
