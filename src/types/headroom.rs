//! What an account may still ask for, as its provider tells it beside a reply.

use std::time::Duration;

/// What is left of one quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The most there is at once, where it is told.
    pub limit: Option<u64>,
    /// What was left when the provider answered.
    pub remaining: u64,
    /// Until it is whole again, where it is told.
    pub reset: Option<Duration>,
    /// In how long it fills from empty, by the provider's documentation: a minute or a day.
    pub window: Duration,
}

/// What is left of an account's quotas, for the model that was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headroom {
    /// Of requests.
    pub requests: Option<Room>,
    /// Of tokens.
    pub tokens: Option<Room>,
}
