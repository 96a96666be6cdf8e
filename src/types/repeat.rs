//! Whether a request may go out a second time, as far as what it asks for decides that.

/// What a second send of the same request would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Repeat {
    /// Nothing: it only reads (RFC 9110 §9.2.1).
    Safe,
    /// Cost again what the first has cost, if that was worked on, and nothing else: an answer is computed, and not kept.
    Billed,
    /// More than that, or nobody knows: something is stored, begun or dear. It goes out again only where it is known that
    /// nothing was done with it.
    Never,
}

impl Repeat {
    /// All of them, for tests and docs that must not forget one.
    pub const ALL: [Self; 3] = [Self::Safe, Self::Billed, Self::Never];
}
