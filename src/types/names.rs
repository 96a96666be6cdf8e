//! Names that come from the config and are therefore few, checked and safe as metric labels.

use std::{fmt, str::FromStr, sync::Arc};

use super::as_text;

/// A letter or digit, then up to 62 letters, digits, `-`, `_` or `.`: safe in a header, a label and a path.
fn check(text: &str) -> Result<Arc<str>, String> {
    let fine = text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if fine { Ok(text.into()) } else { Err(format!("`{text}` is not a name; use letters, digits, `-`, `_` and `.`, at most 63")) }
}

/// A name type: cheap to clone, ordered, and always checked.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                check(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        as_text!($name, stringify!($name), { "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$" });
    };
}

name! {
    /// The name of a provider, as the config's `providers:` gives it.
    ProviderName
}

name! {
    /// A tier: the label by which limits tell kinds of clients apart.
    Tier
}

name! {
    /// A region: the label by which limits tell places apart that requests come from.
    Region
}

name! {
    /// The name of a limit, as the config's `limits:` gives it.
    LimitName
}

name! {
    /// The name of a client, as the config's `clients:` gives it.
    ClientName
}

name! {
    /// The name of a master key, as the config's `sealing:` and each sealed text give it.
    MasterKeyId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_everywhere_they_go() {
        for text in ["openai", "Azure-2", "a", "v1.5_eu"] {
            assert!(text.parse::<ProviderName>().is_ok(), "{text}");
        }
        for text in ["", "-a", "a b", "a/b", "é", "a\n", &"x".repeat(64)] {
            assert!(text.parse::<ProviderName>().is_err(), "{text}");
        }
    }
}
