//! The retry budget: retries are a part of requests, whatever happens.
//!
//! As in Finagle's `RetryBudget`: each request puts a part of a retry in, each retry takes a whole one out, both count for ten
//! seconds, and a floor of so many a second is there besides. So an outage costs a provider a fifth more requests than there are, and
//! not three times as many, and a quiet sidecar can retry nonetheless.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::Spec;
use crate::types::Moment;

/// How long requests and retries count, in seconds.
const TTL: usize = 10;

/// One more than [`TTL`]: the second that runs is not over.
const SECONDS: usize = TTL + 1;

const NANOS: u64 = 1_000_000_000;

/// What was put in and taken out, by seconds. One for each provider, shared by all workers.
#[derive(Debug, Default)]
pub struct Budget {
    /// Requests: the second above, their number below. Lock-free, since every request comes by.
    requests: [AtomicU64; SECONDS],
    /// Retries, in the same way.
    retries: Mutex<[u64; SECONDS]>,
}

impl Budget {
    /// A request comes.
    pub fn deposit(&self, now: Moment) {
        let second = second(now);
        let cell = &self.requests[place(second)];
        let mut seen = cell.load(Ordering::Relaxed);
        loop {
            let new = match counted(seen, second) {
                // A thread whose clock was read before another's comes too late for its second.
                None if seen >> 32 > second => return,
                None => packed(second, 1),
                Some(u32::MAX) => return,
                Some(number) => packed(second, number + 1),
            };
            match cell.compare_exchange_weak(seen, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => seen = other,
            }
        }
    }

    /// Takes one retry out, if there is one.
    #[must_use]
    pub fn withdraw(&self, spec: &Spec, now: Moment) -> bool {
        let mut retries = self.retries.lock().unwrap_or_else(PoisonError::into_inner);
        let second = second(now);
        let in_ttl = |packed: &u64| if (packed >> 32) + TTL as u64 > second { *packed & u64::from(u32::MAX) } else { 0 };
        let requests: u64 = self.requests.iter().map(|cell| in_ttl(&cell.load(Ordering::Relaxed))).sum();
        let taken: u64 = retries.iter().map(in_ttl).sum();
        let balance = requests as f64 * spec.budget + TTL as f64 * spec.floor - taken as f64;
        // A share such as 0.2 is no exact binary fraction: five requests make one retry all the same.
        if balance < 1.0 - 1e-6 {
            return false;
        }
        let cell = &mut retries[place(second)];
        *cell = packed(second, counted(*cell, second).map_or(1, |number| number.saturating_add(1)));
        true
    }
}

/// Seconds since the process began; the first is 1, so that what is zero is empty.
fn second(now: Moment) -> u64 {
    (now.nanos / NANOS + 1).min(u64::from(u32::MAX))
}

fn place(second: u64) -> usize {
    (second % SECONDS as u64) as usize
}

fn packed(second: u64, number: u32) -> u64 {
    second << 32 | u64::from(number)
}

/// The number, if it is that second's.
fn counted(packed: u64, second: u64) -> Option<u32> {
    (packed >> 32 == second).then_some(packed as u32)
}
