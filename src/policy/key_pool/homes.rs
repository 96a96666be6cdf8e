//! Homes: which account has made what is stored at a provider.
//!
//! Another account's key finds none of it. What is not known, or was forgotten, is looked for where everything is made as long
//! as nothing stands against it: in the account of the first key in use.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hashbrown::HashTable;

use crate::types::{Fingerprint, ObjectId, ObjectIds, object::keyed};

/// Shards, of which each has a lock: a worker seldom waits for another.
const SHARDS: usize = 8;

/// The most objects of one half of a shard. Those of all halves of all shards are 65,536, 17 bytes each: 1.1 MiB for a provider
/// whose clients make so many, and nothing for one whose clients make none.
const HALF: usize = 65_536 / SHARDS / 2;

/// Tells a provider's accounts apart, through all generations of the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MakerId(u64);

impl MakerId {
    /// The account that the config calls so.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self(keyed((0_u8, name)).get())
    }

    /// The account of a key that shares it with no other.
    #[must_use]
    pub fn of_key(key: Fingerprint) -> Self {
        Self(keyed((1_u8, key)).get())
    }
}

/// Whose key a request needs, before it is known which provider it goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Anybody's.
    Any,
    /// That of the account where everything is made.
    Home,
    /// That of the account which made the first of these that is known; else as [`Self::Home`].
    Maker(ObjectIds),
}

/// The accounts that made a provider's objects: shared by all workers, the same through all generations of the config.
///
/// A half of each shard takes what is new and what is used; once that is full, it takes the place of the other, whose content
/// is forgotten. So what is forgotten was used longer ago than the [`HALF`] others that were used last.
pub struct Homes([Mutex<Shard>; SHARDS]);

#[derive(Default)]
struct Shard {
    fresh: HashTable<(ObjectId, MakerId)>,
    stale: HashTable<(ObjectId, MakerId)>,
}

impl Homes {
    /// The account which made this, if it is known.
    #[must_use]
    pub fn find(&self, id: ObjectId) -> Option<MakerId> {
        self.shard(id).find(id)
    }

    /// `account` has made this.
    pub fn learn(&self, id: ObjectId, account: MakerId) {
        self.shard(id).put(id, account);
    }

    /// By bits that the tables themselves make little of. A panic elsewhere leaves a shard as it was: nothing in here can stop
    /// half way.
    fn shard(&self, id: ObjectId) -> MutexGuard<'_, Shard> {
        self.0[(id.hash() >> 40) as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn find(&mut self, id: ObjectId) -> Option<MakerId> {
        let same = |entry: &(ObjectId, MakerId)| entry.0 == id;
        if let Some((_, account)) = self.fresh.find(id.hash(), same) {
            return Some(*account);
        }
        let (entry, _) = self.stale.find_entry(id.hash(), same).ok()?.remove();
        self.put(id, entry.1);
        Some(entry.1)
    }

    fn put(&mut self, id: ObjectId, account: MakerId) {
        if let Some(entry) = self.fresh.find_mut(id.hash(), |entry| entry.0 == id) {
            entry.1 = account;
            return;
        }
        if let Ok(entry) = self.stale.find_entry(id.hash(), |entry| entry.0 == id) {
            entry.remove();
        }
        if self.fresh.len() >= HALF {
            // Emptied and not given back: a provider that has come so far comes there again.
            std::mem::swap(&mut self.fresh, &mut self.stale);
            self.fresh.clear();
        }
        self.fresh.insert_unique(id.hash(), (id, account), |entry| entry.0.hash());
    }
}

impl Default for Homes {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl fmt::Debug for Homes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Homes")
    }
}

#[cfg(test)]
mod tests;
