//! `metrics:`: what the metrics tell apart.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ModelPattern;

/// What the metrics tell apart.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Models that have series of their own, `*` for any run of characters. The first pattern that fits a model is its label; after
    /// these come the route's own `models`; every other model is `other`. Each pattern adds about sixty series for each route and provider.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelPattern>,
}
