//! What a reply says of its own end.

/// What a reply says of its own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// It is over and says so, and every part of it ended well.
    Good,
    /// It has said nothing of its end yet.
    Open,
    /// There is an error inside.
    Error,
    /// A filter or a refusal cut it, or it ended for a reason that is none of the good ones.
    Filtered,
}
