//! `autoscaling:`: when `GET /autoscaling` on the admin listener recommends more replicas, or fewer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::{Percent, Period};

/// When `GET /autoscaling` on the admin listener recommends more replicas, or fewer. One mark that is passed is enough to
/// recommend more; fewer are recommended when every mark is kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Autoscaling {
    /// Processor time, of what the process may use.
    pub cpu: CpuMarks,
    /// Memory, of what the process may use.
    pub memory: MemoryMark,
    /// Requests a second; without it they have no say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<RateMarks>,
    /// How long a recommendation stands before it may change.
    pub cooldown: Period,
}

impl Default for Autoscaling {
    fn default() -> Self {
        Self { cpu: CpuMarks::default(), memory: MemoryMark::default(), requests_per_second: None, cooldown: Period::secs(60) }
    }
}

/// Marks for processor time, as a mean over ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CpuMarks {
    /// From here on more replicas are recommended.
    pub high: Percent,
    /// Up to here fewer are.
    pub low: Percent,
}

impl Default for CpuMarks {
    fn default() -> Self {
        Self { high: Percent::whole(70), low: Percent::whole(30) }
    }
}

/// The mark for memory. There is no low one: what was once used is seldom given back.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MemoryMark {
    /// From here on more replicas are recommended.
    pub high: Percent,
}

impl Default for MemoryMark {
    fn default() -> Self {
        Self { high: Percent::whole(80) }
    }
}

/// Marks for the requests that one replica answers in a second, as a mean over ten.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateMarks {
    /// From here on more replicas are recommended.
    pub high: u32,
    /// Up to here fewer are.
    pub low: u32,
}
