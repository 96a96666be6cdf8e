//! Tokens that have held, so that a signature is verified once and not with every request.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::Verified;
use crate::config::JwtKey;

/// The most tokens that are remembered, over all workers: some 4 MB where each is one.
pub(super) const MOST: usize = 10_000;

/// Each has a lock of its own, so that workers seldom meet.
const SHELVES: usize = 16;

/// The most of one half of a shelf.
const HALF: usize = MOST / SHELVES / 2;

/// A token's SHA-256.
type Hash = [u8; 32];

/// A token that has held.
#[derive(Clone)]
pub(super) struct Known {
    /// What its signature holds by. Where that key counts no more, neither does this.
    pub(super) key: Arc<JwtKey>,
    pub(super) verified: Arc<Verified>,
    /// From this second of Unix time on it holds no more.
    pub(super) until: u64,
}

/// What was verified, by hash: what is used stays, and what is not leaves when room is needed.
#[derive(Default)]
pub(super) struct Memory([Mutex<Shelf>; SHELVES]);

/// What was used lately, and what was before. When the first half is full it takes the place of the second, whose rest is
/// forgotten: a bound and an order of use for the price of two look-ups.
#[derive(Default)]
struct Shelf {
    young: HashMap<Hash, Known>,
    old: HashMap<Hash, Known>,
}

impl Memory {
    pub(super) fn get(&self, hash: &Hash, now: u64) -> Option<Known> {
        let mut shelf = self.shelf(hash);
        if let Some(known) = shelf.young.get(hash) {
            return (now < known.until).then(|| known.clone());
        }
        let known = shelf.old.remove(hash).filter(|known| now < known.until)?;
        shelf.put(*hash, known.clone());
        Some(known)
    }

    pub(super) fn put(&self, hash: Hash, known: Known) {
        self.shelf(&hash).put(hash, known);
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(lock).map(|shelf| shelf.young.len() + shelf.old.len()).sum()
    }

    fn shelf(&self, hash: &Hash) -> MutexGuard<'_, Shelf> {
        lock(&self.0[usize::from(hash[0]) % SHELVES])
    }
}

impl Shelf {
    fn put(&mut self, hash: Hash, known: Known) {
        if self.young.len() >= HALF && !self.young.contains_key(&hash) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, known);
    }
}

/// A panic elsewhere leaves it as it was: nothing in here can stop half way.
fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Secret;

    fn known(until: u64) -> Known {
        let verified = Verified { name: crate::types::ForeignName::new("anna").unwrap(), tier: None, region: None, expires: Some(until) };
        Known { key: Arc::new(JwtKey::of_secret(&Secret::new("x".repeat(32)))), verified: Arc::new(verified), until }
    }

    fn hash(number: u32) -> Hash {
        let mut hash = [0; 32];
        hash.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &number.to_be_bytes()).as_ref());
        hash
    }

    #[test]
    fn a_token_is_remembered_until_it_ends() {
        let memory = Memory::default();
        memory.put(hash(1), known(100));
        assert!(memory.get(&hash(1), 99).is_some());
        assert!(memory.get(&hash(1), 100).is_none());
        assert!(memory.get(&hash(2), 0).is_none());
    }

    #[test]
    fn it_never_holds_more_than_its_bound_and_keeps_what_is_in_use() {
        let memory = Memory::default();
        let one = known(u64::MAX);
        for number in 0..50_000 {
            memory.put(hash(number), one.clone());
            assert!(memory.get(&hash(0), 1).is_some(), "in use and forgotten after {number}");
        }
        assert!(memory.len() <= MOST, "{}", memory.len());
        assert!(memory.len() > MOST / 3, "{}", memory.len());
    }
}
