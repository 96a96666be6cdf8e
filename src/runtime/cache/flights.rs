//! All flights: which question is being asked now, and by whom.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;

use super::{
    Paid,
    flight::{Cursor, Failed, Flight, Head, Says},
};
use crate::{
    policy::cache::Key,
    runtime::Held,
    telemetry::CacheRecord,
    upstream::{Failure, Phase, Reason},
};

/// All flights of the process.
#[derive(Clone, Debug)]
pub struct Flights(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    by_key: Mutex<HashMap<Key, Arc<Flight>>>,
    /// Bytes of replies that are kept for who may join.
    held: Held,
    record: Arc<CacheRecord>,
}

/// What a request is to do that has no answer yet.
#[derive(Debug)]
pub enum Boarded {
    /// Make the call, and read what comes of it.
    First(Pilot, Cursor),
    /// Read what comes of another's.
    Joined(Cursor),
    /// Too many read it already.
    Full,
}

/// The bounds of a new flight.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most that is kept of its reply, in bytes.
    pub most_kept: u64,
    /// The most that is kept of all flights, in bytes.
    pub most_held: u64,
    /// Whether it goes on without readers.
    pub finishes: bool,
}

impl Flights {
    /// None, counted here.
    #[must_use]
    pub fn new(record: Arc<CacheRecord>) -> Self {
        Self(Arc::new(Inner { by_key: Mutex::default(), held: Held::default(), record }))
    }

    /// Joins the flight that asks the same, or begins one.
    #[must_use]
    pub fn board(&self, key: Key, bounds: Bounds) -> Boarded {
        let mut by_key = self.by_key();
        if let Some(flight) = by_key.get(&key) {
            match flight.join() {
                Some(cursor) => return Boarded::Joined(cursor),
                None if flight.can_be_joined() => return Boarded::Full,
                None => {}
            }
        }
        let (pilot, cursor) = self.alone(key, bounds);
        by_key.insert(key, Arc::clone(&pilot.flight));
        Boarded::First(pilot, cursor)
    }

    /// A flight that nobody can join.
    #[must_use]
    pub fn alone(&self, key: Key, Bounds { most_kept, most_held, finishes }: Bounds) -> (Pilot, Cursor) {
        let reserved = self.0.held.reserve(0, most_held).map(|reserved| (reserved, most_held));
        let (flight, cursor) = Flight::new(most_kept, finishes, reserved);
        self.0.record.flight_began();
        (Pilot { flights: self.clone(), key, flight, is_over: false }, cursor)
    }

    fn by_key(&self) -> MutexGuard<'_, HashMap<Key, Arc<Flight>>> {
        self.0.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody shall join it any more.
    fn close(&self, key: &Key, flight: &Arc<Flight>) {
        let mut by_key = self.by_key();
        if by_key.get(key).is_some_and(|other| Arc::ptr_eq(other, flight)) {
            by_key.remove(key);
        }
    }
}

/// What makes the call of a flight. Dropped before its end, the flight breaks off for all who read it.
pub struct Pilot {
    flights: Flights,
    key: Key,
    flight: Arc<Flight>,
    is_over: bool,
}

impl fmt::Debug for Pilot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pilot({:?})", self.flight)
    }
}

impl Pilot {
    /// The question.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The head of the reply is here.
    pub fn open(&self, head: Head) {
        if head.says != Says::Answer {
            self.flights.close(&self.key, &self.flight);
        }
        self.flight.open(head);
    }

    /// More of the reply. Returns whether all of it is still kept.
    pub fn push(&self, data: Bytes) -> bool {
        let is_whole = self.flight.push(data);
        if !is_whole {
            self.flights.close(&self.key, &self.flight);
        }
        is_whole
    }

    /// Ready when the readers have made room for more.
    pub fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        self.flight.poll_room(cx)
    }

    /// Ready when nobody reads it any more.
    pub fn poll_abandoned(&self, cx: &Context<'_>) -> Poll<()> {
        self.flight.poll_abandoned(cx)
    }

    /// The number of the next frame.
    #[must_use]
    pub fn next(&self) -> usize {
        self.flight.next()
    }

    /// Whether all have read the frames up to this number.
    #[must_use]
    pub fn all_have_read(&self, mark: usize) -> bool {
        self.flight.all_have_read(mark)
    }

    /// Cuts those off who have not, if others have.
    pub fn cut_behind(&self, mark: usize) {
        self.flight.cut_behind(mark);
    }

    /// All of the reply is here, with this at its end, and this is what it took.
    pub fn complete(mut self, last: Option<Bytes>, trailers: Option<HeaderMap>, paid: Paid) {
        self.is_over = true;
        self.flight.complete(last, trailers, paid);
    }

    /// The reply broke off.
    pub fn break_off(mut self, failure: Failure) {
        self.is_over = true;
        self.flights.close(&self.key, &self.flight);
        self.flight.break_off(failure);
    }

    /// There is no reply.
    pub fn fail(mut self, why: Failed) {
        self.is_over = true;
        self.flights.close(&self.key, &self.flight);
        self.flight.fail(why);
    }
}

impl Drop for Pilot {
    fn drop(&mut self) {
        self.flights.close(&self.key, &self.flight);
        if !self.is_over {
            self.flight.fail(Failed::Refused);
            self.flight.break_off(Failure::because(Phase::Body, Reason::Closed, Abandoned));
        }
        self.flights.0.record.flight_ended(self.flight.joined());
    }
}

/// The call has ended in the middle, by our own doing.
#[derive(Debug)]
struct Abandoned;

impl fmt::Display for Abandoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the call was given up")
    }
}

impl std::error::Error for Abandoned {}
