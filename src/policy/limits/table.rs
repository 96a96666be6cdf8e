//! Counters of one limit, by subject: sharded, and bounded whatever comes.
//!
//! A subject that is not known gets a counter of its own as long as there is room. Where there is none, since all that are
//! there still count something, the new ones of a neighbourhood share one: so a flood of addresses neither takes memory nor
//! frees anybody, and those that were there before it notice nothing.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hashbrown::HashTable;

use super::{Spec, Standing, Subject};
use crate::types::{Moment, moment::nanos};

/// Shards, of which each has a lock.
const SHARDS: usize = 72;

/// The most subjects of a shard: a table of 2¹⁴ places, seven eighths full. Those of all shards are 1,032,192.
pub(super) const MOST: usize = (1 << 14) / 8 * 7;

/// The most bytes of all shards of one limit: 96 MiB, less what the last that grew may have gone beyond its shard's part.
const MOST_BYTES: usize = (96 << 20) - (64 << 10);

/// Counters that neighbourhoods share.
const SHARED: usize = 256;

/// How often a full shard is searched for what has passed.
const SWEEP: Duration = Duration::from_millis(250);

/// What one subject has used.
pub(super) trait Cell: Default + fmt::Debug {
    /// Whether `amount` fits; if not, when it will, if ever.
    fn weigh(&self, spec: &Spec, amount: u64, now: Moment) -> Result<(), Option<Duration>>;
    /// Takes it, whether it fits or not.
    fn charge(&mut self, spec: &Spec, amount: u64, now: Moment);
    /// Takes what was used already: a debt, within bounds. Returns how much of it was taken: no more may be given back.
    fn force(&mut self, spec: &Spec, amount: u64, now: Moment) -> u64 {
        self.charge(spec, amount, now);
        amount
    }
    /// Gives back a part of what was charged at `taken`: never more than is still there of it.
    fn refund(&mut self, spec: &Spec, amount: u64, taken: Moment, now: Moment);
    /// How much was left when it was last charged.
    fn remaining(&self, spec: &Spec) -> u64;
    /// What is left.
    fn standing(&self, spec: &Spec, now: Moment) -> Standing;
    /// Whether it says no more than a new one would.
    fn is_idle(&self, spec: &Spec, now: Moment) -> bool;
    /// Whether it has to do with the bytes that it has: there is no room for more.
    fn tighten(&mut self, _is_tight: bool) {}
    /// Bytes that it has elsewhere.
    fn heap(&self) -> usize {
        0
    }
}

/// The counters of one limit.
#[derive(Debug)]
pub(super) struct Table<C> {
    shards: Box<[Shard<C>]>,
    shared: OnceLock<Box<[Mutex<C>]>>,
    /// Looks at a shared counter by who would have had one of his own.
    crowded: AtomicU64,
}

/// Each on cache lines of its own.
#[derive(Debug)]
#[repr(align(64))]
struct Shard<C>(Mutex<Cells<C>>);

/// The counters of a shard.
#[derive(Debug)]
pub(super) struct Cells<C> {
    by_key: HashTable<(u64, C)>,
    heap: usize,
    swept: u64,
}

/// A locked counter, or the place for one.
#[derive(Debug)]
pub(super) enum Place<'t, C> {
    Own { cells: MutexGuard<'t, Cells<C>>, key: u64, at: Option<usize> },
    Shared { cell: MutexGuard<'t, C>, number: usize },
}

/// Where a counter is found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Own(u64),
    Shared(usize),
}

impl Slot {
    /// The key of a counter that is a subject's own.
    pub(super) fn key(self) -> Option<u64> {
        match self {
            Self::Own(key) => Some(key),
            Self::Shared(_) => None,
        }
    }
}

/// A panic elsewhere leaves counters as they were: nothing in here stops half way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<C: Cell> Table<C> {
    pub(super) fn new() -> Self {
        let shard = |_| Shard(Mutex::new(Cells { by_key: HashTable::new(), heap: 0, swept: 0 }));
        Self { shards: (0..SHARDS).map(shard).collect(), shared: OnceLock::new(), crowded: AtomicU64::new(0) }
    }

    /// By bits of the key that find no place within a shard.
    fn shard(&self, key: u64) -> &Mutex<Cells<C>> {
        &self.shards[((((key >> 20) & u64::from(u32::MAX)) * SHARDS as u64) >> 32) as usize].0
    }

    fn shared(&self, number: usize) -> &Mutex<C> {
        &self.shared.get_or_init(|| (0..SHARED).map(|_| Mutex::default()).collect())[number % SHARED]
    }

    /// The counter of a subject, locked.
    pub(super) fn place(&self, spec: &Spec, subject: Subject, now: Moment) -> Place<'_, C> {
        let key = subject.key;
        let mut cells = lock(self.shard(key));
        let at = cells.by_key.find_bucket_index(key, |(of, _)| *of == key);
        if at.is_some() || cells.has_room(spec, now) {
            return Place::Own { cells, key, at };
        }
        drop(cells);
        self.crowded.fetch_add(1, Ordering::Relaxed);
        let number = (subject.group % SHARED as u64) as usize;
        Place::Shared { cell: lock(self.shared(number)), number }
    }

    /// The counter that was charged before, if it still counts anything.
    pub(super) fn find(&self, slot: Slot) -> Option<Place<'_, C>> {
        match slot {
            Slot::Shared(number) => Some(Place::Shared { cell: lock(self.shared(number)), number }),
            Slot::Own(key) => {
                let cells = lock(self.shard(key));
                let at = cells.by_key.find_bucket_index(key, |(of, _)| *of == key)?;
                Some(Place::Own { cells, key, at: Some(at) })
            }
        }
    }

    /// Forgets the subjects of whom nothing counts any more, and gives back memory that was only needed for them.
    /// With a `turn`, only of a sixteenth of them: which one goes round.
    pub(super) fn sweep(&self, spec: &Spec, now: Moment, turn: Option<usize>) {
        const TURNS: usize = 16;
        let (first, step) = turn.map_or((0, 1), |turn| (turn % TURNS, TURNS));
        self.shards.iter().skip(first).step_by(step).for_each(|shard| lock(&shard.0).sweep(spec, now));
    }

    /// Subjects with a counter of their own.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(&shard.0).by_key.len()).sum()
    }

    /// Checks that found no room for a counter of their own.
    pub(super) fn crowded(&self) -> u64 {
        self.crowded.load(Ordering::Relaxed)
    }

    /// Bytes that all of it takes.
    pub(super) fn bytes(&self) -> usize {
        let of = |shard: &Shard<C>| lock(&shard.0).bytes() + size_of::<Shard<C>>();
        let shared = self.shared.get().map_or(0, |shared| shared.iter().map(|cell| size_of::<Mutex<C>>() + lock(cell).heap()).sum());
        self.shards.iter().map(of).sum::<usize>() + shared
    }

    /// Looks at every counter of a subject's own.
    pub(super) fn each(&self, mut look: impl FnMut(u64, &C)) {
        for shard in &self.shards {
            lock(&shard.0).by_key.iter().for_each(|(key, cell)| look(*key, cell));
        }
    }
}

impl<C: Cell> Cells<C> {
    fn bytes(&self) -> usize {
        self.by_key.allocation_size() + self.heap
    }

    /// Whether what is remembered of subjects may take no more memory.
    fn is_tight(&self) -> bool {
        self.bytes() >= MOST_BYTES / SHARDS
    }

    /// Whether one more subject may come.
    fn has_room(&mut self, spec: &Spec, now: Moment) -> bool {
        let is_full = |cells: &Self| {
            let grows = cells.by_key.len() == cells.by_key.capacity();
            grows && cells.by_key.capacity() >= MOST || cells.is_tight()
        };
        if is_full(self) && now.nanos.saturating_sub(self.swept) >= nanos(SWEEP) {
            self.sweep(spec, now);
        }
        !is_full(self)
    }

    fn sweep(&mut self, spec: &Spec, now: Moment) {
        self.swept = now.nanos;
        let before = self.by_key.len();
        let mut heap = 0;
        self.by_key.retain(|(_, cell)| {
            let stays = !cell.is_idle(spec, now);
            heap += if stays { cell.heap() } else { 0 };
            stays
        });
        self.heap = heap;
        let (len, capacity) = (self.by_key.len(), self.by_key.capacity());
        if len < before && (len * 4 < capacity || capacity >= MOST) {
            // Made anew, since what was taken out leaves marks that would let a full table grow.
            let mut anew = HashTable::with_capacity(if capacity >= MOST && len * 4 >= MOST { MOST } else { len * 2 });
            for cell in self.by_key.drain() {
                anew.insert_unique(cell.0, cell, |(key, _)| *key);
            }
            self.by_key = anew;
        }
    }
}

impl<C: Cell> Place<'_, C> {
    /// Looks at the counter, or at a new one.
    pub(super) fn look<T>(&self, look: impl FnOnce(&C) -> T) -> T {
        match self {
            Self::Shared { cell, .. } => look(cell),
            Self::Own { cells, at, .. } => match at.and_then(|at| cells.by_key.get_bucket(at)) {
                Some((_, cell)) => look(cell),
                None => look(&C::default()),
            },
        }
    }

    /// Changes the counter, which is made if it is not there. Tells where it is found again.
    pub(super) fn change<T>(&mut self, change: impl FnOnce(&mut C) -> T) -> (Slot, T) {
        match self {
            Self::Shared { cell, number } => (Slot::Shared(*number), change(cell)),
            Self::Own { cells, key, at } => {
                let is_tight = cells.is_tight();
                let Cells { by_key, heap, .. } = &mut **cells;
                let index = match *at {
                    Some(index) => index,
                    None => by_key.insert_unique(*key, (*key, C::default()), |(key, _)| *key).bucket_index(),
                };
                *at = Some(index);
                // Under this lock nobody but us has touched the table since the index was found.
                let (_, cell) = by_key.get_bucket_mut(index).expect("the counter is where it was found"); // invariant: found or made above
                let before = cell.heap();
                cell.tighten(is_tight);
                let changed = change(cell);
                *heap = (*heap + cell.heap()).saturating_sub(before);
                (Slot::Own(*key), changed)
            }
        }
    }
}
