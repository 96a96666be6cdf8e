//! `drain:`: how the process ends without cutting anybody off.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::Period;

/// What happens between the signal to end (SIGTERM, SIGINT, or `POST /drain`) and the end.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Drain {
    /// How long new connections are still taken while `/readyz` already answers 503, so that load balancers see it first.
    /// SIGINT leaves it out: somebody sits at the terminal.
    pub delay: Period,
    /// When what still runs is cut, counted from the signal, `delay` included. Kubernetes kills a pod
    /// `terminationGracePeriodSeconds` after it was told to end, 30 s by default: stay some seconds below, and raise both for streams
    /// that last longer.
    pub timeout: Period,
}

impl Default for Drain {
    fn default() -> Self {
        Self { delay: Period::secs(5), timeout: Period::secs(25) }
    }
}
