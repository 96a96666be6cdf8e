//! What a request cost, as its provider told it.

/// Tokens, as far as a reply says how many. Nothing here is estimated: what was not told is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt, those from a cache included.
    pub input: Option<u64>,
    /// Tokens of the reply, those of its reasoning included.
    pub output: Option<u64>,
    /// The part of `input` that the provider took from its own cache.
    pub cached: Option<u64>,
    /// The part of `input` that the provider put into its own cache.
    pub stored: Option<u64>,
    /// The part of `stored` that is kept there for longer than usual.
    pub stored_long: Option<u64>,
    /// The part of `output` that was reasoning.
    pub reasoning: Option<u64>,
}

impl Usage {
    /// Whether nothing was told.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}
