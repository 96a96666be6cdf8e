//! Five limits at once, as a gateway may have them: per address, per client, per tier, per region, and for all.

use std::{num::NonZeroU64, sync::Arc};

use sidegate::{
    policy::limits::{Check, Counters, Refusal, Spec, State, Subject, acquire_of},
    types::{Moment, Unit},
};

/// Tiers and regions.
const TIERS: u64 = 3;
const REGIONS: u64 = 4;

/// Five limits, and who asks them.
pub(crate) struct Five {
    limits: [(Spec, Arc<State>); 5],
    counters: Counters,
    subjects: u64,
    /// Nanoseconds from a request to the next.
    step: u64,
    now: u64,
    asked: u64,
}

impl Five {
    /// Before so many addresses, and as many clients, that have all been here within the last minute. Each asks half a minute's worth
    /// of its limit at most, so that nobody is refused.
    pub(crate) fn before(subjects: u64) -> Self {
        let limits = [("60/min", Some(90)), ("60/min", None), ("10M/min", None), ("100M/15min", Some(100_000_000)), ("10M/min", None)];
        let limits = limits.map(|(rate, burst)| {
            let rate = rate.parse().expect("a rate");
            let spec = Spec::rate(Unit::Requests, rate, burst.and_then(NonZeroU64::new));
            let state = Arc::new(State::new(spec.counting()));
            (spec, state)
        });
        let step = (60_000_000_000 / subjects).clamp(60_000, 2_000_000);
        let counters = limits.each_ref().map(|(_, state)| Arc::clone(state)).into_iter().collect();
        let mut five = Self { limits, counters, subjects, step, now: 1_000_000_000, asked: 0 };
        for subject in 0..subjects {
            five.let_through([subject, subject, 0, 0, 0]);
        }
        // What the counters of those that are many remember has grown to its usual size.
        (0..200_000).for_each(|_| five.ask());
        five
    }

    /// One request of somebody.
    pub(crate) fn ask(&mut self) {
        self.asked += 1;
        let dice = mixed(self.asked);
        self.let_through([dice % self.subjects, (dice >> 20) % self.subjects, dice % TIERS, dice % REGIONS, 0]);
    }

    fn let_through(&mut self, who: [u64; 5]) {
        self.now += self.step;
        let now = Moment { nanos: self.now, unix: 1_800_000_000 + self.now / 1_000_000_000 };
        let mut which = 0;
        let mut checks = self.limits.each_ref().map(|(spec, state)| {
            let key = mixed(who[which] ^ (which as u64) << 56);
            which += 1;
            Check { place: Some(which - 1), ..Check::new(spec, state, Subject { key, group: key }, 1) }
        });
        let outcome = acquire_of(Some(&self.counters), &mut checks, now);
        assert!(outcome.is_ok(), "nobody asks too much: {:?}", outcome.err().map(|Refusal { tag, .. }| tag));
        std::hint::black_box(&checks);
    }
}

/// A number of which all bits depend on all bits (Steele, Lea, Flood, "Fast splittable pseudorandom number generators").
pub(crate) fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
