//! What the end of an attempt says, and about whom.
//!
//! A dialect reads a [`Verdict`] out of a reply or of the lack of one; policies act on it and on nothing else. So a caller's
//! mistake can touch no key, a key's trouble no host, and a model's outage no other model.

use std::time::Duration;

/// Whom a verdict is about: only its state may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// Nobody: it was served.
    Nobody,
    /// Who asked.
    Caller,
    /// One key.
    Key,
    /// The account that one or several keys share.
    Account,
    /// One model, for one account.
    Model,
    /// What answers at the provider for this model.
    Host,
    /// The way there, and so all models.
    Network,
}

impl Blame {
    /// The word for it in decisions and docs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Caller => "caller",
            Self::Key => "key",
            Self::Account => "account",
            Self::Model => "model",
            Self::Host => "host",
            Self::Network => "network",
        }
    }
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Nothing: it goes to the caller as it is.
    Pass,
    /// The account rests for this model, until the time that it tells.
    Cool,
    /// The key or account is taken out until a probe succeeds.
    Quarantine,
    /// The account is not asked for this model for a while, if another one is known to serve it.
    TurnOff,
    /// The breaker of this provider and model counts a failure.
    Count,
    /// The breaker of the provider as a whole does.
    CountForAll,
    /// Another provider may do better; nothing is held against this one.
    Avoid,
}

/// Which of an account's quotas is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// How many requests.
    Requests,
    /// How many tokens.
    Tokens,
    /// Nobody says which.
    Unknown,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// A reply that holds no error.
    Served,
    /// The request is at fault: it would be refused again.
    Refused,
    /// The prompt is longer than the model's context: one with a longer context may take it.
    ContextLength,
    /// There is no such model, or not for this account.
    UnknownModel,
    /// This key has no right to this model or operation.
    Forbidden,
    /// The provider does not serve the place that we call from.
    Region,
    /// The key is not valid, or no longer.
    InvalidKey,
    /// The account is out of money or of a quota that does not come back by waiting a little.
    Exhausted,
    /// The account has asked for more than its rate allows.
    RateLimited(Dimension),
    /// The provider has too much to do, whoever asks.
    Overloaded,
    /// The provider failed.
    ServerError,
    /// Something between us and the provider gave up waiting for it: it may have worked on the request.
    GatewayTimeout,
    /// The provider could not be reached: nothing was sent.
    Unreachable,
    /// The provider has let the request lie: it says that it did nothing with it.
    Unprocessed,
    /// It was sent, and no answer came: it may have been worked on.
    NoReply,
    /// What came was no reply that could be passed on.
    Malformed,
    /// The reply broke off.
    BrokenOff,
    /// The caller left, or spoilt its own request, or we ended it.
    Left,
}

impl Cause {
    /// Every cause, for tests and docs that must not forget one.
    pub const ALL: [Self; 20] = [
        Self::Served,
        Self::Refused,
        Self::ContextLength,
        Self::UnknownModel,
        Self::Forbidden,
        Self::Region,
        Self::InvalidKey,
        Self::Exhausted,
        Self::RateLimited(Dimension::Requests),
        Self::RateLimited(Dimension::Tokens),
        Self::RateLimited(Dimension::Unknown),
        Self::Overloaded,
        Self::ServerError,
        Self::GatewayTimeout,
        Self::Unreachable,
        Self::Unprocessed,
        Self::NoReply,
        Self::Malformed,
        Self::BrokenOff,
        Self::Left,
    ];

    /// The word for it in logs, metrics, decisions and docs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Refused => "refused",
            Self::ContextLength => "context_length",
            Self::UnknownModel => "unknown_model",
            Self::Forbidden => "forbidden",
            Self::Region => "region",
            Self::InvalidKey => "invalid_key",
            Self::Exhausted => "exhausted",
            Self::RateLimited(Dimension::Requests) => "rate_limited_requests",
            Self::RateLimited(Dimension::Tokens) => "rate_limited_tokens",
            Self::RateLimited(Dimension::Unknown) => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::ServerError => "server_error",
            Self::GatewayTimeout => "gateway_timeout",
            Self::Unreachable => "unreachable",
            Self::Unprocessed => "unprocessed",
            Self::NoReply => "no_reply",
            Self::Malformed => "malformed",
            Self::BrokenOff => "broken_off",
            Self::Left => "left",
        }
    }

    /// Whom it is about.
    #[must_use]
    pub const fn blame(self) -> Blame {
        match self {
            Self::Served => Blame::Nobody,
            Self::Refused | Self::ContextLength | Self::Left => Blame::Caller,
            Self::UnknownModel | Self::Forbidden => Blame::Model,
            Self::InvalidKey => Blame::Key,
            Self::Exhausted | Self::RateLimited(_) => Blame::Account,
            Self::Overloaded | Self::ServerError | Self::GatewayTimeout | Self::NoReply | Self::Malformed | Self::BrokenOff => Blame::Host,
            Self::Region | Self::Unreachable | Self::Unprocessed => Blame::Network,
        }
    }

    /// What is to be done about it.
    #[must_use]
    pub const fn action(self) -> Action {
        match self {
            Self::Served | Self::Refused | Self::ContextLength | Self::Left => Action::Pass,
            Self::UnknownModel | Self::Forbidden => Action::TurnOff,
            Self::InvalidKey | Self::Exhausted => Action::Quarantine,
            Self::RateLimited(_) => Action::Cool,
            Self::Overloaded | Self::ServerError | Self::GatewayTimeout | Self::NoReply | Self::Malformed | Self::BrokenOff => {
                Action::Count
            }
            Self::Unreachable => Action::CountForAll,
            Self::Region | Self::Unprocessed => Action::Avoid,
        }
    }

    /// Whether the provider may have worked on the request, and charged for it, without an answer that says so.
    #[must_use]
    pub const fn is_ambiguous(self) -> bool {
        matches!(self, Self::GatewayTimeout | Self::NoReply | Self::Malformed)
    }
}

/// What the end of an attempt says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What became of it.
    pub cause: Cause,
    /// How long to leave alone whom it is about, as far as the provider says.
    pub wait: Option<Duration>,
}

impl From<Cause> for Verdict {
    fn from(cause: Cause) -> Self {
        Self { cause, wait: None }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_cause_has_a_name_of_its_own() {
        let names: HashSet<_> = Cause::ALL.into_iter().map(Cause::name).collect();
        assert_eq!(names.len(), Cause::ALL.len());
    }

    #[test]
    fn only_whom_it_is_about_is_touched() {
        for cause in Cause::ALL {
            let expected: &[Action] = match cause.blame() {
                Blame::Nobody | Blame::Caller => &[Action::Pass],
                Blame::Key => &[Action::Quarantine],
                Blame::Account => &[Action::Quarantine, Action::Cool],
                Blame::Model => &[Action::TurnOff],
                Blame::Host => &[Action::Count],
                Blame::Network => &[Action::CountForAll, Action::Avoid],
            };
            assert!(expected.contains(&cause.action()), "{cause:?}");
        }
    }
}
