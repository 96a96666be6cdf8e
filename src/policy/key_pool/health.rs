//! Whether a key, or an account as a whole, is good for anything: what a verdict does to it.
//!
//! | from        | on                                                          | to          |
//! | ----------- | ----------------------------------------------------------- | ----------- |
//! | active      | a verdict against it                                        | quarantined |
//! | active      | the same, while half of the pool went that way a minute ago | cooling     |
//! | cooling     | its time is over                                            | active      |
//! | cooling     | no sound key is left: one request                           | half-open   |
//! | quarantined | its time has come, or no sound key is left: one request     | half-open   |
//! | half-open   | that request is served                                      | active      |
//! | half-open   | a verdict against it, or none                               | what it was |
//! | any         | an operator's reset                                         | active      |
//!
//! *Disabled*, *retired* and *unused* lie above it: such a key is asked for nothing, and what is known of it stays.
//!
//! Each change begins an epoch. A lease remembers the epoch in which it was taken, and its verdict counts in that one alone: of
//! five requests that run with a revoked key the first to be refused takes it out, and the others change nothing.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::types::{moment::nanos, verdict::Cause};

/// The longest that anything is left alone, whatever its provider says. Longer than a quarter of a day, and what an operator
/// mended in the morning would be found out in the evening.
pub(super) const LONGEST: u64 = nanos(Duration::from_secs(6 * 3_600));

/// How long a key rests instead of a quarantine when too many of its pool went there: half a minute, since what hits all keys at
/// once is trouble at the provider.
const REST: u64 = nanos(Duration::from_secs(30));

/// How long a key that was quarantined takes to get its full share again, from a tenth of it.
const SLOW_START: u64 = nanos(Duration::from_secs(30));

/// The share with which it starts.
const FIRST_SHARE: f64 = 0.1;

/// A probe of which nothing came that says anything is followed by another after this part of the period.
const UNDECIDED: u64 = 10;

/// How a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// It gets requests.
    Active,
    /// It, or its account for a model, is left alone for as long as is told.
    Cooling,
    /// It gets one request at its time, and no other.
    Quarantined,
    /// That one request is under way.
    HalfOpen,
    /// An operator has taken it out of use.
    Disabled,
    /// No config names it any more.
    Retired,
    /// Its weight is 0.
    Unused,
}

impl Health {
    /// All of them, for metrics and docs.
    pub const ALL: [Self; 7] =
        [Self::Active, Self::Cooling, Self::Quarantined, Self::HalfOpen, Self::Disabled, Self::Retired, Self::Unused];

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Cooling => "cooling",
            Self::Quarantined => "quarantined",
            Self::HalfOpen => "half_open",
            Self::Disabled => "disabled",
            Self::Retired => "retired",
            Self::Unused => "unused",
        }
    }
}

/// What became of a key or its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What it was.
    pub from: Health,
    /// What it is.
    pub to: Health,
    /// Why.
    pub cause: Cause,
    /// Until when, as [`crate::types::Moment::nanos`]; none where it is not a matter of time.
    pub until: Option<u64>,
}

/// What a look at a machine says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Good.
    Sound,
    /// Left alone until then, and good again.
    Rests(u64, Cause),
    /// Out, until one request has shown that it is good again: from then on.
    Waits { until: u64, since: u64, cause: Cause },
    /// That request is under way.
    Probed(Cause),
}

/// How long it is quarantined after so many probes that failed.
pub(super) fn period(cause: Cause, failed: u32) -> u64 {
    let minutes = |minutes: u64| nanos(Duration::from_secs(60 * minutes));
    match cause {
        Cause::Exhausted => minutes([5, 15, 60][failed.min(2) as usize]),
        _ => minutes(10).saturating_mul(1 << failed.min(10)).min(LONGEST),
    }
}

#[derive(Clone, Copy, Debug, Default)]
enum Phase {
    #[default]
    Sound,
    Resting {
        until: u64,
        cause: Cause,
    },
    Quarantined {
        since: u64,
        until: u64,
        cause: Cause,
    },
    HalfOpen {
        cause: Cause,
        /// The probe went out before its time, for want of another key: that it fails prolongs nothing.
        early: bool,
        /// It only rested.
        rested: bool,
        /// Until when it was out before.
        until: u64,
    },
}

#[derive(Debug, Default)]
struct Inner {
    phase: Phase,
    /// Probes that failed since it was last good.
    failed: u32,
    probes: u64,
}

/// The state of a key or an account.
#[derive(Debug, Default)]
pub(super) struct Machine {
    /// Whether `inner` says anything but good: so that a look at what is good takes no lock.
    is_marked: AtomicBool,
    epoch: AtomicU64,
    /// When it was last quarantined from being good; 0 is never.
    entered: AtomicU64,
    /// When a probe last made it good; 0 is never.
    back: AtomicU64,
    /// When one did that went out before its time, since no other key was left; 0 is never.
    back_early: AtomicU64,
    inner: Mutex<Inner>,
}

impl Machine {
    /// A panic elsewhere leaves it as it was: nothing in here stops half way.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, inner: &mut Inner, phase: Phase) {
        inner.phase = phase;
        self.is_marked.store(!matches!(phase, Phase::Sound), Ordering::Release);
        self.epoch.fetch_add(1, Ordering::Release);
    }

    /// The epoch that a lease taken now belongs to. Read it before [`Self::look`], so that a change in between makes it an old one.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// How it is.
    pub(super) fn look(&self, now: u64) -> Look {
        if !self.is_marked.load(Ordering::Acquire) {
            return Look::Sound;
        }
        match self.lock().phase {
            Phase::Resting { until, cause } if until > now => Look::Rests(until, cause),
            Phase::Sound | Phase::Resting { .. } => Look::Sound,
            Phase::Quarantined { since, until, cause } => Look::Waits { until, since, cause },
            Phase::HalfOpen { cause, .. } => Look::Probed(cause),
        }
    }

    /// The share of its traffic that it gets: less for a while behind a quarantine.
    pub(super) fn share(&self, now: u64) -> f64 {
        match self.back.load(Ordering::Relaxed) {
            0 => 1.0,
            back => {
                let part = now.saturating_sub(back) as f64 / SLOW_START as f64;
                (FIRST_SHARE + (1.0 - FIRST_SHARE) * part).min(1.0)
            }
        }
    }

    /// Whether it went from good to quarantined less than `within` ago.
    pub(super) fn entered_within(&self, within: u64, now: u64) -> bool {
        let entered = self.entered.load(Ordering::Relaxed);
        entered != 0 && now.saturating_sub(entered) < within
    }

    /// Real requests that were sent to learn whether it is good again.
    pub(super) fn probes(&self) -> u64 {
        self.lock().probes
    }

    /// When it became good again by a request that was sent to it since no other key was left.
    pub(super) fn back_early(&self) -> u64 {
        self.back_early.load(Ordering::Relaxed)
    }

    /// The one request that may be sent to what is out. None if it is not, or if another one was faster. `early` says that it may
    /// go before its time.
    pub(super) fn probe(&self, early: bool, now: u64) -> Option<(u64, Transition)> {
        let mut inner = self.lock();
        let (until, cause, rested) = match inner.phase {
            Phase::Quarantined { until, cause, .. } => (until, cause, false),
            Phase::Resting { until, cause } if until > now => (until, cause, true),
            _ => return None,
        };
        if until > now && !early {
            return None;
        }
        inner.probes += 1;
        self.change(&mut inner, Phase::HalfOpen { cause, early: until > now, rested, until });
        let from = if rested { Health::Cooling } else { Health::Quarantined };
        Some((self.epoch(), Transition { from, to: Health::HalfOpen, cause, until: None }))
    }

    /// A verdict against it, by a lease of this epoch. `may_enter` says whether so many of the pool may be quarantined.
    pub(super) fn fail(
        &self,
        epoch: u64,
        (cause, told): (Cause, Option<Duration>),
        may_enter: impl FnOnce() -> bool,
        now: u64,
    ) -> Option<Transition> {
        let mut inner = self.lock();
        if epoch != self.epoch() {
            return None;
        }
        let told = told.map_or(0, nanos).min(LONGEST);
        let (from, was_out) = match inner.phase {
            // Who holds a lease of this epoch took it while this one was good or when it rested no longer.
            Phase::Sound | Phase::Resting { .. } => (Health::Active, false),
            Phase::HalfOpen { early, rested, .. } => {
                inner.failed += u32::from(!early);
                (Health::HalfOpen, !rested)
            }
            Phase::Quarantined { .. } => return None,
        };
        let (to, until) = if was_out || may_enter() {
            (Health::Quarantined, now.saturating_add(period(cause, inner.failed).max(told)))
        } else {
            (Health::Cooling, now.saturating_add(REST))
        };
        if to == Health::Cooling {
            self.change(&mut inner, Phase::Resting { until, cause });
        } else {
            if !was_out {
                self.entered.store(now.max(1), Ordering::Relaxed);
            }
            self.change(&mut inner, Phase::Quarantined { since: now, until, cause });
        }
        Some(Transition { from, to, cause, until: Some(until) })
    }

    /// The probe of this epoch was served.
    pub(super) fn pass(&self, epoch: u64, now: u64) -> Option<Transition> {
        let mut inner = self.lock();
        let Phase::HalfOpen { cause, early, .. } = inner.phase else { return None };
        if epoch != self.epoch() {
            return None;
        }
        inner.failed = 0;
        self.back.store(now.max(1), Ordering::Relaxed);
        if early {
            self.back_early.store(now.max(1), Ordering::Relaxed);
        }
        self.change(&mut inner, Phase::Sound);
        Some(Transition { from: Health::HalfOpen, to: Health::Active, cause, until: None })
    }

    /// The probe of this epoch says nothing. If it was sent, the next one waits for a part of the period at least; if not, for no
    /// longer than before. One that went out before its time shortens nothing.
    pub(super) fn undecided(&self, epoch: u64, was_sent: bool, now: u64) -> Option<Transition> {
        let mut inner = self.lock();
        let Phase::HalfOpen { cause, rested, until: before, .. } = inner.phase else { return None };
        if epoch != self.epoch() {
            return None;
        }
        let whole = if rested { REST } else { period(cause, inner.failed) };
        let until = if was_sent { now.saturating_add(whole / UNDECIDED).max(before) } else { before };
        let (to, phase) = match rested {
            true => (Health::Cooling, Phase::Resting { until, cause }),
            false => (Health::Quarantined, Phase::Quarantined { since: now, until, cause }),
        };
        self.change(&mut inner, phase);
        Some(Transition { from: Health::HalfOpen, to, cause, until: Some(until) })
    }

    /// An operator says that it is good.
    pub(super) fn reset(&self) {
        let mut inner = self.lock();
        inner.failed = 0;
        self.entered.store(0, Ordering::Relaxed);
        self.back.store(0, Ordering::Relaxed);
        self.change(&mut inner, Phase::Sound);
    }
}
