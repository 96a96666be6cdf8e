//! Bytes that come in parts and are wanted in one piece.

use bytes::{Bytes, BytesMut};

/// The parts of a body in one piece; a single part is not copied. Kept apart, parts of a byte each would cost fifty times
/// the memory that is counted for them.
#[derive(Debug, Default)]
pub struct Joined {
    only: Bytes,
    joined: BytesMut,
}

impl Joined {
    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.only.len() + self.joined.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts a part behind the others.
    pub fn push(&mut self, part: Bytes) {
        if self.is_empty() {
            self.only = part;
            return;
        }
        self.joined.extend_from_slice(&std::mem::take(&mut self.only));
        self.joined.extend_from_slice(&part);
    }

    /// All of them.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        if self.joined.is_empty() { self.only } else { self.joined.freeze() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_and_a_single_one_is_not_copied() {
        let joined = |parts: &[&Bytes]| {
            let mut joined = Joined::default();
            parts.iter().for_each(|part| joined.push(Bytes::clone(part)));
            assert_eq!(joined.len(), parts.iter().map(|part| part.len()).sum::<usize>());
            joined.into_bytes()
        };
        let [empty, one, two] = [b"".as_slice(), b"one", b"two"].map(Bytes::copy_from_slice);
        assert_eq!(joined(&[]), "");
        assert_eq!(joined(&[&empty, &one]).as_ptr(), one.as_ptr());
        assert_eq!(joined(&[&one, &empty, &two, &one]), "onetwoone");
    }
}
