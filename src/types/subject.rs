//! Whom a signed token speaks of.

use std::{fmt, str::FromStr, sync::Arc};

/// A client that has its name from a token's issuer, not from the config: 1 to 255 bytes, as OpenID Connect Core 1.0 §2 bounds
/// `sub`, without control characters. It is no metric's label. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(Arc<str>);

impl Subject {
    /// The most bytes of one.
    pub const LONGEST: usize = 255;

    /// The subject as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fine = (1..=Self::LONGEST).contains(&text.len()) && !text.contains(char::is_control);
        if fine { Ok(Self(text.into())) } else { Err("a subject has 1 to 255 bytes and no control character".to_owned()) }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_issuers_write_is_taken_and_what_breaks_a_line_is_not() {
        for text in ["u", "auth0|5f7c8ec7c33c6c004bbafe82", "anna@example.com", "https://example.com/users/7", "é", &"x".repeat(255)] {
            assert_eq!(text.parse::<Subject>().unwrap().as_str(), text);
        }
        for text in ["", "a\nb", "a\0", "\u{85}", &"x".repeat(256)] {
            assert!(text.parse::<Subject>().is_err(), "{text:?}");
        }
    }
}
