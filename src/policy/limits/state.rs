//! The counters of one limit. They belong to the limit, not to a generation of the config.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    Spec, Standing, Subject,
    bucket::Bucket,
    calendar::Page,
    permits::Permits,
    seat::{Seat, each},
    sliding::Log,
    spec::Counting,
    table::{Cell, Slot, Table},
};
use crate::types::Moment;

/// The counters of one limit, by subject.
#[derive(Debug)]
pub struct State {
    id: u64,
    tables: Tables,
}

#[derive(Debug)]
enum Tables {
    Sliding(Table<Log>),
    Bucket(Table<Bucket>),
    Calendar(Table<Page>),
    Permits(Table<Permits>),
}

/// One of those who use a limit most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// The subject's key.
    pub key: u64,
    /// What is left for it.
    pub standing: Standing,
}

impl State {
    /// Counters that count so.
    #[must_use]
    pub fn new(counting: Counting) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let tables = match counting {
            Counting::Sliding(_) => Tables::Sliding(Table::new()),
            Counting::Bucket(_) => Tables::Bucket(Table::new()),
            Counting::Day | Counting::Month => Tables::Calendar(Table::new()),
            Counting::Permits => Tables::Permits(Table::new()),
        };
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), tables }
    }

    /// The order in which states are locked.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn seat(&self, spec: &Spec, subject: Subject, now: Moment) -> Seat<'_> {
        match &self.tables {
            Tables::Sliding(table) => Seat::Sliding(table.place(spec, subject, now)),
            Tables::Bucket(table) => Seat::Bucket(table.place(spec, subject, now)),
            Tables::Calendar(table) => Seat::Calendar(table.place(spec, subject, now)),
            Tables::Permits(table) => Seat::Permits(table.place(spec, subject, now)),
        }
    }

    pub(super) fn find(&self, slot: Slot) -> Option<Seat<'_>> {
        match &self.tables {
            Tables::Sliding(table) => table.find(slot).map(Seat::Sliding),
            Tables::Bucket(table) => table.find(slot).map(Seat::Bucket),
            Tables::Calendar(table) => table.find(slot).map(Seat::Calendar),
            Tables::Permits(table) => table.find(slot).map(Seat::Permits),
        }
    }

    /// Forgets the subjects of whom nothing counts any more; with a `turn`, only a part of them.
    pub fn sweep(&self, spec: &Spec, now: Moment, turn: Option<usize>) {
        each!(Tables, &self.tables, table => table.sweep(spec, now, turn))
    }

    /// Subjects with a counter of their own.
    #[must_use]
    pub fn subjects(&self) -> usize {
        each!(Tables, &self.tables, table => table.len())
    }

    /// Checks that found no room for a counter of their own, and looked at one that several share.
    #[must_use]
    pub fn shared(&self) -> u64 {
        each!(Tables, &self.tables, table => table.crowded())
    }

    /// Bytes that the counters take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        each!(Tables, &self.tables, table => table.bytes())
    }

    /// Those who use it most, at most so many, the first of them first.
    #[must_use]
    pub fn consumers(&self, spec: &Spec, now: Moment, most: usize) -> Vec<Consumer> {
        each!(Tables, &self.tables, table => consumers(table, spec, now, most))
    }
}

fn consumers<C: Cell>(table: &Table<C>, spec: &Spec, now: Moment, most: usize) -> Vec<Consumer> {
    let mut found: Vec<Consumer> = Vec::with_capacity(2 * most + 1);
    let order = |consumer: &Consumer| (consumer.standing.remaining, consumer.key);
    table.each(|key, cell| {
        let standing = cell.standing(spec, now);
        if standing.remaining < standing.limit {
            found.push(Consumer { key, standing });
        }
        if found.len() > 2 * most {
            found.sort_unstable_by_key(order);
            found.truncate(most);
        }
    });
    found.sort_unstable_by_key(order);
    found.truncate(most);
    found
}
