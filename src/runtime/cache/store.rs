//! What a store of replies can do: the seam behind which another level may stand.

use std::{fmt, sync::Arc};

use super::Entry;
use crate::{policy::cache::Key, types::Moment};

/// Replies by their keys. Whether one still answers is not the store's to say: it keeps what there is room for.
pub trait Store: Send + Sync + fmt::Debug {
    /// The reply to this question.
    fn get(&self, key: &Key) -> Option<Arc<Entry>>;

    /// Keeps a reply, in the place of an older one. False if it is heavier than what the store can keep; then an older one is gone
    /// nonetheless.
    fn put(&self, key: Key, entry: Arc<Entry>) -> bool;

    /// Forgets the reply to this question, if it is this one: a newer one that another has put there meanwhile stays.
    fn remove(&self, key: &Key, entry: &Arc<Entry>);

    /// Forgets what an operator wants to be forgotten, and says how many there were.
    fn purge(&self, purge: &Purge) -> u64;

    /// Forgets what is over by its own date, and says how many there were. It looks at all entries: not for the data path.
    fn sweep(&self, now: Moment) -> u64;

    /// What it holds.
    fn held(&self) -> Stored;

    /// From now on it holds at most so much. What does not fit any more goes, as if there had never been more room.
    fn resize(&self, max_bytes: u64, max_entries: u64);
}

/// What an operator wants to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purge {
    /// Everything.
    All,
    /// What this client has asked.
    Client(Box<str>),
    /// What this model was asked for.
    Model(Box<str>),
}

impl Purge {
    /// Whether it is about this reply.
    #[must_use]
    pub fn is_about(&self, entry: &Entry) -> bool {
        match self {
            Self::All => true,
            Self::Client(name) => entry.client.as_ref() == Some(name),
            Self::Model(name) => entry.model.as_ref() == Some(name),
        }
    }
}

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// How many replies.
    pub entries: u64,
    /// The memory that they occupy, bookkeeping included.
    pub bytes: u64,
    /// How many had to go for want of room, since the process began.
    pub evictions: u64,
}
