//! A short text in place: what a client sent must not keep its whole request in memory.

use std::fmt;

/// The most bytes that are kept. Ids of requests have 24 to 40, names of models seldom more than 60.
const LONGEST: usize = 96;

/// The first bytes of a text, cut where a letter ends. It takes no memory of its own, however long the text was.
#[derive(Clone, Copy)]
pub struct Cut {
    length: u8,
    bytes: [u8; LONGEST],
}

impl Cut {
    /// As much of `text` as fits.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let kept = &text.as_bytes()[..text.floor_char_boundary(LONGEST)];
        let mut bytes = [0; LONGEST];
        bytes[..kept.len()].copy_from_slice(kept);
        Self { length: kept.len() as u8, bytes }
    }

    /// What is kept.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // It was cut where a letter ends, so this never falls back.
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl PartialEq for Cut {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Cut {}

impl fmt::Debug for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_kept_as_far_as_it_fits(text in ".{0,200}") {
            let cut = Cut::of(&text);
            prop_assert!(text.starts_with(cut.as_str()));
            prop_assert!(cut.as_str().len() == text.len() || cut.as_str().len() > LONGEST - 4);
            prop_assert_eq!(cut, Cut::of(cut.as_str()));
        }
    }
}
