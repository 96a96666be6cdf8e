//! What the store's choice of who goes is worth, without sockets: its hit rate beside those of S3-FIFO as the paper has it and of LRU.
//!
//! Half of the requests ask for what nobody asks for again. The others ask for things whose popularity follows Zipf's law, which in
//! one of the two runs drifts: every so often another thing takes a place, as often one of the first ten as one of the next ninety.

mod policies;
mod traffic;

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use sidegate::{
    policy::cache::{Dates, Key},
    runtime::cache::{Entry, Memory, Pieces, Store},
    types::Usage,
};

use self::{
    policies::{Lru, Policy, S3Fifo},
    traffic::{CATALOGUE, Thing, Traffic, bytes, word},
};
use crate::{figures::Table, flag};

/// As a config has it by default.
const MAX_ENTRIES: u64 = 100_000;

/// Points below S3-FIFO that are allowed.
const BAR: f64 = 2.0;

/// By popularity and by the cache's part of the catalogue: what another simulation of the same kind found, for LRU and S3-FIFO.
const FOUND: [(bool, u64, f64, f64); 4] = [(false, 1, 12.0, 21.1), (false, 10, 23.0, 30.6), (true, 1, 11.0, 12.1), (true, 10, 21.9, 24.2)];

pub(super) fn prove(table: &mut Table) {
    let requests = flag("requests", 1_000_000);
    let weights = Weights::default();
    let all: u64 = (0..CATALOGUE).map(|thing| weights.of(thing)).sum();
    for drifts in [false, true] {
        let trace: Vec<Thing> = Traffic::new(flag("seed", 7), if drifts { flag("drift", 20) } else { 0 }).take(requests).collect();
        for (_, percent, lru_found, s3_found) in FOUND.into_iter().filter(|found| found.0 == drifts) {
            let budget = all * percent / 100;
            let lru = rate(&trace, &weights, &mut Lru::new(budget));
            let s3 = rate(&trace, &weights, &mut S3Fifo::new(budget));
            let ours = rate(&trace, &weights, &mut Ours(Memory::new(budget, MAX_ENTRIES)));
            let popularity = if drifts { "drifting" } else { "steady" };
            let what = |what: &str| format!("Zipf 0.9, {popularity}, 50 % asked for once, cache of {percent} %: {what}");
            table.tell(what("LRU"), format!("{lru:.1} % (there {lru_found} %)"));
            table.tell(what("S3-FIFO"), format!("{s3:.1} % (there {s3_found} %)"));
            table.hold(what("the store"), format!("{ours:.1} %"), "≥ S3-FIFO − 2", ours >= s3 - BAR);
        }
    }
}

/// Hits in percent.
fn rate(trace: &[Thing], weights: &Weights, policy: &mut impl Policy) -> f64 {
    let hits = trace.iter().filter(|thing| policy.ask(**thing, weights.of(**thing))).count();
    100.0 * hits as f64 / trace.len() as f64
}

/// What things weigh, by the store's own word, so that one budget means the same to all.
struct Weights(HashMap<usize, u64>);

impl Default for Weights {
    fn default() -> Self {
        Self((traffic::SHORTEST..traffic::LONGEST).map(|bytes| (bytes, entry(bytes).weight())).collect())
    }
}

impl Weights {
    fn of(&self, thing: Thing) -> u64 {
        self.0[&bytes(thing)]
    }
}

/// The store that Sidegate has.
struct Ours(Memory);

impl Policy for Ours {
    fn ask(&mut self, thing: Thing, _: u64) -> bool {
        let key = key(thing);
        let hit = self.0.get(&key).is_some();
        if !hit {
            self.0.put(key, Arc::new(entry(bytes(thing))));
        }
        hit
    }
}

fn key(thing: Thing) -> Key {
    let mut key = [0; 32];
    for (n, part) in key.chunks_exact_mut(8).enumerate() {
        part.copy_from_slice(&word((u64::from(thing) << 2) | n as u64).to_le_bytes());
    }
    Key::from_bytes(key)
}

fn entry(bytes: usize) -> Entry {
    Entry {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: Pieces::of(&[Bytes::from(vec![b'x'; bytes])]),
        pauses: Box::default(),
        dates: Dates { stored: 0, until: u64::MAX, jitter: 0, negative: false },
        usage: Usage::default(),
        cost: None,
        client: None,
        model: None,
    }
}
