//! What a request's reply may tell.

use super::Trail;

impl Trail {
    /// Whether the reply may tell what it used.
    #[must_use]
    pub fn tells_usage(&self) -> bool {
        self.0.tells_usage
    }

    /// The reply may tell ids of objects that its account keeps.
    pub fn tells_objects(&mut self) {
        self.0.tells_objects = true;
    }

    /// Whether it may.
    #[must_use]
    pub fn may_tell_objects(&self) -> bool {
        self.0.tells_objects
    }
}
