//! The lines about keys and breakers that change their state: one each, when it happens.
//!
//! What gets worse is a warning. What gets better, or rests for a moment and comes back by itself, is told as what happened.

use std::time::SystemTime;

use super::access_log::Timestamp;
use crate::types::{Cause, Fingerprint, ProviderName};

/// The most bytes of a model's name that a line repeats, as the access log has it: clients choose them.
const LONGEST_MODEL: usize = 256;

/// A key whose state has changed. Its text is not here, and so in no log.
#[derive(Clone, Copy, Debug)]
pub struct KeyMoved<'a> {
    /// Its provider.
    pub provider: &'a ProviderName,
    /// The key.
    pub key: Fingerprint,
    /// Its name.
    pub name: &'a str,
    /// The state that it was in.
    pub from: &'static str,
    /// The state that it is in.
    pub to: &'static str,
    /// What led to it.
    pub cause: Cause,
    /// How long it stays so, or when it is tried again, where that is known.
    pub until: Option<SystemTime>,
}

impl KeyMoved<'_> {
    /// Writes the line.
    pub fn tell(&self) {
        let Self { provider, key, name, from, to, cause, until } = self;
        let (cause, until) = (cause.name(), until.map(|until| Timestamp(until).to_string()));
        match *to {
            "quarantined" => tracing::warn!(%provider, key = ?key, name, from, to, cause, until, "a key is in quarantine"),
            _ => tracing::info!(%provider, key = ?key, name, from, to, cause, until, "a key has changed its state"),
        }
    }
}

/// A breaker whose state has changed.
#[derive(Clone, Copy, Debug)]
pub struct BreakerMoved<'a> {
    /// Its provider.
    pub provider: &'a ProviderName,
    /// What it is for: `host`, `model`, or `others` that share one.
    pub scope: &'static str,
    /// The model, where it is for one.
    pub model: Option<&'a str>,
    /// The state that it was in.
    pub from: &'static str,
    /// The state that it is in.
    pub to: &'static str,
    /// What led to it, in a word of the policy.
    pub cause: &'static str,
    /// When it lets something through again, where it is open.
    pub until: Option<SystemTime>,
}

impl BreakerMoved<'_> {
    /// Writes the line.
    pub fn tell(&self) {
        let Self { provider, scope, model, from, to, cause, until } = self;
        let model = model.map(|model| &model[..model.floor_char_boundary(LONGEST_MODEL)]);
        let until = until.map(|until| Timestamp(until).to_string());
        match *to {
            "open" => tracing::warn!(%provider, scope, model, from, to, cause, until, "a breaker is open"),
            _ => tracing::info!(%provider, scope, model, from, to, cause, until, "a breaker has changed its state"),
        }
    }
}
