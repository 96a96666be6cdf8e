//! The client keys, found by what a caller presents.

use std::collections::HashMap;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::snapshot::Known;
use crate::config::KeyHash;

/// The start of a hash: what it is looked up by.
type Start = [u8; 8];

/// Clients by the hash of their key.
///
/// The time of a look-up may depend on the start of the presented key's hash and tell an attacker whether that start is one
/// of ours. That is no way towards a key: whoever wants a hash with a certain start must try out 2⁶⁴ keys, for a start that
/// is not known beforehand, and the rest is compared in constant time, so that no answer comes sooner for a hash that agrees in more.
#[derive(Debug, Default)]
pub struct ClientKeys(HashMap<Start, Vec<(KeyHash, Known)>>);

impl ClientKeys {
    /// The client with this key. It costs a hash: ask where there are keys.
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Option<&Known> {
        let hash = KeyHash::of(key);
        let same_start = self.0.get(&start(&hash))?;
        same_start.iter().find(|(known, _)| verify_slices_are_equal(&known.0, &hash.0).is_ok()).map(|(_, client)| client)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(KeyHash, Known)> for ClientKeys {
    fn from_iter<I: IntoIterator<Item = (KeyHash, Known)>>(clients: I) -> Self {
        let mut by_start: HashMap<Start, Vec<(KeyHash, Known)>> = HashMap::new();
        for (hash, client) in clients {
            by_start.entry(start(&hash)).or_default().push((hash, client));
        }
        Self(by_start)
    }
}

fn start(hash: &KeyHash) -> Start {
    let mut start = Start::default();
    start.copy_from_slice(&hash.0[..size_of::<Start>()]);
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> Known {
        Known { name: name.parse().unwrap(), tier: "free".parse().unwrap() }
    }

    #[test]
    fn a_client_is_found_by_its_whole_key() {
        let keys: ClientKeys = [(KeyHash::of(b"sg-one"), known("one")), (KeyHash::of(b"sg-two"), known("two"))].into_iter().collect();
        for (key, name) in [("sg-one", Some("one")), ("sg-two", Some("two")), ("sg-three", None), ("", None)] {
            assert_eq!(keys.find(key.as_bytes()).map(|known| known.name.as_str()), name, "{key}");
        }
        assert!(!keys.is_empty() && ClientKeys::default().is_empty());
    }

    #[test]
    fn the_start_of_a_hash_is_not_enough() {
        let mut hash = KeyHash::of(b"sg-one");
        hash.0[31] ^= 1;
        let keys: ClientKeys = [(hash, known("other"))].into_iter().collect();
        assert!(keys.find(b"sg-one").is_none());
        let keys: ClientKeys = [(hash, known("other")), (KeyHash::of(b"sg-one"), known("one"))].into_iter().collect();
        assert_eq!(keys.find(b"sg-one").unwrap().name.as_str(), "one");
    }
}
