//! How a request ended, in the words of logs and metrics.

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The whole reply was handed to the client's connection.
    Complete,
    /// The client left before.
    Left,
    /// The reply broke off, for this reason.
    Truncated(&'static str),
    /// Sidegate answered itself, with this code.
    Rejected(&'static str),
}

impl End {
    /// The word for it in logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Left => "left",
            Self::Truncated(_) => "truncated",
            Self::Rejected(_) => "rejected",
        }
    }

    /// What went wrong, if something did.
    #[must_use]
    pub fn error(&self) -> Option<&'static str> {
        match self {
            Self::Complete | Self::Left => None,
            Self::Truncated(reason) | Self::Rejected(reason) => Some(reason),
        }
    }
}
