//! What is counted of one provider's breakers. Where they stand is read from themselves.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::occurrences::Occurrences;

/// What a breaker may be for: all that goes to a host, one of its models, or the models that share one for want of room.
pub const SCOPES: [&str; 3] = ["host", "model", "others"];

/// The record of one provider's breakers. Models are counted together: their names come from clients.
#[derive(Debug, Default)]
pub struct BreakerRecord {
    moved: Occurrences<3>,
    refused: [AtomicU64; SCOPES.len()],
}

impl BreakerRecord {
    /// A breaker of this scope came to this phase, for this reason; all three in the words of the policy.
    pub fn moved(&self, scope: &'static str, to: &'static str, cause: &'static str) {
        self.moved.add([scope, to, cause]);
    }

    /// A breaker of this scope, one of [`SCOPES`], kept an attempt from being made.
    pub fn refused(&self, scope: &str) {
        if let Some(at) = SCOPES.iter().position(|known| *known == scope) {
            self.refused[at].fetch_add(1, Relaxed);
        }
    }

    /// Changes of phase that there were: scope, new phase and reason, and how many.
    #[must_use]
    pub fn transitions(&self) -> Vec<([&'static str; 3], u64)> {
        self.moved.all()
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
    fn changes_are_counted_by_scope_phase_and_reason_and_refusals_by_scope() {
        let record = BreakerRecord::default();
        assert_eq!((record.transitions(), record.refusals()), (vec![], [("host", 0), ("model", 0), ("others", 0)]));
        record.moved("model", "open", "server_error");
        record.moved("model", "open", "server_error");
        record.moved("host", "half_open", "waited");
        record.refused("model");
        record.refused("gpt-4o");
        assert_eq!(record.transitions(), [(["host", "half_open", "waited"], 1), (["model", "open", "server_error"], 2)]);
        assert_eq!(record.refusals(), [("host", 0), ("model", 1), ("others", 0)]);
    }
}
