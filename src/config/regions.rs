//! `regions:`: which region a request comes from.

use std::{collections::BTreeMap, fmt, net::IpAddr, path::PathBuf, str::FromStr};

use ipnet::{IpNet, Ipv4Net};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::places::{Continent, Country};
use crate::types::{Region, as_text, subnet};

/// Which region a request comes from: what its JWT says, else a trusted peer in `X-Region`, else the smallest of `networks` that its client's address is
/// in, else what the GeoIP database knows of the address, else `default`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Regions {
    /// The networks of each region, in CIDR form. A network inside of another region's is an exception from it.
    pub networks: BTreeMap<Region, Vec<Network>>,
    /// A GeoIP database and what its places are called here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub geoip: Option<Geoip>,
    /// The region of every other request, also of one without an address, over a Unix socket. Without it they have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Region>,
}

/// A GeoIP database and what its places are called here.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Geoip {
    /// A MaxMind DB file that knows countries, such as `GeoLite2-Country.mmdb`; at most 512 MiB. A new file in its place is taken up by
    /// itself.
    pub database: PathBuf,
    /// The countries of each region, by their codes in ISO 3166. A country counts before its continent.
    #[serde(default)]
    pub countries: BTreeMap<Region, Vec<Country>>,
    /// The continents of each region: `AF`, `AN`, `AS`, `EU`, `NA`, `OC`, `SA`.
    #[serde(default)]
    pub continents: BTreeMap<Region, Vec<Continent>>,
}

/// A network. One that holds nothing but IPv4 addresses in IPv6 clothes is the IPv4 network, as addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(IpNet);

impl Network {
    /// The bits that count.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.0.prefix_len()
    }

    /// Its first and its last address.
    #[must_use]
    pub fn bounds(self) -> (IpAddr, IpAddr) {
        (self.0.network(), self.0.broadcast())
    }
}

impl From<IpNet> for Network {
    fn from(net: IpNet) -> Self {
        let net = net.trunc();
        let plain = net.prefix_len().checked_sub(96).and_then(|prefix| match subnet::plain(net.network()) {
            IpAddr::V4(ip) if matches!(net, IpNet::V6(_)) => Ipv4Net::new(ip, prefix).ok(),
            _ => None,
        });
        Self(plain.map_or(net, IpNet::V4))
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        net.map(Self::from).map_err(|_| format!("`{text}` is no network; write one such as `10.1.0.0/16` or `2001:db8::/32`"))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

as_text!(Network, "Network", { "examples": ["10.1.0.0/16", "2001:db8::/32"] });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_network_is_the_same_however_it_is_written() {
        for (text, network) in [
            ("10.1.0.0/16", "10.1.0.0/16"),
            ("10.1.2.3/16", "10.1.0.0/16"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("::ffff:10.1.0.0/112", "10.1.0.0/16"),
            ("::ffff:10.1.2.3", "10.1.2.3/32"),
            ("64:ff9b::10.1.0.0/112", "10.1.0.0/16"),
            ("::ffff:0.0.0.0/96", "0.0.0.0/0"),
            // It holds more than IPv4.
            ("::ffff:0:0/95", "::fffe:0:0/95"),
            ("::/0", "::/0"),
            ("2001:DB8:0::1/32", "2001:db8::/32"),
        ] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), network, "{text}");
        }
        for text in ["", "eu", "10.1.0.0/33", "10.1/16", "10.1.0.0/-1", "2001:db8::/129", "10.0.0.0-10.0.0.9"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
