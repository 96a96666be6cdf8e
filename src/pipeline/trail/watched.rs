//! What is noted of a request for the sake of what else is told of it.

use super::{Traced, Trail};
use crate::types::Period;

impl Trail {
    /// What else is told of it: its trace, and a line if it takes longer than `slow`.
    pub fn watched(&mut self, traced: Traced, slow: Option<Period>) {
        self.0.traced = traced;
        self.0.slow = slow;
    }

    /// Its place among traces.
    #[must_use]
    pub fn trace(&self) -> Traced {
        self.0.traced
    }

    /// Its reply lasts as long as the provider has something to say.
    pub fn is_live(&mut self) {
        self.0.is_live = true;
    }
}
