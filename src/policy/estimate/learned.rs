//! What replies have taught about one model: bytes for a token of its prompts, and how long its replies are.
//!
//! Any client may send anything, and what it sends teaches. Three things bound what one of them can do:
//!
//! - Of the ratio, a sample counts only within [`RATIOS`]: a picture is no text. A sample moves the average by at most
//!   [`STEP`] of itself, however far off it is: a mean whose steps are clipped goes where the many are, as a median does, and the few
//!   can hold it off from there by little.
//! - Of the lengths, the last [`WINDOW`] are kept, and a new one takes the place of the oldest of *that client that has the most* of
//!   them: of clients that are as many as one likes to count, each has its share, however fast it sends.
//! - Whatever was learned, an estimate is held to what the request itself allows, and to bounds of its own.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use super::COLD_RATIO;

/// Bytes for a token that text can have: from scripts of which a letter is a token of its own to code that is mostly blanks.
pub(super) const RATIOS: std::ops::RangeInclusive<f64> = 1.5..=20.0;
/// How much a sample counts.
const WEIGHT: f64 = 1.0 / 16.0;
/// How far a sample may be from the average, as a part of it, before it is taken for one that is as far.
const STEP: f64 = 0.25;
/// How many lengths of replies are kept.
pub(super) const WINDOW: usize = 200;
/// Fewer say nothing.
pub(super) const FEWEST: usize = 10;
/// Of the lengths that are kept, this part is no longer than what is expected.
const QUANTILE: f64 = 0.9;

/// What is known of one model.
#[derive(Debug)]
pub(super) struct Learned {
    /// `f64`, by its bits.
    ratio: AtomicU64,
    /// The length that is expected, plus one; 0 until there is one.
    output: AtomicU32,
    samples: Mutex<Samples>,
}

#[derive(Debug, Default)]
struct Samples {
    /// The oldest first.
    lengths: Vec<Length>,
    /// For finding the quantile.
    sorted: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Length {
    tokens: u32,
    who: u16,
}

impl Default for Learned {
    fn default() -> Self {
        Self { ratio: AtomicU64::new(COLD_RATIO.to_bits()), output: AtomicU32::new(0), samples: Mutex::default() }
    }
}

impl Learned {
    /// Bytes for a token.
    pub(super) fn ratio(&self) -> f64 {
        f64::from_bits(self.ratio.load(Ordering::Relaxed))
    }

    /// Tokens of one choice, if enough are known to say.
    pub(super) fn output(&self) -> Option<u64> {
        self.output.load(Ordering::Relaxed).checked_sub(1).map(u64::from)
    }

    /// One more reply.
    pub(super) fn learn(&self, ratio: Option<f64>, output: u64, who: u16) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sample) = ratio.filter(|ratio| RATIOS.contains(ratio)) {
            let before = self.ratio();
            let sample = sample.clamp(before * (1.0 - STEP), before * (1.0 + STEP));
            self.ratio.store((before + WEIGHT * (sample - before)).to_bits(), Ordering::Relaxed);
        }
        samples.push(Length { tokens: u32::try_from(output).unwrap_or(u32::MAX), who });
        if let Some(expected) = samples.quantile() {
            self.output.store(expected.saturating_add(1), Ordering::Relaxed);
        }
    }
}

impl Samples {
    fn push(&mut self, length: Length) {
        if self.lengths.len() == WINDOW {
            self.lengths.remove(self.oldest_of_who_has_most(length.who));
        }
        self.lengths.push(length);
    }

    /// Where the oldest length stands of the client that has the most, the one that comes included.
    fn oldest_of_who_has_most(&self, comes: u16) -> usize {
        let mut clients = self.lengths.iter().map(|length| length.who).collect::<Vec<_>>();
        clients.push(comes);
        clients.sort_unstable();
        let most = clients.chunk_by(|one, other| one == other).max_by_key(|same| same.len()).and_then(|same| same.first());
        self.lengths.iter().position(|length| Some(&length.who) == most).unwrap_or(0)
    }

    fn quantile(&mut self) -> Option<u32> {
        if self.lengths.len() < FEWEST {
            return None;
        }
        self.sorted.clear();
        self.sorted.extend(self.lengths.iter().map(|length| length.tokens));
        let at = ((self.sorted.len() as f64 * QUANTILE).ceil() as usize).clamp(1, self.sorted.len()) - 1;
        Some(*self.sorted.select_nth_unstable(at).1)
    }
}
