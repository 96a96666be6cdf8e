//! Which replies are worth keeping: those that are whole, good, and would be given again.

use super::Spec;
use crate::{config::Scope, types::Ending};

#[cfg(test)]
mod tests;

/// What is known of a reply at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// What it says of its own end. Of a refusal, [`Ending::Good`] says that it is about the request alone and would be given
    /// to it again.
    pub ending: Ending,
    /// Whether all of it came, as its framing says.
    pub whole: bool,
    /// How long its body is.
    pub bytes: u64,
    /// Whether another target gave it than the first, by which the question has its key.
    pub stands_in: bool,
}

/// As what a reply is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As an answer.
    Answer,
    /// As a refusal, for a short time.
    Refusal,
}

/// Why a reply is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unfit {
    /// Its status is none that is kept here.
    Status,
    /// It broke off, or never said that it was over.
    Unfinished,
    /// It tells of an error.
    Error,
    /// It was cut or refused by a filter, or ended for a reason that is none of the good ones.
    Filtered,
    /// It is longer than an entry may be.
    Large,
    /// It came from a target that stood in for another.
    StandsIn,
    /// Nobody here can tell how it ended.
    Unknown,
}

impl Unfit {
    /// All of them, in the order of their metrics.
    pub const ALL: [Self; 7] = [Self::Status, Self::Unfinished, Self::Error, Self::Filtered, Self::Large, Self::StandsIn, Self::Unknown];

    /// The word for it in metrics and docs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Unfinished => "unfinished",
            Self::Error => "error",
            Self::Filtered => "filtered",
            Self::Large => "large",
            Self::StandsIn => "stands_in",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether refusals are kept at all.
#[must_use]
pub fn keeps_refusals(spec: &Spec) -> bool {
    spec.scope == Scope::Client && !spec.negative_ttl.is_zero()
}

/// As what a reply is kept, if it is.
///
/// # Errors
///
/// [`Unfit`] says why it is not.
pub fn worth(spec: &Spec, reply: &Reply) -> Result<Kind, Unfit> {
    let kind = match reply.status {
        200 => Kind::Answer,
        // What a request lacks is told to its own client alone, and never what a key, a limit or an outage had to do with.
        400 | 404 if keeps_refusals(spec) => Kind::Refusal,
        _ => return Err(Unfit::Status),
    };
    if !reply.whole {
        return Err(Unfit::Unfinished);
    }
    match reply.ending {
        Ending::Good => {}
        Ending::Open => return Err(Unfit::Unfinished),
        Ending::Error => return Err(Unfit::Error),
        Ending::Filtered => return Err(Unfit::Filtered),
    }
    if reply.bytes > spec.max_entry {
        return Err(Unfit::Large);
    }
    if reply.stands_in {
        return Err(Unfit::StandsIn);
    }
    Ok(kind)
}
