//! What limits had to say.

use super::Trail;
use crate::{pipeline::standing::Standings, types::LimitName};

impl Trail {
    /// Limits let it through, and this is left of them.
    pub fn limited(&mut self, standings: Standings) {
        if !standings.is_empty() {
            self.0.standings.get_or_insert_default().join(standings);
        }
    }

    /// What is left of the caller's tightest limits, if any apply.
    #[must_use]
    pub fn standings(&self) -> Option<&Standings> {
        self.0.standings.as_deref()
    }

    /// This limit refuses it.
    pub fn refused_by(&mut self, limit: LimitName) {
        self.0.limit = Some(limit);
    }
}
