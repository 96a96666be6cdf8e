//! `trust:`: whose word about a request's origin counts.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::as_text;

/// Which peers may set `X-Forwarded-For`, `X-API-Tier`, `X-Region` and `X-Priority`; from all others these are dropped.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Trust {
    /// Networks in CIDR form, `loopback`, or `unix` for every peer on a Unix socket.
    pub proxies: Vec<TrustedPeer>,
}

impl Trust {
    /// Whether the peer at this address is trusted; `None` is a peer on a Unix socket.
    #[must_use]
    pub fn covers(&self, peer: Option<IpAddr>) -> bool {
        self.proxies.iter().any(|trusted| trusted.covers(peer))
    }
}

/// One kind of trusted peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustedPeer {
    /// Addresses of a network.
    Network(IpNet),
    /// This machine, over TCP.
    Loopback,
    /// This machine, over a Unix socket.
    Unix,
}

impl TrustedPeer {
    /// Whether it covers this peer. An IPv4 address in IPv6 clothes counts as IPv4.
    #[must_use]
    pub fn covers(self, peer: Option<IpAddr>) -> bool {
        match (self, peer.map(|ip| ip.to_canonical())) {
            (Self::Unix, None) => true,
            (Self::Loopback, Some(ip)) => ip.is_loopback(),
            (Self::Network(net), Some(ip)) => net.contains(&ip),
            _ => false,
        }
    }
}

impl FromStr for TrustedPeer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "loopback" => Ok(Self::Loopback),
            "unix" => Ok(Self::Unix),
            net => net
                .parse::<IpNet>()
                .or_else(|_| net.parse::<IpAddr>().map(IpNet::from))
                .map(Self::Network)
                .map_err(|_| format!("`{net}` is no network; write one such as `10.0.0.0/8`, or `loopback`, or `unix`")),
        }
    }
}

impl fmt::Display for TrustedPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(net) => net.fmt(f),
            Self::Loopback => f.write_str("loopback"),
            Self::Unix => f.write_str("unix"),
        }
    }
}

as_text!(TrustedPeer, "TrustedPeer", { "examples": ["10.0.0.0/8", "loopback", "unix"] });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_peer_is_the_same_in_ipv6_clothes_and_unix_is_no_address() {
        let trust = |text: &str| Trust { proxies: vec![text.parse().unwrap()] };
        for (who, peer, covered) in [
            ("10.0.0.0/8", Some("10.1.2.3"), true),
            ("10.0.0.0/8", Some("::ffff:10.1.2.3"), true),
            ("10.0.0.0/8", Some("11.0.0.1"), false),
            ("10.0.0.7", Some("10.0.0.7"), true),
            ("loopback", Some("127.0.0.9"), true),
            ("loopback", Some("::1"), true),
            ("loopback", None, false),
            ("unix", None, true),
            ("unix", Some("127.0.0.1"), false),
            ("fd00::/8", Some("fd00::1"), true),
        ] {
            assert_eq!(trust(who).covers(peer.map(|ip| ip.parse().unwrap())), covered, "{who} {peer:?}");
        }
    }
}
