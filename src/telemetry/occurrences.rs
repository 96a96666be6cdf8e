//! What happens seldom, counted by words. Only words of the program can be given, so there are as many counts as it has ways to
//! say something, whatever clients send.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Counts that only grow, one for each combination of `N` words. Each takes a lock: not for what every request does.
#[derive(Debug)]
pub struct Occurrences<const N: usize>(Mutex<BTreeMap<[&'static str; N], u64>>);

impl<const N: usize> Default for Occurrences<N> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<const N: usize> Occurrences<N> {
    /// It happened once more.
    pub fn add(&self, words: [&'static str; N]) {
        *self.locked().entry(words).or_default() += 1;
    }

    /// What happened at all, and how often, in the order of the words.
    #[must_use]
    pub fn all(&self) -> Vec<([&'static str; N], u64)> {
        self.locked().iter().map(|(words, count)| (*words, *count)).collect()
    }

    /// A panic elsewhere leaves it as it was: it only counts.
    fn locked(&self) -> MutexGuard<'_, BTreeMap<[&'static str; N], u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_happened_is_absent() {
        let seen = Occurrences::default();
        assert!(seen.all().is_empty());
        [["open", "slow"], ["closed", "recovered"], ["open", "slow"]].into_iter().for_each(|words| seen.add(words));
        assert_eq!(seen.all(), [(["closed", "recovered"], 1), (["open", "slow"], 2)]);
    }
}
