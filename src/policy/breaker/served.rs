//! Which models a host has served lately.
//!
//! Callers can name models that nobody has: they are never served, so nothing here speaks of them. Lock-free and of a fixed size:
//! each model has one place by its hash, which another of that place may take.

use std::sync::atomic::{AtomicU64, Ordering};

/// Places.
const MODELS: usize = 128;

const NANOS: u64 = 1_000_000_000;

/// In each place the upper half of a model's hash, and below it the second in which it was served last.
#[derive(Debug)]
pub(super) struct Served([AtomicU64; MODELS]);

impl Default for Served {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; MODELS])
    }
}

impl Served {
    /// It was served now. Writes once a second and model, so that workers do not wait for each other's caches.
    pub(super) fn saw(&self, hash: u64, now: u64) {
        let place = &self.0[place(hash)];
        let told = upper(hash) | second(now);
        if place.load(Ordering::Relaxed) != told {
            place.store(told, Ordering::Relaxed);
        }
    }

    /// Whether it was served at all.
    pub(super) fn knows(&self, hash: u64) -> bool {
        let told = self.0[place(hash)].load(Ordering::Relaxed);
        told != 0 && upper(told) == upper(hash)
    }

    /// How many models were served since then, in nanoseconds, without those.
    pub(super) fn since(&self, since: u64, without: &[u64]) -> usize {
        let is_meant = |place: &AtomicU64| {
            let told = place.load(Ordering::Relaxed);
            told & u64::from(u32::MAX) >= second(since) && !without.iter().any(|hash| upper(*hash) == upper(told))
        };
        self.0.iter().filter(|place| is_meant(place)).count()
    }
}

fn upper(hash: u64) -> u64 {
    hash & !u64::from(u32::MAX)
}

/// By bits that are not kept, nor needed to tell apart whom it shares its place with.
fn place(hash: u64) -> usize {
    (hash % MODELS as u64) as usize
}

/// From 1, so that what is zero is empty.
fn second(nanos: u64) -> u64 {
    (nanos / NANOS + 1).min(u64::from(u32::MAX))
}

/// A quick hash of a model's name. Who finds two names of one hash gains nothing: only served models are looked up by it.
pub(super) fn hash(name: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = name.as_chunks::<8>();
    let fold = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(ODD);
    let hash = words.iter().fold(name.len() as u64, |hash, word| fold(hash, u64::from_le_bytes(*word)));
    let hash = fold(hash, rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
    hash ^ hash >> 32
}
