//! The caller of one request, as step 2 found it.

use std::net::IpAddr;

use crate::types::{ClientName, Tier};

/// The caller of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its name, if it has a key of ours.
    pub name: Option<ClientName>,
    /// Its tier.
    pub tier: Option<Tier>,
    /// Its address; `None` on a Unix socket without a trusted word on it.
    pub ip: Option<IpAddr>,
    /// Whether the credential it presented is ours, and so of no use to any provider.
    pub key_is_ours: bool,
}
