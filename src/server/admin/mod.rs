//! The admin listener: probes, figures, keys, the running config, the few things that an operator may change, and a page that
//! shows it all. It never shares a port with applications. `docs/admin.md` is its manual, `docs/admin.openapi.json` its description for programs.

pub mod access;
pub mod answer;
pub mod autoscaling;
pub mod breakers;
pub mod cache;
pub mod config;
pub mod connections;
pub mod decisions;
pub mod endpoint;
pub mod health;
pub mod keys;
pub mod limits;
pub mod metrics;
pub mod observed;
pub mod page;
pub mod probes;
pub mod query;
pub mod stats;

use std::{
    net::TcpListener,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{Router, middleware};

use self::{answer::Refusal, endpoint::Endpoint, observed::Observed};
use super::drain::Drain;
use crate::runtime::{Reloader, Runtime};

/// How often the seconds of the window are closed.
const TICK: Duration = Duration::from_secs(1);

/// What the endpoints are made for.
#[derive(Clone, Debug)]
pub struct Parts {
    /// What all workers share.
    pub runtime: Arc<Runtime>,
    /// What reads the config anew.
    pub reloader: Reloader,
    /// What ends the process in order.
    pub drain: Drain,
}

/// What all endpoints look at.
#[derive(Debug)]
pub struct Admin {
    runtime: Arc<Runtime>,
    reloader: Reloader,
    drain: Drain,
    /// Whose turn it is to reload.
    reloading: Arc<tokio::sync::Mutex<()>>,
    /// Whether nobody but this machine can ask.
    local: bool,
    observed: Mutex<Observed>,
}

/// One admin for all endpoints.
type Shared = Arc<Admin>;

impl Admin {
    /// What has been observed, brought up to now.
    fn observed(&self) -> MutexGuard<'_, Observed> {
        // Whatever stopped half way, the next second makes good.
        let mut observed = self.observed.lock().unwrap_or_else(PoisonError::into_inner);
        observed.advance(&self.runtime, Instant::now());
        observed
    }
}

/// Serves the admin endpoints for ever.
///
/// # Errors
///
/// If the listener can't be registered with the runtime.
pub async fn serve(listener: TcpListener, parts: Parts) -> std::io::Result<()> {
    let Parts { runtime, reloader, drain } = parts;
    let local = listener.local_addr()?.ip().to_canonical().is_loopback();
    let observed = Mutex::new(Observed::new(&runtime, Instant::now()));
    let admin = Arc::new(Admin { runtime, reloader, drain, reloading: Arc::default(), local, observed });
    tokio::task::spawn_local(observe(Arc::clone(&admin)));
    connections::serve(listener, router(admin)).await
}

fn router(admin: Shared) -> Router {
    Endpoint::ALL
        .into_iter()
        .fold(Router::new(), |router, endpoint| router.route(endpoint.path(), endpoint.route()))
        .fallback(|| async { Refusal::NoEndpoint })
        .method_not_allowed_fallback(|| async { Refusal::Method })
        .layer(middleware::from_fn_with_state(Arc::clone(&admin), access::check))
        .layer(middleware::map_response(answer::guarded))
        .with_state(admin)
}

/// Closes each second when it is over, whether anybody asks or not.
async fn observe(admin: Shared) {
    loop {
        tokio::time::sleep(TICK).await;
        drop(admin.observed());
    }
}
