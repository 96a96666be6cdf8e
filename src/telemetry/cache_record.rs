//! What the cache did for requests: counted where they end, read by the admin listener and the metrics. What it holds is read from
//! its store.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::types::{Cached, Money, Usage};

/// The record of the cache, one for the process. All counts are relaxed atomics: each is exact, and two that are read together
/// may be a request apart.
#[derive(Debug)]
pub struct CacheRecord {
    outcomes: [AtomicU64; Cached::ALL.len()],
    bypasses: Words,
    stored: AtomicU64,
    not_stored: Words,
    tokens: [AtomicU64; 2],
    /// Pico-dollars. At 18 million dollars it begins anew, as a counter may.
    cost: AtomicU64,
    flights: [AtomicU64; 2],
    joined: AtomicU64,
}

/// Flights, as they stand at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flights {
    /// Those in progress.
    pub in_progress: u64,
    /// Those that are over.
    pub ended: u64,
    /// Requests beside the first that those were joined by.
    pub joined: u64,
}

impl CacheRecord {
    /// One that knows these reasons why the cache is not asked, and these why a reply is not stored. Each has a count from the
    /// start; a reason that is not named here is never counted.
    #[must_use]
    pub fn new(bypasses: impl IntoIterator<Item = &'static str>, not_stored: impl IntoIterator<Item = &'static str>) -> Self {
        Self {
            outcomes: Default::default(),
            bypasses: Words::new(bypasses),
            stored: AtomicU64::new(0),
            not_stored: Words::new(not_stored),
            tokens: Default::default(),
            cost: AtomicU64::new(0),
            flights: Default::default(),
            joined: AtomicU64::new(0),
        }
    }

    /// A request of a route with a cache was answered, or was to be, in this way: once for each, [`Cached::Bypass`] included.
    pub fn asked(&self, cached: Cached) {
        if let Some(at) = Cached::ALL.iter().position(|known| *known == cached) {
            self.outcomes[at].fetch_add(1, Relaxed);
        }
    }

    /// Why the cache was not asked. It goes with [`Self::asked`], and does not stand for it.
    pub fn bypassed(&self, reason: &'static str) {
        self.bypasses.add(reason);
    }

    /// A reply was stored.
    pub fn stored(&self) {
        self.stored.fetch_add(1, Relaxed);
    }

    /// A reply that could have been stored was not, for this reason.
    pub fn not_stored(&self, reason: &'static str) {
        self.not_stored.add(reason);
    }

    /// A request was answered without a call of its own, which would have used and cost this, as far as that is known.
    pub fn saved(&self, usage: Usage, cost: Option<Money>) {
        for (sum, tokens) in self.tokens.iter().zip([usage.input, usage.output]) {
            sum.fetch_add(tokens.unwrap_or(0), Relaxed);
        }
        self.cost.fetch_add(cost.unwrap_or_default().0, Relaxed);
    }

    /// A call was begun that equal requests may join.
    pub fn flight_began(&self) {
        self.flights[0].fetch_add(1, Relaxed);
    }

    /// It is over, however it went, and so many requests have joined it.
    pub fn flight_ended(&self, joined: u32) {
        self.flights[1].fetch_add(1, Relaxed);
        self.joined.fetch_add(joined.into(), Relaxed);
    }

    /// How requests of routes with a cache were answered, in the order of [`Cached::ALL`].
    #[must_use]
    pub fn outcomes(&self) -> [u64; Cached::ALL.len()] {
        self.outcomes.each_ref().map(|count| count.load(Relaxed))
    }

    /// Why the cache was not asked, and how often.
    pub fn bypasses(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.bypasses.counted()
    }

    /// How many replies were stored.
    #[must_use]
    pub fn replies_stored(&self) -> u64 {
        self.stored.load(Relaxed)
    }

    /// Why replies were not stored, and how often.
    pub fn replies_not_stored(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.not_stored.counted()
    }

    /// Tokens in and out that no provider was asked for.
    #[must_use]
    pub fn saved_tokens(&self) -> [u64; 2] {
        self.tokens.each_ref().map(|count| count.load(Relaxed))
    }

    /// What they would have cost.
    #[must_use]
    pub fn saved_cost(&self) -> Money {
        Money(self.cost.load(Relaxed))
    }

    /// Flights now.
    #[must_use]
    pub fn flights(&self) -> Flights {
        // The ends first: a flight that begins and ends in between must not count as minus one.
        let ended = self.flights[1].load(Relaxed);
        let began = self.flights[0].load(Relaxed);
        Flights { in_progress: began.saturating_sub(ended), ended, joined: self.joined.load(Relaxed) }
    }
}

/// The share of requests that were answered without a call of their own, of those that the cache was asked for: hits and collapsed
/// ones, since for a stale one a call was made, or could not be. `None` where it was asked for none.
#[must_use]
pub fn hit_ratio(outcomes: [u64; Cached::ALL.len()]) -> Option<f64> {
    let of = |wanted: &[Cached]| -> u64 {
        Cached::ALL.iter().zip(outcomes).filter(|(cached, _)| wanted.contains(cached)).map(|(_, count)| count).sum()
    };
    let asked = of(&[Cached::Hit, Cached::Stale, Cached::Collapsed, Cached::Miss]);
    (asked > 0).then(|| of(&[Cached::Hit, Cached::Collapsed]) as f64 / asked as f64)
}

/// Counts that only grow, one for each word of a fixed list.
#[derive(Debug)]
struct Words(Box<[(&'static str, AtomicU64)]>);

impl Words {
    fn new(words: impl IntoIterator<Item = &'static str>) -> Self {
        Self(words.into_iter().map(|word| (word, AtomicU64::new(0))).collect())
    }

    fn add(&self, word: &str) {
        if let Some((_, count)) = self.0.iter().find(|(known, _)| *known == word) {
            count.fetch_add(1, Relaxed);
        }
    }

    fn counted(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(word, count)| (*word, count.load(Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> CacheRecord {
        CacheRecord::new(["tools", "no_store"], ["status", "error"])
    }

    #[test]
    fn every_outcome_is_counted_under_its_own_word() {
        let record = record();
        for (at, cached) in (0..).zip(Cached::ALL) {
            (0..=at).for_each(|_| record.asked(cached));
        }
        assert_eq!(record.outcomes(), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn reasons_stand_at_nothing_from_the_start_and_a_word_that_is_not_known_grows_none() {
        let record = record();
        record.bypassed("tools");
        record.bypassed("tools");
        record.bypassed("whatever a client says");
        record.not_stored("error");
        record.stored();
        assert_eq!(record.bypasses().collect::<Vec<_>>(), [("tools", 2), ("no_store", 0)]);
        assert_eq!(record.replies_not_stored().collect::<Vec<_>>(), [("status", 0), ("error", 1)]);
        assert_eq!((record.replies_stored(), record.outcomes()), (1, [0; 5]), "why is not how");
    }

    #[test]
    fn what_is_saved_adds_up_as_far_as_it_is_known() {
        let record = record();
        record.saved(Usage { input: Some(10), output: Some(3), cached: Some(9), ..Usage::default() }, Some(Money(7)));
        record.saved(Usage { output: Some(4), ..Usage::default() }, None);
        record.saved(Usage::default(), Some(Money(1)));
        assert_eq!((record.saved_tokens(), record.saved_cost()), ([10, 7], Money(8)));
    }

    #[test]
    fn flights_are_in_progress_until_they_end() {
        let record = record();
        record.flight_began();
        record.flight_began();
        record.flight_ended(499);
        assert_eq!(record.flights(), Flights { in_progress: 1, ended: 1, joined: 499 });
        record.flight_ended(0);
        assert_eq!(record.flights(), Flights { in_progress: 0, ended: 2, joined: 499 });
    }

    #[test]
    fn the_hit_ratio_leaves_out_what_the_cache_was_not_asked_for() {
        // In the order of hit, stale, collapsed, miss, bypass.
        assert_eq!(hit_ratio([0; 5]), None);
        assert_eq!(hit_ratio([0, 0, 0, 0, 9]), None);
        assert_eq!(hit_ratio([1, 1, 1, 1, 100]), Some(0.5));
        assert_eq!(hit_ratio([3, 0, 0, 0, 0]), Some(1.0));
    }
}
