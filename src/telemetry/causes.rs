//! Counts by what the end of an attempt says: a series for each word of [`Cause`], and for no other.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::types::Cause;

/// Counts that only grow, one for each cause.
#[derive(Debug, Default)]
pub struct Causes([AtomicU64; Cause::ALL.len()]);

impl Causes {
    /// One more of this cause.
    pub fn add(&self, cause: Cause) {
        // The most frequent stands first.
        if let Some(at) = Cause::ALL.iter().position(|known| *known == cause) {
            self.0[at].fetch_add(1, Relaxed);
        }
    }

    /// Those that were counted at all, by their words.
    pub fn counted(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = Cause::ALL.iter().zip(&self.0).map(|(cause, count)| (cause.name(), count.load(Relaxed)));
        all.filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_counted_under_its_own_word_and_what_never_came_is_absent() {
        let causes = Causes::default();
        assert_eq!(causes.counted().count(), 0);
        for (at, cause) in (1..).zip(Cause::ALL) {
            (0..at).for_each(|_| causes.add(cause));
            assert_eq!(causes.counted().last(), Some((cause.name(), at)));
            assert_eq!(causes.counted().count() as u64, at);
        }
    }
}
