//! What became of the requests of each kind.

use std::{collections::BTreeMap, time::Instant};

/// How the loss begins of a client that did not look.
pub(super) const CLOSED: &str = "closed while idle, without a word";

/// How a client comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// HTTP/1.1, a connection for each request.
    Fresh,
    /// HTTP/1.1, one request behind another on a connection.
    Kept,
    /// HTTP/1.1, a reply of events.
    Stream,
    /// HTTP/2, one request behind another on a connection.
    KeptH2,
    /// HTTP/2, replies of events side by side.
    StreamH2,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Fresh, Self::Kept, Self::Stream, Self::KeptH2, Self::StreamH2];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh connections",
            Self::Kept => "kept-alive connections",
            Self::Stream => "streams",
            Self::KeptH2 => "kept-alive connections, HTTP/2",
            Self::StreamH2 => "streams, HTTP/2",
        }
    }
}

/// Why a request got no whole and right reply.
pub(crate) enum Failed {
    /// Nobody listened.
    Refused,
    Lost(String),
}

impl Failed {
    pub(crate) fn lost(why: impl ToString) -> Self {
        Self::Lost(why.to_string())
    }
}

/// One lost request.
#[derive(Clone)]
pub(crate) struct Loss {
    pub(crate) begun: Instant,
    pub(crate) why: String,
}

/// The requests of one kind.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    /// Answered with 200 and every byte that was due.
    pub(crate) whole: u64,
    /// All others.
    pub(crate) losses: Vec<Loss>,
    /// When a connection was refused, where that is no loss: see [`super::Traffic::leaves_when_refused`].
    pub(crate) refused: Vec<Instant>,
}

impl Tally {
    pub(crate) fn sent(&self) -> u64 {
        self.whole + self.losses.len() as u64
    }

    /// Losses of a client that looks before it sends, and connects anew where a kept-alive connection has been closed.
    pub(crate) fn sent_in_vain(&self) -> usize {
        self.losses.iter().filter(|loss| !loss.why.starts_with(CLOSED)).count()
    }

    /// `3 × no reply, 1 × status 502`.
    pub(crate) fn reasons(&self) -> String {
        let mut counts = BTreeMap::<&str, usize>::new();
        for loss in &self.losses {
            *counts.entry(&loss.why).or_default() += 1;
        }
        counts.iter().map(|(why, count)| format!("{count} × {why}")).collect::<Vec<_>>().join(", ")
    }
}

/// All kinds.
#[derive(Clone, Default)]
pub(crate) struct Tallies([Tally; 5]);

impl Tallies {
    pub(crate) fn of(&self, kind: Kind) -> &Tally {
        &self.0[kind as usize]
    }

    pub(super) fn of_mut(&mut self, kind: Kind) -> &mut Tally {
        &mut self.0[kind as usize]
    }

    pub(crate) fn lost(&self) -> usize {
        self.0.iter().map(|tally| tally.losses.len()).sum()
    }
}
