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

/// The pool's key: what the provider must see in place of the caller's credentials.
pub(crate) const POOL_KEY: &str = "sk-of-the-pool-0123456789";
