//! Which requests are the same question.

use std::fmt;

/// What tells one question from another. It says nothing about the question itself to whoever lacks the secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// From the bytes of a MAC.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:02x}{:02x}{:02x}…)", self.0[0], self.0[1], self.0[2])
    }
}
