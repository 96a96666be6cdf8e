//! The addresses that one subscriber has: what counts as one caller where a caller is known by its address alone.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

/// How much of an IPv6 address its network gives out; the rest its holder chooses (RFC 4291 §2.5.4, RFC 6177 §2).
const SUBNET: u128 = !(u64::MAX as u128);

/// One IPv4 address, or the /64 of an IPv6 address: whoever has one address of it has them all, 2⁶⁴ identities otherwise. An
/// IPv4 address in IPv6 clothes counts as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet(IpAddr);

impl From<IpAddr> for Subnet {
    fn from(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & SUBNET)),
            v4 => v4,
        })
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => ip.fmt(f),
            IpAddr::V6(ip) => write!(f, "{ip}/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_subscriber_is_one_subnet() {
        let subnet = |ip: &str| Subnet::from(ip.parse::<IpAddr>().unwrap()).to_string();
        for (ip, expected) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.8", "203.0.113.8"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
            ("::1", "::/64"),
        ] {
            assert_eq!(subnet(ip), expected, "{ip}");
        }
    }
}
