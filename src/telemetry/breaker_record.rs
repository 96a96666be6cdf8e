//! What is counted of one provider's breakers. Where they stand is read from themselves.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::causes::Causes;
use crate::types::Cause;

/// What a breaker may be for: all that goes to a host, or one of its models.
pub const SCOPES: [&str; 2] = ["host", "model"];

/// What a breaker may be.
pub const PHASES: [&str; 3] = ["closed", "open", "half_open"];

/// The record of one provider's breakers. Models are counted together: their names come from clients.
#[derive(Debug, Default)]
pub struct BreakerRecord {
    moved: [[Causes; PHASES.len()]; SCOPES.len()],
    refused: [AtomicU64; SCOPES.len()],
}

/// One of some words; a word that is none of them stands for none.
fn place<const N: usize>(words: [&str; N], word: &str) -> Option<usize> {
    words.iter().position(|known| *known == word)
}

impl BreakerRecord {
    /// A breaker of this scope came to this phase, for this cause. All words are those of [`SCOPES`] and [`PHASES`].
    pub fn moved(&self, scope: &str, to: &str, cause: Cause) {
        if let Some((scope, to)) = place(SCOPES, scope).zip(place(PHASES, to)) {
            self.moved[scope][to].add(cause);
        }
    }

    /// A breaker of this scope kept an attempt from being made.
    pub fn refused(&self, scope: &str) {
        if let Some(scope) = place(SCOPES, scope) {
            self.refused[scope].fetch_add(1, Relaxed);
        }
    }

    /// Changes of state that there were: scope, the new phase, the cause, and how many.
    pub fn transitions(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str, u64)> {
        SCOPES.into_iter().zip(&self.moved).flat_map(|(scope, phases)| {
            let phases = PHASES.into_iter().zip(phases);
            phases.flat_map(move |(to, causes)| causes.counted().map(move |(cause, count)| (scope, to, cause, count)))
        })
    }

    /// Attempts that were not made, by scope.
    #[must_use]
    pub fn refusals(&self) -> [(&'static str, u64); SCOPES.len()] {
        std::array::from_fn(|at| (SCOPES[at], self.refused[at].load(Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted_by_scope_phase_and_cause() {
        let record = BreakerRecord::default();
        assert_eq!((record.transitions().count(), record.refusals()), (0, [("host", 0), ("model", 0)]));
        record.moved("model", "open", Cause::ServerError);
        record.moved("model", "open", Cause::ServerError);
        record.moved("host", "open", Cause::Unreachable);
        record.moved("host", "half_open", Cause::Unreachable);
        record.moved("host", "closed", Cause::Served);
        record.refused("model");
        for unknown in ["", "Host", "gpt-4o"] {
            record.moved(unknown, "open", Cause::Served);
            record.moved("host", unknown, Cause::Served);
            record.refused(unknown);
        }
        assert_eq!(
            record.transitions().collect::<Vec<_>>(),
            [
                ("host", "closed", "served", 1),
                ("host", "open", "unreachable", 1),
                ("host", "half_open", "unreachable", 1),
                ("model", "open", "server_error", 2),
            ]
        );
        assert_eq!(record.refusals(), [("host", 0), ("model", 1)]);
    }
}
