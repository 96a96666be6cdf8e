//! What is counted of the attempts that go to one provider, and of what followed them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::causes::Causes;
use crate::types::Cause;

/// The record of one provider's attempts.
#[derive(Debug, Default)]
pub struct AttemptRecord {
    verdicts: Causes,
    retries: AtomicU64,
    swaps: AtomicU64,
    fallbacks: AtomicU64,
    budget_exhausted: AtomicU64,
}

impl AttemptRecord {
    /// An attempt is over, and its end says this.
    pub fn judged(&self, cause: Cause) {
        self.verdicts.add(cause);
    }

    /// Another one to the same target follows.
    pub fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    /// Another one with another key follows, since this key was refused.
    pub fn swapped(&self) {
        self.swaps.fetch_add(1, Relaxed);
    }

    /// The request goes on to the next target.
    pub fn left(&self) {
        self.fallbacks.fetch_add(1, Relaxed);
    }

    /// Another one would follow, but the budget is spent.
    pub fn out_of_budget(&self) {
        self.budget_exhausted.fetch_add(1, Relaxed);
    }

    /// Attempts that are over, by what their end says: those that there were.
    pub fn verdicts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.verdicts.counted()
    }

    /// Retries, swaps, fallbacks, and retries that there was no budget for.
    #[must_use]
    pub fn followed(&self) -> [u64; 4] {
        [&self.retries, &self.swaps, &self.fallbacks, &self.budget_exhausted].map(|count| count.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_that_follows_has_its_own_count() {
        let record = AttemptRecord::default();
        record.judged(Cause::Served);
        record.judged(Cause::NoReply);
        record.retried();
        (0..2).for_each(|_| record.swapped());
        (0..3).for_each(|_| record.left());
        (0..4).for_each(|_| record.out_of_budget());
        assert_eq!(record.verdicts().collect::<Vec<_>>(), [("served", 1), ("no_reply", 1)]);
        assert_eq!(record.followed(), [1, 2, 3, 4]);
    }
}
