//! The last requests' decisions, in the order in which they ended.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use super::{Cut, Decision};
use crate::config::log::MOST_DECISIONS;

/// How many places are made at once: memory grows with what there is to keep, not with what is allowed.
const CHUNK: usize = 32;

/// A place, and which turn it was filled in.
type Place = Mutex<Option<(u64, Decision)>>;

/// Keeps the last decisions. A worker takes the next place and locks that place alone, for as long as a copy takes: it meets
/// another only where one is a whole round ahead, or somebody reads.
pub struct Ring {
    capacity: AtomicUsize,
    next: AtomicU64,
    chunks: Box<[OnceLock<Box<[Place]>>]>,
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ring({} of {})", self.next.load(Relaxed), self.capacity.load(Relaxed))
    }
}

impl Ring {
    /// Keeps so many, at most [`MOST_DECISIONS`]; 0 keeps none.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let chunks = (0..MOST_DECISIONS.div_ceil(CHUNK)).map(|_| OnceLock::new()).collect();
        Self { capacity: AtomicUsize::new(capacity.min(MOST_DECISIONS)), next: AtomicU64::new(0), chunks }
    }

    /// Keeps so many from now on. What does not fit any more is forgotten.
    pub fn resize(&self, capacity: usize) {
        let capacity = capacity.min(MOST_DECISIONS);
        self.capacity.store(capacity, Relaxed);
        for place in self.places().skip(capacity) {
            drop(locked(place).take());
        }
    }

    /// Whether any are kept: else there is no need to make one.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.capacity.load(Relaxed) > 0
    }

    /// Keeps this one, in the place of the oldest.
    pub fn push(&self, decision: Decision) {
        let capacity = self.capacity.load(Relaxed);
        if capacity == 0 {
            return;
        }
        let turn = self.next.fetch_add(1, Relaxed);
        // Below the capacity, and so a place in memory.
        let at = (turn % capacity as u64) as usize;
        let chunk = self.chunks[at / CHUNK].get_or_init(|| (0..CHUNK).map(|_| Place::default()).collect());
        let before = locked(&chunk[at % CHUNK]).replace((turn, decision));
        // Out of the lock: it may be the last to hold its names.
        drop(before);
    }

    /// The last so many, the latest first.
    #[must_use]
    pub fn last(&self, most: usize) -> Vec<Decision> {
        let mut kept = self.kept(|_| true);
        kept.truncate(most);
        kept
    }

    /// Those of requests with this id, the latest first: a client may send one id with many.
    #[must_use]
    pub fn of(&self, request_id: &str) -> Vec<Decision> {
        let id = Cut::of(request_id);
        self.kept(|decision| decision.request_id == id)
    }

    fn kept(&self, is_asked: impl Fn(&Decision) -> bool) -> Vec<Decision> {
        let of_place = |place: &Place| locked(place).as_ref().filter(|(_, decision)| is_asked(decision)).cloned();
        let mut kept: Vec<_> = self.places().filter_map(of_place).collect();
        kept.sort_unstable_by_key(|(turn, _)| std::cmp::Reverse(*turn));
        kept.into_iter().map(|(_, decision)| decision).collect()
    }

    /// All places that there are; a chunk is made when its first place is filled, so they stand in order.
    fn places(&self) -> impl Iterator<Item = &Place> {
        self.chunks.iter().filter_map(OnceLock::get).flatten()
    }
}

/// A panic elsewhere leaves a place as it was: a decision is put there whole.
fn locked(place: &Place) -> MutexGuard<'_, Option<(u64, Decision)>> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}
