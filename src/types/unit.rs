//! What limits count.

use std::fmt;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// Requests, when they come.
    Requests,
    /// Tokens, those of the prompt and those of the reply.
    Tokens,
    /// Requests at the same time.
    Concurrent,
    /// Money, in pico-dollars.
    Cost,
    /// Credentials that do not hold.
    FailedAuth,
}

impl Unit {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Requests, Self::Tokens, Self::Concurrent, Self::Cost, Self::FailedAuth];

    /// Its name, the same in config, logs, metrics and errors.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Concurrent => "concurrent",
            Self::Cost => "cost",
            Self::FailedAuth => "failed_auth",
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
