//! What each cause means for a second send: the table of the module as data.

use crate::{
    config::targets::Condition,
    types::{Cause, Repeat},
};

/// Why a target was left without a reply to pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Its breaker is open: nothing was sent.
    Open,
    /// It has no key that may be used, now or soon: nothing was sent.
    NoKey,
    /// Each of its keys has to wait longer than there is time, or its line is full or too slow: nothing was sent.
    NoRoom,
    /// An attempt came to this.
    Ended(Cause),
}

/// The conditions under which a target takes over from the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When(u8);

impl When {
    /// It never takes over.
    pub const NEVER: Self = Self(0);

    /// Whether it takes over on this occasion.
    #[must_use]
    pub fn covers(self, occasion: Occasion) -> bool {
        self.0 & conditions(occasion).0 != 0
    }
}

impl Default for When {
    /// All but a prompt that is too long: a longer context is another model, and another price.
    fn default() -> Self {
        Condition::ALL.into_iter().filter(|condition| *condition != Condition::ContextLength).collect()
    }
}

impl FromIterator<Condition> for When {
    fn from_iter<I: IntoIterator<Item = Condition>>(conditions: I) -> Self {
        Self(conditions.into_iter().fold(0, |set, condition| set | bit(condition)))
    }
}

const fn bit(condition: Condition) -> u8 {
    match condition {
        Condition::Open => 1,
        Condition::Exhausted => 1 << 1,
        Condition::ServerError => 1 << 2,
        Condition::Timeout => 1 << 3,
        Condition::RateLimited => 1 << 4,
        Condition::ContextLength => 1 << 5,
    }
}

/// The conditions that an occasion meets.
const fn conditions(occasion: Occasion) -> When {
    When(match occasion {
        Occasion::Open | Occasion::Ended(Cause::Region) => bit(Condition::Open),
        Occasion::NoKey | Occasion::Ended(Cause::InvalidKey | Cause::Exhausted | Cause::Forbidden) => bit(Condition::Exhausted),
        Occasion::NoRoom | Occasion::Ended(Cause::RateLimited(_)) => bit(Condition::RateLimited),
        Occasion::Ended(Cause::Unreachable | Cause::Unprocessed) => bit(Condition::Open) | bit(Condition::ServerError),
        Occasion::Ended(Cause::Overloaded | Cause::ServerError | Cause::Malformed | Cause::BrokenOff) => bit(Condition::ServerError),
        Occasion::Ended(Cause::GatewayTimeout | Cause::NoReply) => bit(Condition::Timeout),
        Occasion::Ended(Cause::ContextLength) => bit(Condition::ContextLength),
        Occasion::Ended(Cause::Served | Cause::Refused | Cause::UnknownModel | Cause::Left) => 0,
    })
}

/// What may be tried on the same target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// Nothing.
    No,
    /// Another key, if there is one: this one is no good for the request.
    OtherKey,
    /// The same, at once with another key, or after a wait.
    RoomElsewhere,
    /// The same, after a back-off.
    BackOff,
}

/// What is known of the work that the provider did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// It did none.
    Not,
    /// It answered with an error: what it did is not charged.
    Failed,
    /// It may have done all of it.
    Maybe,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) counts: bool,
    pub(super) again: Again,
    pub(super) work: Work,
}

/// The row of a cause.
pub(super) const fn of(cause: Cause) -> Rule {
    let (counts, again, work) = match cause {
        Cause::Served | Cause::Left => (false, Again::No, Work::Maybe),
        Cause::Refused | Cause::ContextLength => (false, Again::No, Work::Failed),
        Cause::UnknownModel => (false, Again::OtherKey, Work::Failed),
        Cause::Forbidden | Cause::InvalidKey | Cause::Exhausted => (false, Again::OtherKey, Work::Not),
        Cause::RateLimited(_) => (true, Again::RoomElsewhere, Work::Not),
        Cause::Region => (true, Again::No, Work::Failed),
        Cause::Unreachable | Cause::Unprocessed => (true, Again::BackOff, Work::Not),
        Cause::Overloaded | Cause::ServerError => (true, Again::BackOff, Work::Failed),
        // A reply that broke off was worked on for certain.
        Cause::GatewayTimeout | Cause::NoReply | Cause::Malformed | Cause::BrokenOff => (true, Again::BackOff, Work::Maybe),
    };
    Rule { counts, again, work }
}

impl Work {
    /// Whether a request of this kind may be sent once more. `ambiguous`: whether the config lets it be where it may have been
    /// worked on.
    pub(super) const fn may_repeat(self, repeat: Repeat, ambiguous: bool) -> bool {
        match (self, repeat) {
            (Self::Not, _) => true,
            (_, Repeat::Never) => false,
            (Self::Failed, _) => true,
            (Self::Maybe, _) => ambiguous,
        }
    }
}
