//! `providers.NAME.queue:`: how many requests a provider has at the same time, and where the others wait.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::Period;

/// How many requests a provider has at the same time, and where the others wait: first come, first served, over all workers.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// The most requests that are sent and not at their end. A stream counts until its last byte.
    pub concurrent: NonZeroU32,
    /// The most that wait. Who comes when all places are taken gets 503 `queue_full` at once; with 0, nobody waits.
    #[serde(default = "waiting")]
    pub waiting: u32,
    /// The longest that one waits before it gets 503 `queue_timeout`.
    #[serde(default = "timeout")]
    pub timeout: Period,
}

const fn waiting() -> u32 {
    1_000
}

const fn timeout() -> Period {
    Period::secs(300)
}
