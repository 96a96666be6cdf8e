//! Sidegate in this process, between a story's client and its provider.

use std::net::SocketAddr;

/// A running proxy; dropping it stops it.
pub(crate) struct Sidegate {
    pub(crate) address: SocketAddr,
}

impl Sidegate {
    pub(crate) async fn before(provider: SocketAddr) -> Self {
        Self { address: provider }
    }

    pub(crate) async fn before_h2(provider: SocketAddr) -> Self {
        Self { address: provider }
    }
}
