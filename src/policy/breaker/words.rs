//! What a breaker tells of itself.

use crate::types::Cause;

/// Whether a breaker lets requests through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// All of them.
    Closed,
    /// None.
    Open,
    /// A few, to see how they fare.
    HalfOpen,
}

impl Phase {
    /// All of them, for metrics, tests and docs that must not forget one.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// The word for it in logs, metrics and the admin API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// Which of a provider's breakers is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// That of the host, for all that is asked of it.
    Host,
    /// That of one model; without a name, that of requests which name none.
    Model,
    /// The one that models share for which there is no room.
    Others,
}

impl Scope {
    /// The word for it in logs, metrics and the admin API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Model => "model",
            Self::Others => "others",
        }
    }
}

/// Why a breaker is in its phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// Attempts failed, the last one for this.
    Failures(Cause),
    /// First tokens took too long.
    Slow,
    /// Of a host: most of its models' breakers are open.
    Models,
    /// It was open for its time.
    Waited,
    /// Its probes succeeded, or none has failed.
    Recovered,
    /// An operator said so.
    Operator,
}

impl Why {
    /// The word for it in logs, metrics and the admin API: for failures that of the cause.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failures(cause) => cause.name(),
            Self::Slow => "slow",
            Self::Models => "models",
            Self::Waited => "waited",
            Self::Recovered => "recovered",
            Self::Operator => "operator",
        }
    }
}

/// What an operator can hold a breaker at, until a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forced {
    /// Nothing is sent.
    Open,
    /// Everything is sent, whatever becomes of it.
    Closed,
}

/// A breaker has changed its phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Which one.
    pub scope: Scope,
    /// Its model, if it is one model's.
    pub model: Option<Box<str>>,
    /// Its phase before.
    pub from: Phase,
    /// Its phase now.
    pub to: Phase,
    /// Why.
    pub why: Why,
    /// When it lets probes through, if it is open and not forced, in nanoseconds of [`crate::types::Moment::nanos`].
    pub until: Option<u64>,
}

/// A breaker does not let a request through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When to ask again, in nanoseconds of [`crate::types::Moment::nanos`].
    pub until: u64,
    /// Which one.
    pub scope: Scope,
    /// Why it does not.
    pub why: Why,
}

/// What there is to say of one breaker.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Which one.
    pub scope: Scope,
    /// Its model, if it is one model's.
    pub model: Option<Box<str>>,
    /// Whether it lets requests through.
    pub phase: Phase,
    /// What an operator holds it at.
    pub forced: Option<Forced>,
    /// Why it is in this phase.
    pub why: Why,
    /// When it lets probes through, if it is open and not forced, in nanoseconds of [`crate::types::Moment::nanos`].
    pub until: Option<u64>,
    /// Attempts in the window. They are counted from the first one on that failed or was slow.
    pub total: u32,
    /// Those of them that failed.
    pub failures: u32,
    /// First tokens in the window that were too late.
    pub slow: u32,
    /// Failures in a row.
    pub consecutive: u32,
    /// Probes that are under way.
    pub probes: u32,
}
