//! Replies that answer more than one request: one store and one set of flights for the process, whatever generation of the config is
//! in force.

pub mod entry;
pub mod flight;
pub mod flights;
pub mod memory;
pub mod pieces;
pub mod spellings;
pub mod store;

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

pub use entry::{Entry, Pause};
pub use flights::{Boarded, Flights};
pub use memory::Memory;
pub use pieces::Pieces;
pub use spellings::Spellings;
pub use store::{Purge, Store, Stored};

use crate::{
    policy::cache::{Bypass, Unfit, key::Secret},
    telemetry::CacheRecord,
    types::{Money, Size, Usage},
};

/// Replies that answer more than one request.
#[derive(Debug)]
pub struct Cache {
    /// What keys are made with.
    pub secret: Secret,
    /// Which keys questions have that were asked of late.
    pub spellings: Spellings,
    /// Replies that are over.
    pub store: Box<dyn Store>,
    /// Replies that are under way.
    pub flights: Flights,
    /// What the cache did for requests.
    pub record: Arc<CacheRecord>,
    /// How often something was purged.
    purges: AtomicU64,
}

impl Cache {
    /// An empty one, which holds at most so many bytes and entries.
    #[must_use]
    pub fn new((max_bytes, max_entries): (Size, NonZeroU32)) -> Self {
        let record = Arc::new(CacheRecord::new(Bypass::ALL.map(Bypass::name), Unfit::ALL.map(Unfit::name)));
        Self {
            secret: Secret::random(),
            spellings: Spellings::new(),
            store: Box::new(Memory::new(max_bytes.0, max_entries.get().into())),
            flights: Flights::new(Arc::clone(&record)),
            record,
            purges: AtomicU64::new(0),
        }
    }

    /// Forgets what an operator wants to be forgotten, and says how many there were. What is under way is not stored any more.
    pub fn purge(&self, purge: &Purge) -> u64 {
        self.purges.fetch_add(1, Ordering::SeqCst);
        self.store.purge(purge)
    }

    /// A number that changes with every purge.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.purges.load(Ordering::SeqCst)
    }
}

/// What a call took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paid {
    /// Its tokens, as far as the provider told them.
    pub usage: Usage,
    /// What they cost, if that is known.
    pub cost: Option<Money>,
}
