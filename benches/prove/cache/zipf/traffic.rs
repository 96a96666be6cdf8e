//! What is asked for, one thing after the other.

use fastrand::Rng;

/// A thing that is asked for.
pub(super) type Thing = u32;

/// How many things are asked for again at any time.
pub(super) const CATALOGUE: u32 = 100_000;

const ALPHA: f64 = 0.9;

/// The part of the requests that asks for what nobody asks for again.
const ONCE: f64 = 0.5;

/// Bytes of a reply: from, and below.
pub(super) const SHORTEST: usize = 256;
pub(super) const LONGEST: usize = 8_192;

/// The requests, without an end.
pub(super) struct Traffic {
    rng: Rng,
    /// The share of requests that ask for one of the first places, for each number of them.
    shares: Vec<f64>,
    /// Who has each place.
    places: Vec<Thing>,
    next: Thing,
    /// After so many requests another thing takes a place; 0 for never.
    drift: u64,
    asked: u64,
}

impl Traffic {
    pub(super) fn new(seed: u64, drift: u64) -> Self {
        let mut sum = 0.0;
        let mut shares: Vec<f64> = (1..=CATALOGUE).map(|place| f64::from(place).powf(-ALPHA)).collect();
        for share in &mut shares {
            sum += *share;
            *share = sum;
        }
        shares.iter_mut().for_each(|share| *share /= sum);
        Self { rng: Rng::with_seed(seed), shares, places: (0..CATALOGUE).collect(), next: CATALOGUE, drift, asked: 0 }
    }

    fn new_thing(&mut self) -> Thing {
        self.next += 1;
        self.next - 1
    }
}

impl Iterator for Traffic {
    type Item = Thing;

    fn next(&mut self) -> Option<Thing> {
        self.asked += 1;
        if self.drift > 0 && self.asked.is_multiple_of(self.drift) {
            // As often one of the places 1 to 10 as one of 10 to 100.
            let place = f64::from(CATALOGUE).powf(self.rng.f64()) as usize - 1;
            self.places[place] = self.new_thing();
        }
        if self.rng.f64() < ONCE {
            return Some(self.new_thing());
        }
        let drawn = self.rng.f64();
        Some(self.places[self.shares.partition_point(|share| *share < drawn).min(self.places.len() - 1)])
    }
}

/// How long the reply is.
pub(super) fn bytes(thing: Thing) -> usize {
    SHORTEST + (word(thing.into()) % (LONGEST - SHORTEST) as u64) as usize
}

/// As good as random, and always the same.
pub(super) fn word(of: u64) -> u64 {
    Rng::with_seed(of).u64(..)
}
