//! The state of one key.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::health::Machine;

/// In how long a time to first token that was long counts for a third of what it did. The value that Finagle's and tower's
/// peak-EWMA take.
const DECAY: f64 = 10e9;

/// The state of one key. It belongs to the key, not to a generation of the config.
#[derive(Debug, Default)]
pub struct State {
    in_flight: AtomicU32,
    retired: AtomicBool,
    disabled: AtomicBool,
    pub(super) machine: Machine,
    /// The peak-EWMA of its time to first token, in seconds as bits; 0 is unknown.
    first_token: AtomicU64,
    first_token_at: AtomicU64,
}

impl State {
    /// Requests that hold a lease on it now.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn began(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes the key out of use for good: it gets no new lease, from whichever generation; leases that run go on.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// The key is back in the config.
    pub fn revive(&self) {
        self.retired.store(false, Ordering::Release);
    }

    /// Whether it is in no config any more.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Takes the key out of use until [`Self::enable`]: it gets no new lease, from whichever generation; leases that run go on.
    pub fn disable(&self) {
        self.disabled.store(true, Ordering::Release);
    }

    /// Puts it back into use.
    pub fn enable(&self) {
        self.disabled.store(false, Ordering::Release);
    }

    /// Whether an operator has taken it out of use.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        self.disabled.load(Ordering::Acquire)
    }

    /// Its time to first token, in seconds, as it counts now: what was slow once fades. None where nothing is known.
    pub(super) fn first_token(&self, now: u64) -> Option<f64> {
        match self.first_token.load(Ordering::Relaxed) {
            0 => None,
            bits => {
                let since = now.saturating_sub(self.first_token_at.load(Ordering::Relaxed));
                Some(f64::from_bits(bits) * (-(since as f64) / DECAY).exp())
            }
        }
    }

    /// A first token came: a slower one counts at once, a faster one by and by. Two workers at the same moment may lose one
    /// sample of two.
    pub(super) fn saw_first_token(&self, after: Duration, now: u64) {
        let (after, since) = (after.as_secs_f64(), now.saturating_sub(self.first_token_at.load(Ordering::Relaxed)));
        let before = match self.first_token.load(Ordering::Relaxed) {
            0 => after,
            bits => f64::from_bits(bits),
        };
        let kept = (-(since as f64) / DECAY).exp();
        let value = if after > before { after } else { before * kept + after * (1.0 - kept) };
        self.first_token.store(value.max(f64::MIN_POSITIVE).to_bits(), Ordering::Relaxed);
        self.first_token_at.store(now, Ordering::Relaxed);
    }
}
