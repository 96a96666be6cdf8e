//! Drawing by weight: a few of many, in one pass and without a list.

/// How many are drawn: with two or three the load is as even as with all of them, and workers do not all run to the same one.
const DRAWS: usize = 3;

/// Three of many, each drawn with a chance that goes by its weight: in one pass, without a list.
#[derive(Debug)]
pub(super) struct Drawn {
    random: u64,
    total: f64,
    drawn: [Option<(usize, f64)>; DRAWS],
}

/// The next of a row of numbers that look drawn (SplitMix64).
pub(super) fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A number as a part of 1, never 0 nor 1.
pub(super) fn part(random: u64) -> f64 {
    ((random >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

impl Drawn {
    /// None yet. The same `random` draws the same.
    pub(super) fn new(random: u64) -> Self {
        Self { random, total: 0.0, drawn: [None; DRAWS] }
    }

    /// One more to draw from, with its weight, and how good it is.
    pub(super) fn offer(&mut self, index: usize, weight: f64, score: f64) {
        self.total += weight;
        for drawn in &mut self.drawn {
            if part(next(&mut self.random)) * self.total < weight {
                *drawn = Some((index, score));
            }
        }
    }

    /// The best of those that were drawn.
    pub(super) fn best(&self) -> Option<usize> {
        self.drawn.iter().flatten().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(index, _)| *index)
    }
}
