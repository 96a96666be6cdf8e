//! What one request came to.

use std::{fmt, time::Instant};

use http::StatusCode;
use serde::Deserialize;

/// Tokens as the provider counted them.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub(super) struct Usage {
    #[serde(alias = "prompt_tokens")]
    pub(super) input_tokens: u64,
    #[serde(alias = "completion_tokens", default)]
    pub(super) output_tokens: u64,
}

/// A good reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// When its first token was read; nothing for a reply that came whole.
    pub(super) first_token: Option<Instant>,
    pub(super) usage: Option<Usage>,
    /// Events with a token in them: what there is to go by without usage.
    pub(super) events: u64,
}

/// Why a request counts as failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A status other than 2xx.
    Status(StatusCode),
    /// No connection: refused, unreachable, a certificate that does not verify.
    Connect,
    /// The connection was closed before a byte of the reply.
    NoReply,
    /// The reply broke off, or its stream ended without an end.
    Truncated,
    /// An error inside a reply that began as a good one.
    ErrorEvent,
    /// Not what HTTP or the API says.
    Malformed,
    /// No end in time.
    Timeout,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status(status) => status.as_str(),
            Self::Connect => "connect",
            Self::NoReply => "no_reply",
            Self::Truncated => "truncated",
            Self::ErrorEvent => "error_event",
            Self::Malformed => "malformed",
            Self::Timeout => "timeout",
        })
    }
}

/// A request that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    /// What the other side or the system said; it may hold anything.
    pub(super) said: String,
}

impl Failure {
    pub(super) fn new(kind: Kind, said: impl fmt::Display) -> Self {
        Self { kind, said: said.to_string() }
    }
}

impl From<Kind> for Failure {
    fn from(kind: Kind) -> Self {
        Self { kind, said: String::new() }
    }
}
