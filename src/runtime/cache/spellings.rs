//! Which keys the last spellings of questions had.

use std::{
    fmt,
    hash::{BuildHasher, Hasher},
};

use quick_cache::sync;

use crate::policy::cache::{Key, Spelling};

/// How many are remembered. Each takes about 130 bytes.
const MOST: usize = 16_384;

/// The keys of the last spellings. A key stands for its question alone, so none is ever wrong, however old.
pub struct Spellings(sync::Cache<Spelling, Key, quick_cache::UnitWeighter, Bits>);

impl Spellings {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self(sync::Cache::with(MOST, MOST as u64, quick_cache::UnitWeighter, Bits, Default::default()))
    }

    /// The key of what is spelled so, if that is remembered.
    #[must_use]
    pub fn get(&self, spelling: Spelling) -> Option<Key> {
        self.0.get(&spelling)
    }

    /// Remembers the key of what is spelled so.
    pub fn put(&self, spelling: Spelling, key: Key) {
        self.0.insert(spelling, key);
    }
}

impl Default for Spellings {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Spellings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spellings({})", self.0.len())
    }
}

/// A spelling is random already.
#[derive(Clone, Debug, Default)]
struct Bits;

impl BuildHasher for Bits {
    type Hasher = First;

    fn build_hasher(&self) -> First {
        First(0)
    }
}

struct First(u64);

impl Hasher for First {
    fn write(&mut self, _: &[u8]) {}

    fn write_u128(&mut self, bits: u128) {
        self.0 = bits as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Determinism,
        policy::cache::{Facts, Secret},
        types::Question,
    };

    #[test]
    fn the_last_spellings_are_remembered_and_no_more_than_there_may_be() {
        let (secret, spellings) = (Secret::random(), Spellings::new());
        let spelled = |number: usize| {
            let body = number.to_string();
            let facts = Facts { scope: b"", question: Question::Chat, target: b"", path: "", body: body.as_bytes() };
            Spelling::of(&secret, &facts, std::iter::empty(), Determinism::Any)
        };
        let key = |number: usize| Key::from_bytes([number as u8; 32]);
        for number in 0..2 * MOST {
            spellings.put(spelled(number), key(number));
        }
        let remembered = (0..2 * MOST).filter(|number| match spellings.get(spelled(*number)) {
            Some(remembered) => remembered == key(*number) || panic!("{number} has another's key"),
            None => false,
        });
        assert!((MOST / 2..=MOST).contains(&remembered.count()));
    }
}
