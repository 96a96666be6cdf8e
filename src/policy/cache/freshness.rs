//! Whether a stored reply still answers.
//!
//! How long it does is the spec's word at the time of the question, not of the time when it was stored: a shorter `ttl` holds
//! at once. A client's directives may only ask for more: none of them makes a reply fresher than the spec does.

use std::time::Duration;

use super::{Directives, Kind, Spec};
use crate::types::Moment;

#[cfg(test)]
mod tests;

/// How much sooner or later than its time a reply may end, in thousandths: what was stored at once must not all be asked for
/// anew at once.
pub const JITTER: i16 = 100;

/// When a reply was stored, and what that means for its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dates {
    /// When, in nanoseconds since the process began.
    pub stored: u64,
    /// Until when it may be of use by the spec of that time, on the same clock: a sweep takes what is over.
    pub until: u64,
    /// By how many thousandths it lives longer; shorter if negative. At most [`JITTER`] either way.
    pub jitter: i16,
    /// Whether it is a refusal, which lives for a short time and never stands in for an answer.
    pub negative: bool,
}

impl Dates {
    /// Of a reply that is stored now. `jitter` is drawn by the caller; what is beyond [`JITTER`] is cut.
    #[must_use]
    pub fn new(spec: &Spec, kind: Kind, now: Moment, jitter: i16) -> Self {
        let mut dates =
            Self { stored: now.nanos, until: 0, jitter: jitter.clamp(-JITTER, JITTER), negative: matches!(kind, Kind::Refusal) };
        let use_for = dates.lifetime(spec).saturating_add(dates.stale_for(spec));
        dates.until = now.nanos.saturating_add(use_for.as_nanos().try_into().unwrap_or(u64::MAX));
        dates
    }

    /// How long it has been stored.
    #[must_use]
    pub fn age(&self, now: Moment) -> Duration {
        Duration::from_nanos(now.nanos.saturating_sub(self.stored))
    }

    fn lifetime(&self, spec: &Spec) -> Duration {
        let whole = if self.negative { spec.negative_ttl } else { spec.ttl };
        let part = (i32::from(self.jitter.clamp(-JITTER, JITTER)) + 1_000).unsigned_abs();
        whole.checked_mul(part).map_or(whole, |product| product / 1_000)
    }

    fn stale_for(&self, spec: &Spec) -> Duration {
        if self.negative { Duration::ZERO } else { spec.stale_if_error }
    }
}

/// What a stored reply is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It answers.
    Fresh {
        /// How old it is.
        age: Duration,
        /// How long it will answer, to whoever asks for nothing more.
        left: Duration,
    },
    /// It answers if nobody else can.
    Stale {
        /// How old it is.
        age: Duration,
    },
    /// It does not answer this request. That says nothing about others: see [`is_over`].
    Useless,
}

/// What a reply with these dates is good for, to a client that asks for this.
#[must_use]
pub fn judge(spec: &Spec, dates: &Dates, asked: &Directives, now: Moment) -> Use {
    if asked.no_store || asked.no_cache {
        return Use::Useless;
    }
    let (age, lifetime) = (dates.age(now), dates.lifetime(spec));
    // The client's own end of the lifetime: nothing where it wants what will be fresh for longer than anything is.
    let spared = lifetime.checked_sub(asked.min_fresh.unwrap_or_default());
    let wanted = spared.map(|spared| asked.max_age.map_or(spared, |oldest| oldest.min(spared)));
    // At its very end a reply is stale (RFC 9111 §4.2), but as old as `max-age` it is still wanted (§5.2.1.1).
    if age < lifetime && wanted.is_some_and(|wanted| age <= wanted) {
        return Use::Fresh { age, left: lifetime - age };
    }
    let in_window = age < lifetime.saturating_add(dates.stale_for(spec)) && !dates.negative;
    let welcome = match asked.max_stale {
        Some(stale) => wanted.is_some_and(|wanted| stale.allows(age.saturating_sub(wanted))),
        // Who says how fresh it must be takes nothing less (RFC 9111 §5.2.1.1, §5.2.1.3).
        None => asked.max_age.is_none() && asked.min_fresh.is_none(),
    };
    if in_window && welcome { Use::Stale { age } } else { Use::Useless }
}

/// Whether it will answer nobody any more, whatever they ask for: it may go.
#[must_use]
pub fn is_over(spec: &Spec, dates: &Dates, now: Moment) -> bool {
    judge(spec, dates, &Directives::default(), now) == Use::Useless
}
