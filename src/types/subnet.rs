//! The addresses that one subscriber has: what counts as one caller where a caller is known by its address alone.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// How much of an IPv6 address its network gives out; the rest its holder chooses (RFC 4291 §2.5.4, RFC 6177 §2).
const SUBNET: u8 = 64;

/// `64:ff9b::/96`, under which an IPv6 network writes the addresses of IPv4 (RFC 6052 §2.1). Prefixes that a network chose for
/// itself are nothing that others can know.
const NAT64: u128 = 0x0064_ff9b << 96;

/// The address as the one it stands for: an IPv4 address in IPv6 clothes, mapped (RFC 4291 §2.5.5.2) or translated by the well-known
/// prefix, is IPv4.
#[must_use]
pub fn plain(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) if ip.to_bits() >> 32 == NAT64 >> 32 => IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() as u32)),
        ip => ip,
    }
}

/// One IPv4 address, or the /64 of an IPv6 address: whoever has one address of it has them all, 2⁶⁴ identities otherwise. An
/// IPv4 address in IPv6 clothes counts as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet {
    ip: IpAddr,
    /// Bits that count; 32 for IPv4.
    prefix: u8,
}

impl Subnet {
    /// The network of `prefix` bits around it: one holder may have a /56 or a /48 and all of its subnets (RFC 6177 §2). `None` for
    /// IPv4, whose addresses are given out one by one, and for a prefix that would be no wider.
    #[must_use]
    pub fn wider(self, prefix: u8) -> Option<Self> {
        match self.ip {
            IpAddr::V6(ip) if prefix < self.prefix => Some(Self::cut(ip, prefix)),
            _ => None,
        }
    }

    /// The same as bytes: no two of them are equal.
    #[must_use]
    pub fn bytes(self) -> [u8; 17] {
        let ip = match self.ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let mut bytes = [self.prefix; 17];
        bytes[..16].copy_from_slice(&ip.octets());
        bytes
    }

    fn cut(ip: Ipv6Addr, prefix: u8) -> Self {
        let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
        Self { ip: IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & mask)), prefix }
    }
}

impl From<IpAddr> for Subnet {
    fn from(ip: IpAddr) -> Self {
        match plain(ip) {
            IpAddr::V6(ip) => Self::cut(ip, SUBNET),
            v4 => Self { ip: v4, prefix: 32 },
        }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            IpAddr::V4(ip) => ip.fmt(f),
            IpAddr::V6(ip) => write!(f, "{ip}/{}", self.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(ip: &str) -> Subnet {
        Subnet::from(ip.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn one_subscriber_is_one_subnet() {
        for (ip, expected) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.8", "203.0.113.8"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("64:ff9b::203.0.113.7", "203.0.113.7"),
            ("64:ff9b::cb00:7107", "203.0.113.7"),
            // Beside the well-known prefix: for local use (RFC 8215), and one bit off.
            ("64:ff9b:1::203.0.113.7", "64:ff9b:1::/64"),
            ("64:ff9b::1:203.0.113.7", "64:ff9b::/64"),
            ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
            ("::1", "::/64"),
        ] {
            assert_eq!(subnet(ip).to_string(), expected, "{ip}");
        }
    }

    #[test]
    fn a_holder_of_many_subnets_is_one_in_the_network_around_them() {
        let wider = |ip, prefix| subnet(ip).wider(prefix);
        for (one, other, alike) in [
            ("2001:db8:1:200::1", "2001:db8:1:2ff::1", [true, true]),
            ("2001:db8:1:200::1", "2001:db8:1:300::1", [false, true]),
            ("2001:db8:1:200::1", "2001:db8:2:200::1", [false, false]),
        ] {
            assert_eq!([56, 48].map(|prefix| wider(one, prefix).unwrap() == wider(other, prefix).unwrap()), alike, "{one} {other}");
        }
        assert_eq!(wider("2001:db8:1:2ff::1", 56).unwrap().to_string(), "2001:db8:1:200::/56");
        // The same bits are not the same network.
        assert_ne!(wider("2001:db8::1", 56), wider("2001:db8::1", 48));
        assert_ne!(wider("2001:db8::1", 48), Some(subnet("2001:db8::1")));
        assert_eq!(wider("2001:db8::1", 0).unwrap().to_string(), "::/0");
        for (ip, prefix) in [("203.0.113.7", 24), ("64:ff9b::203.0.113.7", 56), ("2001:db8::1", 64), ("2001:db8::1", 128)] {
            assert_eq!(wider(ip, prefix), None, "{ip} {prefix}");
        }
    }
}
