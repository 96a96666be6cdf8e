//! What a limit's counters hold, for operators.

use std::{iter, time::Duration};

use super::Rule;
use crate::{
    policy::limits::{Spec, Standing, State},
    types::Moment,
};

/// One of those who use a limit most.
#[derive(Clone, Debug)]
pub struct Consumer {
    /// What it is called; `None` if nobody has noted it.
    pub label: Option<Box<str>>,
    /// What is left for it.
    pub standing: Standing,
}

impl Rule {
    /// Its counters, and those of the networks around its subjects, each with its numbers.
    fn counters(&self) -> impl Iterator<Item = (&Spec, &State)> {
        iter::once((&self.spec, &*self.state)).chain(self.around.iter().map(|around| (&around.spec, &*around.state)))
    }

    /// Subjects that are counted now.
    #[must_use]
    pub fn subjects(&self) -> usize {
        self.state.subjects()
    }

    /// Bytes that its counters take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.counters().map(|(_, state)| state.bytes()).sum()
    }

    /// Checks that found no room for a counter of their own.
    #[must_use]
    pub fn shared(&self) -> u64 {
        self.counters().map(|(_, state)| state.shared()).sum()
    }

    /// Those who have used the largest part of theirs, at most so many, the first of them first.
    ///
    /// It looks at every counter, one shard after the other, so that whoever wants to count waits for one shard at most.
    #[must_use]
    pub fn consumers(&self, now: Moment, most: usize) -> Vec<Consumer> {
        let mut all: Vec<_> = self.counters().flat_map(|(spec, state)| state.consumers(spec, now, most)).collect();
        // Of one limit all have the same numbers but for the networks, which have several times as much.
        let left = |standing: &Standing| (standing.remaining as f64 / standing.limit.max(1) as f64, standing.limit);
        all.sort_by(|one, other| left(&one.standing).partial_cmp(&left(&other.standing)).unwrap_or(std::cmp::Ordering::Equal));
        all.truncate(most);
        all.into_iter().map(|consumer| Consumer { label: self.record.label(consumer.key), standing: consumer.standing }).collect()
    }

    /// How long its window slides, or its bucket takes to fill; `None` for days, months and permits.
    #[must_use]
    pub fn window(&self) -> Option<Duration> {
        use crate::policy::limits::Counting;
        match self.spec.counting() {
            Counting::Sliding(length) | Counting::Bucket(length) => Some(length),
            Counting::Day | Counting::Month | Counting::Permits => None,
        }
    }
}
