//! What has been found of a reply's end, in whichever format.

use crate::types::Ending;

/// More choices than any provider makes at once (OpenAI's `n` is at most 128).
const MOST_CHOICES: u64 = 128;

/// What was found until now. Each choice is a bit of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    begun: u128,
    ended: u128,
    /// Whether what comes last has come.
    pub(super) over: bool,
    /// Whether something has closed the stream behind it.
    pub(super) closed: bool,
    /// Whether there is an error.
    pub(super) error: bool,
    /// Whether something was refused, filtered, or ended for an unusual reason.
    pub(super) filtered: bool,
    /// Whether something can't be understood, or contradicts itself.
    pub(super) unclear: bool,
}

impl Found {
    /// Whether it can't become good any more.
    pub(super) fn is_lost(&self) -> bool {
        self.error || self.filtered || self.unclear
    }

    /// A choice is there, and for what reason it has ended, if it has.
    pub(super) fn choice(&mut self, index: Option<u64>, reason: Option<&str>, usual: &[&str]) {
        let index = index.unwrap_or_default();
        if index >= MOST_CHOICES {
            self.unclear = true;
            return;
        }
        self.begun |= 1 << index;
        match reason {
            // Some write an empty reason where others write none.
            None | Some("") => {}
            Some(reason) if usual.contains(&reason) => self.ended |= 1 << index,
            Some("error") => self.error = true,
            Some(_) => self.filtered = true,
        }
    }

    /// The first choice is there, and has not said that it has ended.
    pub(super) fn begin(&mut self) {
        self.begun |= 1;
    }

    /// All there is has ended well.
    pub(super) fn end(&mut self) {
        self.begun |= 1;
        self.ended |= 1;
    }

    /// Whether something has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.begun != 0
    }

    /// What was begun anew has not ended, whatever was said of it before.
    pub(super) fn reopen(&mut self, later: &Self) {
        self.ended &= !later.begun;
    }

    /// Takes what a part of the reply says.
    pub(super) fn join(&mut self, part: &Self) {
        self.begun |= part.begun;
        self.ended |= part.ended;
        self.over |= part.over;
        self.error |= part.error;
        self.filtered |= part.filtered;
        self.unclear |= part.unclear;
    }

    /// What it amounts to, if the reply is `over` or not.
    pub(super) fn ending(&self, over: bool) -> Ending {
        let complete = over && self.ended != 0 && self.begun & !self.ended == 0;
        match self {
            Self { error: true, .. } => Ending::Error,
            Self { filtered: true, .. } => Ending::Filtered,
            Self { unclear: true, .. } => Ending::Open,
            _ if complete => Ending::Good,
            _ => Ending::Open,
        }
    }
}
