//! What somebody else calls a client: an issuer of tokens, or an authority that signs certificates.

use std::{fmt, sync::Arc};

/// As long as a SPIFFE ID may be (SPIFFE-ID §2.3); the `sub` of OpenID Connect has at most 255 (OpenID Connect Core §2).
const MAX: usize = 2_048;

/// A foreign name: text of 1 to 2,048 bytes that can be put into one line of a log. Cheap to clone.
///
/// It is compared byte by byte, as both kinds of names are (RFC 7519 §4.1.2, SPIFFE-ID §2).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ForeignName(Arc<str>);

impl ForeignName {
    /// `None` for what is empty, too long, begins or ends with white space, or holds what would not show or break a line: two names
    /// that look alike could be two clients.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fine = (1..=MAX).contains(&text.len()) && text.trim() == text && !text.chars().any(is_unseen);
        fine.then(|| Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, the ends of lines and paragraphs, and what turns the direction of text or has no width (UAX #9, UTS #39).
fn is_unseen(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

impl fmt::Display for ForeignName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ForeignName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_name_is_bounded_and_fits_into_a_line() {
        for text in ["auth0|5f7c8ec7", "spiffe://prod.example/ns/web", "Jürgen Groß", "a", &"x".repeat(MAX)] {
            assert_eq!(ForeignName::new(text).unwrap().as_str(), text);
        }
        for text in
            ["", " ", " web", "web\n", "we\nb", "web\0", "we\u{202e}b", "we\u{200b}b", "we\u{2028}b", "\u{feff}web", &"x".repeat(MAX + 1)]
        {
            assert_eq!(ForeignName::new(text), None, "{text:?}");
        }
    }
}
