//! What stands for the ids of what a provider stores: files, batches, responses, threads.

use std::{
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    num::NonZeroU64,
    sync::LazyLock,
};

/// A hash of an object's id, the same as long as this process runs. Its key is random, so that nobody can choose ids that meet
/// others' hashes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(NonZeroU64);

impl ObjectId {
    /// The longest text that is taken for an id, in bytes. Providers' have less than 100; gateways that pack what they know
    /// into one come to 400.
    pub const LONGEST: usize = 512;

    /// That of an id as the provider writes it. `None` if it is empty, or too long for one.
    #[must_use]
    pub fn of(id: &[u8]) -> Option<Self> {
        (1..=Self::LONGEST).contains(&id.len()).then(|| Self(keyed(id)))
    }

    /// The hash.
    #[must_use]
    pub fn hash(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Debug for ObjectId {
    /// A guess of a short id could be confirmed by its hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[object]")
    }
}

/// The hash of a value under this process's key; never 0.
#[must_use]
pub fn keyed(value: impl Hash) -> NonZeroU64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    NonZeroU64::new(KEY.hash_one(value)).unwrap_or(NonZeroU64::MIN)
}

/// The first few ids that a request or a reply names, each once. Nothing is allocated for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObjectIds([Option<ObjectId>; Self::MOST]);

impl ObjectIds {
    /// So many are kept; further ones are not looked at. One that is known is enough.
    pub const MOST: usize = 4;

    /// Adds one, unless it is there or there is no room.
    pub fn add(&mut self, id: Option<ObjectId>) {
        let Some(id) = id else { return };
        for place in &mut self.0 {
            match place {
                Some(there) if *there == id => return,
                Some(_) => {}
                None => {
                    *place = Some(id);
                    return;
                }
            }
        }
    }

    /// Adds those of `others`.
    pub fn extend(&mut self, others: Self) {
        others.iter().for_each(|id| self.add(Some(id)));
    }

    /// Those that there are, in the order in which they were met.
    pub fn iter(&self) -> impl Iterator<Item = ObjectId> {
        self.0.into_iter().flatten()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0[0].is_none()
    }

    /// Whether there is no room for another.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0[Self::MOST - 1].is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stands_for_one_text_and_prints_nothing_of_it() {
        assert_eq!(ObjectId::of(b"resp_1"), ObjectId::of(b"resp_1"));
        assert_ne!(ObjectId::of(b"resp_1"), ObjectId::of(b"resp_2"));
        assert_eq!(format!("{:?}", ObjectId::of(b"resp_1")), "Some([object])");
        assert_eq!(ObjectId::of(b""), None);
        assert_eq!(ObjectId::of(&[b'x'; ObjectId::LONGEST + 1]), None);
        assert!(ObjectId::of(&[b'x'; ObjectId::LONGEST]).is_some());
    }

    #[test]
    fn the_first_few_are_kept_each_once() {
        let mut ids = ObjectIds::default();
        assert!(ids.is_empty());
        for id in [&b"a"[..], b"b", b"", b"a", b"c", b"d", b"e"] {
            assert!(!ids.is_full() || id == b"e");
            ids.add(ObjectId::of(id));
        }
        let expected: Vec<_> = [b"a", b"b", b"c", b"d"].into_iter().filter_map(|id| ObjectId::of(id)).collect();
        assert_eq!(ids.iter().collect::<Vec<_>>(), expected);
    }
}
