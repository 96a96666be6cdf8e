//! How a reply has ended, as it says itself.

/// How a reply has ended, as it says itself. Whether all of its bytes have come is another question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// It is over and says so: the terminal event was seen or the JSON is whole, and all that was begun has ended well.
    Good,
    /// It has not said that it is over, or nobody can tell.
    Open,
    /// There is an error inside.
    Error,
    /// A filter or a refusal cut it, or it ended for a reason that is none of the usual ones.
    Filtered,
}

impl Ending {
    /// All of them, for tests that must not forget one.
    pub const ALL: [Self; 4] = [Self::Good, Self::Open, Self::Error, Self::Filtered];
}
