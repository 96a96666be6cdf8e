//! Why a request has nothing to do with the cache.

/// Why the cache is not asked about a request, and its answer is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bypass {
    /// The body is no JSON object in UTF-8, or something follows it (RFC 8259).
    Unreadable,
    /// An object names a member twice: readers differ in which of them counts.
    Repeated,
    /// A string holds half of a surrogate pair: readers differ in what they make of it (RFC 8259 §8.2).
    Surrogate,
    /// It is nested deeper than any question.
    Deep,
    /// It is larger than any question.
    Large,
    /// The provider is to keep the answer, and the client may name it later.
    Kept,
    /// It names something that the provider keeps: an earlier response, a conversation, a file.
    Refers,
    /// It is to run in the background.
    Background,
    /// The provider is to run tools of its own, such as a search: their answers change.
    Tools,
    /// The answer is to be sound or an image.
    Output,
    /// The provider is to fetch what an address shows, which may change.
    Remote,
    /// The answer is drawn, and only those that are not are kept.
    Drawn,
    /// The request says `no-store`.
    NoStore,
    /// Its body is not held whole and plain, or it asks for a part of the reply.
    Body,
    /// As many follow the call that asks the same as may.
    Full,
    /// Two calls that asked the same were refused, or could not be made.
    Refused,
}

impl Bypass {
    /// All of them, in the order of their metrics.
    pub const ALL: [Self; 16] = [
        Self::Unreadable,
        Self::Repeated,
        Self::Surrogate,
        Self::Deep,
        Self::Large,
        Self::Kept,
        Self::Refers,
        Self::Background,
        Self::Tools,
        Self::Output,
        Self::Remote,
        Self::Drawn,
        Self::NoStore,
        Self::Body,
        Self::Full,
        Self::Refused,
    ];

    /// The word for it in metrics and in the detail of `cache-status`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Repeated => "repeated",
            Self::Surrogate => "surrogate",
            Self::Deep => "deep",
            Self::Large => "large",
            Self::Kept => "kept",
            Self::Refers => "refers",
            Self::Background => "background",
            Self::Tools => "tools",
            Self::Output => "output",
            Self::Remote => "remote",
            Self::Drawn => "drawn",
            Self::NoStore => "no_store",
            Self::Body => "body",
            Self::Full => "full",
            Self::Refused => "refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bypass_has_a_word_of_its_own() {
        for (at, bypass) in Bypass::ALL.into_iter().enumerate() {
            assert!(Bypass::ALL[..at].iter().all(|before| before.name() != bypass.name()), "{bypass:?}");
            // A token of RFC 9110 §5.6.2, so that it needs no quotation marks in a field.
            assert!(bypass.name().bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'_'), "{bypass:?}");
        }
    }
}
