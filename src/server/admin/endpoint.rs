//! Every endpoint, once. The router is made from this table, and `docs/admin.openapi.json` is checked against it.

use axum::{
    http::header::CONTENT_TYPE,
    routing::{MethodRouter, get, post},
};

use super::{Shared, autoscaling, breakers, cache, config, decisions, health, keys, limits, metrics, page, probes, stats};

/// The description for programs.
const OPENAPI: &str = include_str!("../../../docs/admin.openapi.json");

/// One endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// All that follows, for people.
    Page,
    /// Whether the process runs.
    Livez,
    /// Whether it can serve.
    Readyz,
    /// How it is.
    Health,
    /// What it did in the last minute.
    Stats,
    /// How its keys are.
    Keys,
    /// Where its breakers stand.
    Breakers,
    /// What its limits count.
    Limits,
    /// What they would say to a request.
    LimitsCheck,
    /// What its cache holds.
    Cache,
    /// How the last requests were decided.
    Decisions,
    /// How one of them was.
    Decision,
    /// What it was told to do.
    Config,
    /// The same for Prometheus.
    Metrics,
    /// Whether there should be more of it.
    Autoscaling,
    /// All endpoints, for programs.
    OpenApi,
    /// Read the config anew.
    Reload,
    /// Stop in order.
    Drain,
    /// Take a key out of use.
    DisableKey,
    /// Put it back.
    EnableKey,
    /// Forget what speaks against it.
    ResetKey,
    /// Send nothing more.
    OpenBreaker,
    /// Send everything.
    CloseBreaker,
    /// Leave breakers to themselves.
    ResetBreaker,
    /// Forget replies.
    PurgeCache,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::Page,
        Self::Livez,
        Self::Readyz,
        Self::Health,
        Self::Stats,
        Self::Keys,
        Self::Breakers,
        Self::Limits,
        Self::LimitsCheck,
        Self::Cache,
        Self::Decisions,
        Self::Decision,
        Self::Config,
        Self::Metrics,
        Self::Autoscaling,
        Self::OpenApi,
        Self::Reload,
        Self::Drain,
        Self::DisableKey,
        Self::EnableKey,
        Self::ResetKey,
        Self::OpenBreaker,
        Self::CloseBreaker,
        Self::ResetBreaker,
        Self::PurgeCache,
    ];

    /// Its path; a part in braces stands for any text without a slash.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Page => "/",
            Self::Livez => "/livez",
            Self::Readyz => "/readyz",
            Self::Health => "/health",
            Self::Stats => "/stats",
            Self::Keys => "/keys",
            Self::Breakers => "/breakers",
            Self::Limits => "/limits",
            Self::LimitsCheck => "/limits/check",
            Self::Cache => "/cache",
            Self::Decisions => "/decisions",
            Self::Decision => "/decisions/{request_id}",
            Self::Config => "/config",
            Self::Metrics => "/metrics",
            Self::Autoscaling => "/autoscaling",
            Self::OpenApi => "/openapi.json",
            Self::Reload => "/reload",
            Self::Drain => "/drain",
            Self::DisableKey => "/keys/{id}/disable",
            Self::EnableKey => "/keys/{id}/enable",
            Self::ResetKey => "/keys/{id}/reset",
            Self::OpenBreaker => "/breakers/{provider}/open",
            Self::CloseBreaker => "/breakers/{provider}/close",
            Self::ResetBreaker => "/breakers/{provider}/reset",
            Self::PurgeCache => "/cache/purge",
        }
    }

    /// Whether it changes something: then it takes POST, else GET.
    #[must_use]
    pub fn changes(self) -> bool {
        matches!(
            self,
            Self::Reload
                | Self::Drain
                | Self::DisableKey
                | Self::EnableKey
                | Self::ResetKey
                | Self::OpenBreaker
                | Self::CloseBreaker
                | Self::ResetBreaker
                | Self::PurgeCache
        )
    }

    pub(super) fn route(self) -> MethodRouter<Shared> {
        match self {
            Self::Page => get(page::show),
            Self::Livez => get(probes::live),
            Self::Readyz => get(probes::ready),
            Self::Health => get(health::show),
            Self::Stats => get(stats::show),
            Self::Keys => get(keys::show),
            Self::Breakers => get(breakers::show),
            Self::Limits => get(limits::show),
            Self::LimitsCheck => get(limits::check),
            Self::Cache => get(cache::show),
            Self::Decisions => get(decisions::show),
            Self::Decision => get(decisions::one),
            Self::Config => get(config::show),
            Self::Metrics => get(metrics::show),
            Self::Autoscaling => get(autoscaling::show),
            Self::OpenApi => get(|| async { ([(CONTENT_TYPE, "application/json")], OPENAPI) }),
            Self::Reload => post(config::reload),
            Self::Drain => post(probes::drain),
            Self::DisableKey => post(keys::disable),
            Self::EnableKey => post(keys::enable),
            Self::ResetKey => post(keys::reset),
            Self::OpenBreaker => post(breakers::open),
            Self::CloseBreaker => post(breakers::close),
            Self::ResetBreaker => post(breakers::reset),
            Self::PurgeCache => post(cache::purge),
        }
    }
}
