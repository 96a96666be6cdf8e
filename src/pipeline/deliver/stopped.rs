//! Why a target was not even asked.

use std::time::Duration;

use super::super::reject::{Reject, Unserved};
use crate::policy::retry::Occasion;

/// Why nothing was sent to a target.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stopped {
    /// Its breaker is open for so long.
    Open(Duration),
    /// It has no key in use.
    NoKey,
    /// No key of it can afford the request, for so long.
    Resting(Duration),
    /// Its line is full.
    Full(Duration),
    /// It has waited in line for too long.
    TooLong(Duration),
    /// It has another name for the model, which can't be put into the request.
    Unrenamable,
}

impl Stopped {
    /// The word for it in decisions.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::NoKey => "no_key",
            Self::Resting(_) => "resting",
            Self::Full(_) => "queue_full",
            Self::TooLong(_) => "queue_timeout",
            Self::Unrenamable => "not_renamable",
        }
    }

    /// For which targets it is an occasion to take over.
    pub(super) fn occasion(self) -> Occasion {
        match self {
            Self::Open(_) => Occasion::Open,
            Self::NoKey | Self::Unrenamable => Occasion::NoKey,
            Self::Resting(_) | Self::Full(_) | Self::TooLong(_) => Occasion::NoRoom,
        }
    }

    /// The answer, where nobody takes over.
    pub(super) fn reject(self) -> Reject {
        Reject::Unserved(match self {
            Self::NoKey => return Reject::NoKey,
            Self::Open(wait) => Unserved::Open(wait),
            Self::Resting(wait) => Unserved::Resting(wait),
            Self::Full(wait) => Unserved::Full(wait),
            Self::TooLong(wait) => Unserved::TooLong(wait),
            Self::Unrenamable => Unserved::Unrenamable,
        })
    }
}
