//! What the cache had to do with a request.

/// What the cache had to do with a request, in the words of RFC 9211.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cached {
    /// It was answered from what is stored.
    Hit,
    /// It was answered from what is stored and too old, since nobody else could answer.
    Stale,
    /// It was answered by the call that an equal request had made before it.
    Collapsed,
    /// Nothing was stored that could answer it.
    Miss,
    /// The cache was not asked, and its answer is not stored.
    Bypass,
}

impl Cached {
    /// All of them, in the order of their metrics.
    pub const ALL: [Self; 5] = [Self::Hit, Self::Stale, Self::Collapsed, Self::Miss, Self::Bypass];

    /// The word for it in headers, logs, metrics and docs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Collapsed => "collapsed",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}
