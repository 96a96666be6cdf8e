//! `retry:`: how often a request is tried again, and what never is.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::{Percent, Period};

/// How often a request is tried again, over all keys, hosts and targets, before the first byte of a reply has gone to the caller.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// The most attempts for one request, the first included: 1 tries nothing again. A key that is refused for what it is, such as one
    /// that was revoked, does not count: another takes its place at once.
    #[schemars(range(max = 10))]
    pub attempts: NonZeroU32,
    /// The most retries, as a part of all requests, so that an outage is not multiplied.
    pub budget: Percent,
    /// So many retries a second are allowed beside `budget`, so that few requests can be tried again too.
    pub floor: u32,
    /// Whether what was sent and not answered is sent again: `never`, `idempotent` (only where a request carries an `idempotency-key`), or
    /// `always`. The provider may have worked on it and may charge for it, so that it is then paid twice.
    pub ambiguous: Ambiguous,
    /// No attempt begins, and no key is waited for, later than this after the request was read. A shorter timeout of the caller's, as the
    /// SDKs name it in their requests, counts instead. Time in a provider's line does not count: `queue.timeout` bounds that.
    pub within: Period,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: const { NonZeroU32::new(3).unwrap() },
            budget: Percent::whole(20),
            floor: 3,
            ambiguous: Ambiguous::Never,
            within: Period::secs(60),
        }
    }
}

/// Whether what was sent and not answered is sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ambiguous {
    /// Never: nothing is paid twice.
    #[default]
    Never,
    /// Only where the request carries an `idempotency-key`, by which the provider can tell that it is the same.
    Idempotent,
    /// Always: a reply is worth more than what it may cost twice.
    Always,
}
