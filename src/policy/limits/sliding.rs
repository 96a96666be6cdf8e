//! A window that slides: never more than so many in any stretch of its length.
//!
//! Few are remembered one by one. Of many, those that fall into the same step of the window, at most a thirty-second of it,
//! are remembered together, as long as the last of them: so they come back a little late, and never early.
//!
//! Where all subjects together have no room for more, a step may be as long as it takes: again late, and never early.
//!
//! Time is counted in ticks of four bytes, at most an eighth of a microsecond for a minute, and is rounded against whoever asks.

use std::time::Duration;

use super::{Spec, Standing, spec::Scale, table::Cell};
use crate::types::Moment;

/// Ticks of a step, as a power of two: a window has 32 to 64 steps.
const STEP: u32 = 24;

/// Words that every log may have, however tight it is: as many as the smallest piece of memory holds.
const LEAST_WORDS: usize = 6;

/// What one subject has used.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The tick of the last charge.
    newest: u64,
    /// What is remembered, oldest first: ticks, or pairs of a tick and how many. The rest is room.
    words: Box<[u32]>,
    /// How many in all.
    sum: u32,
    /// Words in use.
    len: u16,
    /// Whether there are pairs.
    in_steps: bool,
    /// Whether it has to do with the bytes that it has.
    is_tight: bool,
}

impl Scale {
    fn tick(self, now: Moment) -> u64 {
        now.nanos >> self.shift
    }

    /// From a tick to when what was charged at another, `age` before it, has passed.
    fn until_passed(self, age: u32) -> Duration {
        Duration::from_nanos(u64::from(self.span.saturating_sub(age)) << self.shift)
    }
}

impl Log {
    fn width(&self) -> usize {
        if self.in_steps { 2 } else { 1 }
    }

    /// Each charge that is remembered: its tick's last four bytes and how many.
    fn entries(&self) -> impl DoubleEndedIterator<Item = (u32, u32)> {
        self.words[..self.len.into()].chunks_exact(self.width()).map(|entry| (entry[0], entry.get(1).copied().unwrap_or(1)))
    }

    /// Where the clock stands: two that ask at once may come in the other order.
    fn tick(&self, scale: Scale, now: Moment) -> u64 {
        scale.tick(now).max(self.newest)
    }

    /// Whether all that is remembered has passed.
    fn has_passed(&self, scale: Scale, tick: u64) -> bool {
        self.len == 0 || tick - self.newest >= u64::from(scale.span)
    }

    /// Words of what has passed, and how many that were.
    fn passed(&self, scale: Scale, tick: u64) -> (usize, u32) {
        if self.has_passed(scale, tick) {
            return (self.len.into(), self.sum);
        }
        let passed = self.entries().take_while(|(at, _)| (tick as u32).wrapping_sub(*at) >= scale.span);
        let (entries, amount) = passed.fold((0, 0), |(entries, sum), (_, amount)| (entries + 1, sum + amount));
        (entries * self.width(), amount)
    }

    /// Forgets what has passed.
    fn forget(&mut self, scale: Scale, tick: u64) {
        // Mostly nothing has: not even the oldest.
        if self.len > 0 && (tick as u32).wrapping_sub(self.words[0]) < scale.span && !self.has_passed(scale, tick) {
            return;
        }
        let (words, amount) = self.passed(scale, tick);
        if words > 0 {
            self.words.copy_within(words..self.len.into(), 0);
            self.len -= words as u16;
            self.sum -= amount;
        }
        self.in_steps &= self.len > 0;
    }

    /// Whether so many words more have a place.
    fn has_room(&self, words: usize) -> bool {
        let needed = usize::from(self.len) + words;
        !self.is_tight || needed <= self.words.len().max(LEAST_WORDS)
    }

    fn push(&mut self, words: &[u32], most: usize) {
        let (len, needed) = (usize::from(self.len), usize::from(self.len) + words.len());
        if needed > self.words.len() {
            // What the allocator would round up to, and so costs nothing: 24 bytes, 40, 56 ...
            let room = (needed.max((self.words.len() * 2).min(most)) + 2).next_multiple_of(4).max(LEAST_WORDS + 2) - 2;
            let mut grown = Vec::with_capacity(room);
            grown.extend_from_slice(&self.words[..len]);
            grown.resize(room, 0);
            self.words = grown.into_boxed_slice();
        }
        self.words[len..needed].copy_from_slice(words);
        self.len = needed as u16;
    }

    /// From one by one to steps: when a limit has become larger, or room is tight.
    fn count_in_steps(&mut self) {
        if self.in_steps {
            return;
        }
        // As many at once as leave it where there is room for pairs.
        let together = if self.is_tight { usize::from(self.len).div_ceil(self.words.len().max(LEAST_WORDS) / 2).max(1) } else { 1 };
        let singles = &self.words[..self.len.into()];
        let pairs: Vec<u32> = singles.chunks(together).flat_map(|some| [some[some.len() - 1], some.len() as u32]).collect();
        self.len = pairs.len() as u16;
        if pairs.len() <= self.words.len() {
            self.words[..pairs.len()].copy_from_slice(&pairs);
        } else {
            self.words = pairs.into_boxed_slice();
        }
        self.in_steps = true;
    }

    fn add(&mut self, spec: &Spec, amount: u32, now: Moment) {
        /// Those of all steps, of one that begins and one that ends.
        const MOST_WORDS: usize = 2 * ((1 << (Scale::TICKS - STEP)) + 2);
        let scale = spec.scale();
        let tick = self.tick(scale, now);
        self.forget(scale, tick);
        self.newest = tick;
        // Debts beyond what can be counted are forgiven.
        let amount = amount.min(u32::MAX - self.sum);
        if amount == 0 {
            return;
        }
        self.sum += amount;
        if !self.in_steps && spec.counts_singly() && self.has_room(amount as usize) {
            (0..amount).for_each(|_| self.push(&[tick as u32], spec.amount() as usize));
            return;
        }
        self.count_in_steps();
        let last = usize::from(self.len).checked_sub(2);
        // Where there is no room for one more step, the last is made longer, until the first has passed.
        match last.filter(|last| self.words[*last] >> STEP == tick as u32 >> STEP || !self.has_room(2)) {
            Some(last) => {
                self.words[last] = tick as u32;
                self.words[last + 1] += amount;
            }
            None => self.push(&[tick as u32, amount], MOST_WORDS),
        }
    }
}

impl Cell for Log {
    fn weigh(&self, spec: &Spec, amount: u64, now: Moment) -> Result<(), Option<Duration>> {
        if amount > spec.amount() {
            return Err(None);
        }
        let scale = spec.scale();
        let tick = self.tick(scale, now);
        if self.has_passed(scale, tick) || u64::from(self.sum) + amount <= spec.amount() {
            return Ok(());
        }
        let mut over = u64::from(self.sum) + amount - spec.amount();
        for (at, amount) in self.entries() {
            let age = (tick as u32).wrapping_sub(at);
            over = over.saturating_sub(amount.into());
            if over == 0 {
                return if age >= scale.span { Ok(()) } else { Err(Some(scale.until_passed(age))) };
            }
        }
        Ok(())
    }

    fn charge(&mut self, spec: &Spec, amount: u64, now: Moment) {
        self.add(spec, amount.try_into().unwrap_or(u32::MAX), now);
    }

    fn force(&mut self, spec: &Spec, amount: u64, now: Moment) -> u64 {
        let scale = spec.scale();
        // What has passed is no part of a debt.
        self.forget(scale, self.tick(scale, now));
        // A debt may be as large as the limit.
        let most = spec.amount().saturating_mul(2).saturating_sub(self.sum.into());
        let before = self.sum;
        self.charge(spec, amount.min(most), now);
        u64::from(self.sum - before)
    }

    fn refund(&mut self, spec: &Spec, amount: u64, taken: Moment, now: Moment) {
        let scale = spec.scale();
        let tick = self.tick(scale, now);
        self.forget(scale, tick);
        let age = tick.saturating_sub(scale.tick(taken));
        if age >= scale.span.into() {
            return;
        }
        // Where the clock of another request was ahead, it is remembered a little later than it was taken, and never earlier.
        let age_of = |at: u32| (tick as u32).wrapping_sub(at);
        let step = if self.in_steps { STEP } else { 0 };
        let Some((of, _)) = self.entries().find(|(at, _)| age_of(*at) <= age as u32) else { return };
        let mut left = u32::try_from(amount).unwrap_or(u32::MAX);
        while left > 0 {
            let Some(at) = self.entries().position(|(at, _)| at >> step == of >> step) else { return };
            let width = self.width();
            let at = at * width;
            let held = if self.in_steps { self.words[at + 1] } else { 1 };
            let back = left.min(held);
            (left, self.sum) = (left - back, self.sum - back);
            if back == held {
                self.words.copy_within(at + width..self.len.into(), at);
                self.len -= width as u16;
            } else {
                self.words[at + 1] -= back;
            }
        }
    }

    fn remaining(&self, spec: &Spec) -> u64 {
        spec.amount().saturating_sub(self.sum.into())
    }

    fn standing(&self, spec: &Spec, now: Moment) -> Standing {
        let scale = spec.scale();
        let tick = self.tick(scale, now);
        let (words, passed) = self.passed(scale, tick);
        let used = u64::from(self.sum - passed);
        let until = |at: Option<&u32>| at.map_or(Duration::ZERO, |at| scale.until_passed((tick as u32).wrapping_sub(*at)));
        let live = &self.words[words..self.len.into()];
        let last = live.len().checked_sub(self.width()).map(|last| &live[last]);
        Standing { limit: spec.amount(), remaining: spec.amount().saturating_sub(used), reset: until(last), more: until(live.first()) }
    }

    fn is_idle(&self, spec: &Spec, now: Moment) -> bool {
        let scale = spec.scale();
        self.has_passed(scale, self.tick(scale, now))
    }

    fn tighten(&mut self, is_tight: bool) {
        self.is_tight = is_tight;
    }

    fn heap(&self) -> usize {
        // As glibc's allocator has it: 8 bytes of its own, in steps of 16.
        if self.words.is_empty() { 0 } else { (size_of_val(&*self.words) + 8).next_multiple_of(16).max(32) }
    }
}
