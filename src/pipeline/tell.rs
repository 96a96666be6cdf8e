//! What has changed about a key or a breaker is told to the operator: a line in the log, and a count.

use std::time::Duration;

use crate::{
    policy::{breaker, key_pool},
    runtime::{Provider, snapshot::PoolKey},
    types::Moment,
};

/// How long something lasts, in seconds.
fn seconds(until: Option<u64>, now: Moment) -> Option<f64> {
    until.map(|until| Duration::from_nanos(until.saturating_sub(now.nanos)).as_secs_f64())
}
