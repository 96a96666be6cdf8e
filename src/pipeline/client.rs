//! The caller of one request, as step 2 found it.

use std::net::IpAddr;

use crate::types::{ClientName, Region, Subnet, Tier};

/// The caller of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its name, if it has a key of ours.
    pub name: Option<ClientName>,
    /// Its tier.
    pub tier: Option<Tier>,
    /// The region that it calls from.
    pub region: Option<Region>,
    /// Its address; `None` on a Unix socket without a trusted word on it.
    pub ip: Option<IpAddr>,
    /// Whether a credential that it presented is ours, and so no provider's business.
    pub key_is_ours: bool,
}

/// What makes a caller the same as another: where something is counted for each of them, this is its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identity<'c> {
    /// A client with a key of ours, wherever it calls from.
    Named(&'c ClientName),
    /// A stranger, by where it calls from.
    At(Subnet),
    /// A stranger on this machine, over a Unix socket.
    Local,
}

impl Client {
    /// Who it is, as far as anybody can tell.
    #[must_use]
    pub fn identity(&self) -> Identity<'_> {
        match (&self.name, self.ip) {
            (Some(name), _) => Identity::Named(name),
            (None, Some(ip)) => Identity::At(ip.into()),
            (None, None) => Identity::Local,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_makes_the_client_and_without_one_its_subnet_does() {
        let client = |name: Option<&str>, ip: Option<&str>| Client {
            name: name.map(|name| name.parse().unwrap()),
            tier: None,
            region: None,
            ip: ip.map(|ip| ip.parse().unwrap()),
            key_is_ours: name.is_some(),
        };
        let same = |one: (Option<&str>, Option<&str>), other: (Option<&str>, Option<&str>)| {
            client(one.0, one.1).identity() == client(other.0, other.1).identity()
        };
        assert!(same((Some("web"), Some("1.2.3.4")), (Some("web"), None)));
        assert!(!same((Some("web"), Some("1.2.3.4")), (None, Some("1.2.3.4"))));
        assert!(same((None, Some("2001:db8::1")), (None, Some("2001:db8::2"))));
        assert!(!same((None, Some("1.2.3.4")), (None, Some("1.2.3.5"))));
        assert!(!same((None, None), (None, Some("::1"))));
    }
}
