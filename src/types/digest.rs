//! What stands for a text that a client sent, where only sameness counts.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

/// The first 128 bits of a text's SHA-256: what is counted by a session or a credential is counted by this, of fixed size and
/// without a part of the text. Nobody finds a second text for it, so nobody is counted as somebody else.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 16]);

impl Digest {
    /// That of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut short = [0; 16];
        short.copy_from_slice(&digest(&SHA256, bytes).as_ref()[..16]);
        Self(short)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Digest {
    /// A guess of a short text could be confirmed by its hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[digest]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_tells_texts_apart_and_prints_nothing_of_them() {
        assert_eq!(Digest::of(b"one"), Digest::of(b"one"));
        assert_ne!(Digest::of(b"one"), Digest::of(b"two"));
        assert_eq!(format!("{:?}", Digest::of(b"one")), "[digest]");
    }
}
