//! The store in this process's memory.
//!
//! What goes first is decided by S3-FIFO (`quick_cache`): what was asked for once leaves soon, however much of it there is, and
//! what was asked for again stays. Two limits hold, of bytes and of entries. There is one scale for both: an entry is charged for
//! its bytes, and at least for its share of them if there were as many entries as there may be. So many small ones are charged for
//! more than they occupy; nothing is ever charged for less.

use std::{
    fmt,
    hash::{BuildHasher, Hasher},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter, sync};
use smallvec::SmallVec;

use super::{Entry, Purge, Store, Stored, entry::PLACE};
use crate::{policy::cache::Key, types::Moment};

#[cfg(test)]
mod tests;

/// The least that a part of the store holds, in bytes. Parts have locks of their own; but nothing larger than one fits, and what
/// the last one of each leaves free is lost.
const LEAST_PART: u64 = 32 << 20;

/// The most parts there are. Each is locked for a fraction of a microsecond.
const MOST_PARTS: u64 = 8;

/// The part that what has proved itself may take; the rest is where the new has to. As in the paper on S3-FIFO (SOSP 2023).
const PROVEN: f64 = 0.9;

/// How many are remembered that have gone, as a part of the entries there may be: who of them comes back has proved itself. As in
/// the paper.
const REMEMBERED: f64 = 1.0;

/// About what an entry weighs: only how many are remembered that have gone depends on it.
const USUAL: u64 = 4 << 10;

/// The store in this process's memory. It takes none until something is put there.
pub struct Memory {
    shelf: ArcSwap<Shelf>,
    /// Taken by those who go through all of it: one after the other.
    turn: Mutex<()>,
    evictions: AtomicU64,
}

impl Memory {
    /// A store of at most so many bytes and entries.
    #[must_use]
    pub fn new(max_bytes: u64, max_entries: u64) -> Self {
        Self { shelf: ArcSwap::from_pointee(Shelf::new(max_bytes, max_entries)), turn: Mutex::default(), evictions: AtomicU64::new(0) }
    }

    fn remove_where(&self, is_meant: impl Fn(&Slot) -> bool) -> u64 {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let shelf = self.shelf.load();
        // A part is locked for each entry by itself, so that nobody waits for all of them.
        let meant = shelf.cache.iter().filter(|(_, slot)| is_meant(slot));
        meant.filter(|(key, _)| shelf.remove_if(key, &is_meant)).map(|_| 1).sum()
    }
}

impl Store for Memory {
    fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.shelf.load().cache.get(key).map(|slot| slot.entry)
    }

    fn put(&self, key: Key, entry: Arc<Entry>) -> bool {
        let evicted = self.shelf.load().put(key, Slot { bytes: entry.weight(), until: entry.dates.until, entry });
        self.evictions.fetch_add(evicted.unwrap_or(0), Ordering::Relaxed);
        evicted.is_some()
    }

    fn remove(&self, key: &Key, entry: &Arc<Entry>) {
        self.shelf.load().remove_if(key, |slot| Arc::ptr_eq(&slot.entry, entry));
    }

    fn purge(&self, purge: &Purge) -> u64 {
        self.remove_where(|slot| purge.is_about(&slot.entry))
    }

    fn sweep(&self, now: Moment) -> u64 {
        self.remove_where(|slot| slot.until <= now.nanos)
    }

    fn held(&self) -> Stored {
        let shelf = self.shelf.load();
        Stored {
            entries: shelf.entries.load(Ordering::Relaxed),
            bytes: shelf.bytes.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
        }
    }

    /// What is put while it moves may be lost.
    fn resize(&self, max_bytes: u64, max_entries: u64) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.shelf.load_full();
        if old.limits == (max_bytes, max_entries) {
            return;
        }
        let new = Shelf::new(max_bytes, max_entries);
        let evicted: u64 = old.cache.iter().map(|(key, slot)| new.put(key, slot).unwrap_or(1)).sum();
        self.shelf.store(Arc::new(new));
        self.evictions.fetch_add(evicted, Ordering::Relaxed);
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("held", &self.held()).finish_non_exhaustive()
    }
}

/// The entries under one pair of limits.
struct Shelf {
    cache: sync::Cache<Key, Slot, Charge, KeyHashes, Outgoing>,
    limits: (u64, u64),
    /// The most that one entry may be charged for.
    most: u64,
    charge: Charge,
    entries: AtomicU64,
    bytes: AtomicU64,
}

impl Shelf {
    fn new(max_bytes: u64, max_entries: u64) -> Self {
        let usual = max_entries.min(max_bytes / USUAL);
        let room = max_bytes.saturating_sub((usual as f64 * REMEMBERED) as u64 * PLACE);
        let parts = (max_bytes / LEAST_PART).clamp(1, MOST_PARTS);
        // A little more than one place of so many and one: there is never room for that one, and a single entry is not too heavy.
        let charge = Charge { least: room / max_entries.saturating_add(1) + 1 };
        let options = OptionsBuilder::new()
            .shards(1 << parts.ilog2())
            .hot_allocation(PROVEN)
            .ghost_allocation(REMEMBERED)
            .estimated_items_capacity(usize::try_from(usual).unwrap_or(usize::MAX))
            .weight_capacity(room)
            .build();
        let options = options.expect("the two without a default are set"); // invariant: both are, two lines above
        let cache = sync::Cache::with_options(options, charge, KeyHashes, Outgoing);
        let most = (cache.shard_capacity() as f64 * PROVEN) as u64;
        Self { cache, limits: (max_bytes, max_entries), most, charge, entries: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    /// How many had to go for it; nothing if it was not let in.
    fn put(&self, key: Key, slot: Slot) -> Option<u64> {
        if self.charge.of(&slot) > self.most {
            self.remove_if(&key, |_| true);
            return None;
        }
        // Counted before it is there, so that whoever takes it out again finds it counted.
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(slot.bytes, Ordering::Relaxed);
        let mut gone = Gone::new();
        self.cache.insert_with_lifecycle(key, slot, &mut gone);
        gone.iter().for_each(|(_, slot)| self.uncount(slot));
        Some(gone.iter().filter(|(other, _)| *other != key).map(|_| 1).sum())
    }

    fn remove_if(&self, key: &Key, is_meant: impl Fn(&Slot) -> bool) -> bool {
        let removed = self.cache.remove_if(key, is_meant);
        removed.iter().for_each(|(_, slot)| self.uncount(slot));
        removed.is_some()
    }

    fn uncount(&self, slot: &Slot) {
        self.entries.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(slot.bytes, Ordering::Relaxed);
    }
}

/// An entry at its place, with what is asked of it while the place is locked.
#[derive(Clone)]
struct Slot {
    entry: Arc<Entry>,
    /// What it weighs.
    bytes: u64,
    /// When it is over.
    until: u64,
}

/// What an entry is charged for.
#[derive(Clone, Copy)]
struct Charge {
    least: u64,
}

impl Charge {
    fn of(self, slot: &Slot) -> u64 {
        slot.bytes.max(self.least)
    }
}

impl Weighter<Key, Slot> for Charge {
    fn weight(&self, _: &Key, slot: &Slot) -> u64 {
        self.of(slot)
    }
}

/// What has to go. It is freed when nothing is locked any more.
type Gone = SmallVec<[(Key, Slot); 2]>;

#[derive(Clone, Copy)]
struct Outgoing;

impl Lifecycle<Key, Slot> for Outgoing {
    type RequestState = Gone;

    fn on_evict(&self, gone: &mut Gone, key: Key, slot: Slot) {
        gone.push((key, slot));
    }
}

/// A key is a MAC, by a secret that nobody else has: each part of it is as good a hash as any.
#[derive(Clone, Copy)]
struct KeyHashes;

impl BuildHasher for KeyHashes {
    type Hasher = FirstWord;

    fn build_hasher(&self) -> FirstWord {
        FirstWord(0)
    }
}

struct FirstWord(u64);

impl Hasher for FirstWord {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(word) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*word);
        }
    }

    /// The length of a key, which all have.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
