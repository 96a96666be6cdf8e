//! When the tokens of a reply come.

use std::time::Duration;

use tokio::time::sleep;

use super::{Options, script::Script};

/// The slowest rate, in tokens per second: below it, times would leave the range of the clock.
const SLOWEST: f64 = 0.001;

/// The times of one reply, from the end of its request.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// Until the first token.
    pub(super) first: Duration,
    /// From one token to the next.
    pub(super) each: Duration,
}

impl Pace {
    /// Everything as soon as it is asked for.
    pub(super) const AT_ONCE: Self = Self { first: Duration::ZERO, each: Duration::ZERO };

    pub(super) fn of(options: &Options) -> Self {
        let each = Duration::from_secs_f64(options.tokens_per_second.max(SLOWEST).recip());
        Self { first: options.first_token, each }
    }

    /// So many times as slow.
    pub(super) fn slowed(self, times: u32) -> Self {
        Self { first: self.first.saturating_mul(times), each: self.each.saturating_mul(times) }
    }

    /// From the first token to the n-th one; nothing for what comes before the first.
    pub(super) fn until_token(self, n: usize) -> Duration {
        self.each.saturating_mul(u32::try_from(n.saturating_sub(1)).unwrap_or(u32::MAX))
    }

    /// Waits until the head may leave: with the first token of a stream, with the last one of a whole reply.
    pub(super) async fn wait_for_head(self, script: &Script) {
        let wait = match script {
            Script::Stream { .. } => self.first,
            Script::Whole { tokens, .. } => self.first.saturating_add(self.until_token(*tokens)),
        };
        // Even a timer that has run out costs up to its granularity of a millisecond.
        if !wait.is_zero() {
            sleep(wait).await;
        }
    }
}
