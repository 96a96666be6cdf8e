//! What was decided for a request, step by step: why this key, what was tried, and what it cost. The last requests' decisions
//! are kept in memory for whoever asks the admin listener about one of them.
//!
//! A decision is numbers and shared names. It is put into words when somebody reads it, so that the many that nobody reads
//! cost a copy each and no more.

mod cut;
mod ring;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

pub use cut::Cut;
pub use ring::Ring;

use crate::types::{Cause, Fingerprint, Money, ProviderName};

/// The most steps of one request that are kept; those beyond are counted. A pool of seventeen keys of which all but one are bad
/// takes as many, with two retries.
pub const MOST_TRIED: usize = 32;

/// How one request was decided.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The id by which client and operator speak of it: the client's, the provider's, or ours.
    pub request_id: Cut,
    /// When its head came.
    pub at: SystemTime,
    /// The route's path prefix, if one fits.
    pub route: Option<Arc<str>>,
    /// The model that was asked for.
    pub model: Option<Cut>,
    /// What the cache had to do with it, in a word of [`crate::types::Cached`]; none where the route has no cache.
    pub cache: Option<&'static str>,
    /// The status that went down; 499 if the client left before one did.
    pub status: u16,
    /// How it ended: `complete`, `left`, `truncated` or `rejected`.
    pub end: &'static str,
    /// The code of our own answer, or why the reply was truncated.
    pub error: Option<&'static str>,
    /// From its head to its end.
    pub took: Duration,
    /// What the reply's tokens cost, where they are priced.
    pub cost: Option<Money>,
    /// Whether that is an estimate.
    pub cost_estimated: bool,
    /// What was tried, in order.
    pub tried: Tries,
}

/// One step: a send, or a target that was passed over.
#[derive(Clone, Debug)]
pub struct Tried {
    /// The provider.
    pub provider: ProviderName,
    /// The pool's key; none where the client's own credentials go up, or where no key was to be had.
    pub key: Option<Fingerprint>,
    /// The key's name.
    pub key_name: Option<Arc<str>>,
    /// The model that the provider was asked for, where the target renames it.
    pub model: Option<Arc<str>>,
    /// Why this key, in a word of the pool's.
    pub why: Option<&'static str>,
    /// From the request's head to this step.
    pub since_start: Duration,
    /// How long the step took: until the reply's end for the last, until its verdict for the others.
    pub took: Duration,
    /// How much of that went by before a key could afford the request.
    pub waited_for_key: Duration,
    /// How much of that went by in the provider's line.
    pub waited_in_line: Duration,
    /// What kept it from being sent, such as `open` or `queue_full`; none where it was sent.
    pub stopped: Option<&'static str>,
    /// What its end says, and so whom it blames; none where nothing was sent.
    pub cause: Option<Cause>,
    /// The status of its reply, if one came.
    pub status: Option<u16>,
    /// Whether it was sent, and answered.
    pub sent: Sent,
    /// What was done next: `pass`, `swap`, `retry` or `fallback`.
    pub then: &'static str,
}

/// Whether the provider has had a request, as far as can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It has not, or says that it did nothing with it.
    No,
    /// It has, and has answered.
    Answered,
    /// It may have, and has not answered.
    Unanswered,
}

impl Sent {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Answered => "answered",
            Self::Unanswered => "unanswered",
        }
    }
}

/// What was tried for one request, in order. Most requests end with their first step, so there is room for that alone at first.
#[derive(Clone, Debug, Default)]
pub struct Tries {
    kept: Vec<Tried>,
    untold: u32,
}

impl Tries {
    /// One more; beyond [`MOST_TRIED`] it is only counted.
    pub fn push(&mut self, tried: Tried) {
        match self.kept.len() {
            0 => self.kept.reserve_exact(1),
            MOST_TRIED.. => {
                self.untold = self.untold.saturating_add(1);
                return;
            }
            _ => {}
        }
        self.kept.push(tried);
    }

    /// The last that was pushed, to say how it ended. None as well if the last is only counted.
    pub fn last_mut(&mut self) -> Option<&mut Tried> {
        if self.untold > 0 { None } else { self.kept.last_mut() }
    }

    /// Those that are kept, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Tried> {
        self.kept.iter()
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u32 {
        // A few dozen at most.
        self.kept.len() as u32 + self.untold
    }

    /// What the end of the last of them says that was sent.
    #[must_use]
    pub fn verdict(&self) -> Option<Cause> {
        self.kept.iter().rev().find_map(|tried| tried.cause)
    }

    /// How many are only counted.
    #[must_use]
    pub fn untold(&self) -> u32 {
        self.untold
    }
}

#[cfg(test)]
mod tests;
