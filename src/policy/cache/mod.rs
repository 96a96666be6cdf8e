//! Which replies answer which requests, for how long, and which are not worth keeping.
//!
//! The store itself is in `runtime`: what is decided here needs no memory of its own.

mod bypass;
mod canonical;
pub mod directives;
pub mod freshness;
mod json;
pub mod key;
mod number;
mod question;
mod sink;
pub mod spelling;
pub mod worth;

use std::time::Duration;

pub use directives::{Directives, MaxStale};
pub use freshness::{Dates, Use, judge};
pub use key::{Bypass, FIELDS, Facts, Key, Secret, key};
pub use spelling::Spelling;
pub use worth::{Kind, Reply, Unfit, worth};

use crate::config::{Determinism, Replay, Scope};

/// How a route's replies are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// How long a reply answers, give or take a tenth.
    pub ttl: Duration,
    /// How long a refusal that is the request's own fault answers; nothing for never.
    pub negative_ttl: Duration,
    /// How long after that it still answers if nobody else can; nothing for never.
    pub stale_if_error: Duration,
    /// The largest body that is kept, in bytes.
    pub max_entry: u64,
    /// Who may share an answer.
    pub scope: Scope,
    /// Which questions have an answer worth keeping.
    pub determinism: Determinism,
    /// Request fields, by their lowercase names, that make two requests different, besides those that always do.
    pub headers: Box<[Box<str>]>,
    /// Whether equal requests in flight share one call.
    pub collapse: bool,
    /// Whether a call goes on to its end when nobody reads it any more.
    pub finish: bool,
    /// How a stream is played again.
    pub replay: Replay,
    /// Whether limits count what a hit would have used.
    pub counts_hits: bool,
}
