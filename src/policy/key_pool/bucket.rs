//! One bucket: what is used of a quota, and how it comes back.

use super::{Quota, shadow::Fit};
use crate::types::verdict::Dimension;

/// The part of a quota that is left untouched, since what is sent late arrives together with what is sent in time: but no more
/// than comes back in [`LATE`], or one.
const RESERVE: f64 = 0.05;

/// By how much one request may be later on its way than another, in nanoseconds.
const LATE: f64 = 0.25e9;

/// The least that the rate is taken down to.
const SLOWEST: f64 = 0.05;

/// By how much burst and rate grow in a nanosecond: a hundredth in ten seconds.
const RECOVERY: f64 = 0.001e-9;

const SECOND: f64 = 1e9;

/// An amount and the time in which it comes back, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Flow {
    pub(super) amount: f64,
    pub(super) window: f64,
}

impl From<Quota> for Flow {
    fn from(quota: Quota) -> Self {
        Self { amount: (quota.amount as f64).max(1.0), window: (quota.window.as_nanos() as f64).max(1.0) }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Bucket {
    pub(super) used: f64,
    pub(super) at: u64,
    /// The part of the amount that is taken at once.
    burst: f64,
    /// The part of the rate that is relied on.
    pace: f64,
    squeezed: u64,
}

impl Default for Bucket {
    fn default() -> Self {
        Self { used: 0.0, at: 0, burst: 1.0, pace: 1.0, squeezed: 0 }
    }
}

impl Bucket {
    pub(super) fn capacity(&self, flow: Flow) -> f64 {
        let least = (flow.amount / flow.window * SECOND).max(1.0).min(flow.amount);
        (flow.amount * self.burst).max(least)
    }

    pub(super) fn rate(&self, flow: Flow) -> f64 {
        flow.amount / flow.window * self.pace
    }

    pub(super) fn drain(&mut self, flow: Flow, now: u64) {
        let passed = now.saturating_sub(self.at) as f64;
        if passed <= 0.0 {
            return;
        }
        self.at = now;
        self.used = (self.used - self.rate(flow) * passed).max(0.0);
        if self.burst < 1.0 || self.pace < 1.0 {
            let growth = (RECOVERY * passed).exp();
            self.burst = (self.burst * growth).min(1.0);
            self.pace = (self.pace * growth).min(1.0);
        }
    }

    /// How much may be used of it.
    pub(super) fn usable(&self, flow: Flow) -> f64 {
        let capacity = self.capacity(flow);
        capacity - (capacity * RESERVE).min((flow.amount / flow.window * LATE).max(1.0))
    }

    /// What must be left for a need: never more than can ever be.
    pub(super) fn counted(&self, flow: Flow, need: f64) -> f64 {
        need.min(self.usable(flow))
    }

    pub(super) fn fit(&self, flow: Flow, need: f64, dimension: Dimension) -> Fit {
        if need <= 0.0 {
            return Fit::Unknown;
        }
        let capacity = self.capacity(flow);
        let over = self.used + self.counted(flow, need) - self.usable(flow);
        // A rounding error of a billionth keeps nobody waiting.
        if over > capacity * 1e-9 {
            let wait = (over / self.rate(flow)).ceil().min(u64::MAX as f64);
            return Fit::At(self.at.saturating_add((wait as u64).max(1)), dimension);
        }
        let left = capacity - self.used;
        Fit::Affords { times: left / need, headroom: ((left - need) / capacity).max(0.0) }
    }

    pub(super) fn take(&mut self, flow: Flow, need: f64) {
        self.used += need.min(self.capacity(flow));
    }

    pub(super) fn give_back(&mut self, flow: Flow, need: f64) {
        self.used = (self.used - need.min(self.capacity(flow))).max(0.0);
    }

    /// So much is left, by who ought to know.
    pub(super) fn lower(&mut self, flow: Flow, left: f64) {
        self.used = self.used.max(self.capacity(flow) - left.max(0.0));
    }

    pub(super) fn refused(&mut self, flow: Flow, sent: u64, now: u64) {
        let capacity = self.capacity(flow);
        self.used = self.used.max(capacity);
        // What was sent before the last squeeze says nothing about it.
        if self.squeezed != 0 && sent <= self.squeezed {
            return;
        }
        self.squeezed = now.max(1);
        let before = self.burst;
        self.burst = before / 4.0;
        let squeezed = self.capacity(flow);
        if squeezed < capacity {
            self.used = self.used.min(squeezed);
        } else {
            (self.burst, self.pace) = (before, (self.pace * 0.9).max(SLOWEST));
        }
    }
}
