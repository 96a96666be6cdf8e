//! Connections that are no provider's.

use crate::upstream::endpoint::Observer;

/// Whom connections are told of that nobody counts: those to a collector, or to an issuer.
pub(super) struct Nobody;

impl Observer for Nobody {
    fn connected(&self) {}

    fn disconnected(&self) {}

    fn failed(&self) {}

    fn resent(&self) {}
}
