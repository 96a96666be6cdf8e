//! Which requests may be sent a second time.

/// What a second send of the same request may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Repeat {
    /// Nothing: it only reads (RFC 9110 §9.2.1).
    Safe,
    /// It may be charged for twice, and does nothing else. So only if it is known that nobody worked on it, or if an error was
    /// its answer.
    Billed,
    /// It may store, start or remove something, or nobody knows. After it was sent, only where a refusal says that nothing was
    /// done: 401, 402, 403, 429.
    Never,
}

impl Repeat {
    /// All of them, for tests that must not forget one.
    pub const ALL: [Self; 3] = [Self::Safe, Self::Billed, Self::Never];
}
