//! `cache:` and `routes.N.cache:`: whether the same question is paid for once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who may be answered with what another has asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The same client alone: by its key, token or certificate, or else by its address.
    #[default]
    Client,
    /// All clients of the same tier.
    Tier,
    /// Everybody.
    All,
}

/// Which questions have an answer worth keeping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Determinism {
    /// All: an answer that was drawn once is good enough for the next who asks the same.
    #[default]
    Any,
    /// Those alone to which the provider would give the same answer, about: `temperature: 0`, a `seed`, embeddings, moderations.
    Strict,
}

/// How a stream is played again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Replay {
    /// All at once.
    #[default]
    Instant,
    /// At four times the pace at which it came, and no pause longer than 50 ms.
    Paced,
}
