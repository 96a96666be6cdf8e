//! The networks of all regions as one list of ranges that do not overlap: one search by halves finds the smallest network
//! around an address.

use std::net::IpAddr;

use crate::{
    config::Network,
    types::{Region, subnet},
};

/// The networks of all regions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Networks {
    v4: Ranges,
    v6: Ranges,
}

impl Networks {
    /// Takes each network with its region. Of one that is there twice, the last region counts.
    #[must_use]
    pub fn new<'n>(networks: impl IntoIterator<Item = (Network, &'n Region)>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (network, region) in networks {
            let of_family = if matches!(network.bounds().0, IpAddr::V4(_)) { &mut v4 } else { &mut v6 };
            of_family.push((network, region));
        }
        Self { v4: Ranges::new(v4, u32::MAX.into()), v6: Ranges::new(v6, u128::MAX) }
    }

    /// The region of the smallest network that the address is in.
    #[must_use]
    pub fn of(&self, ip: IpAddr) -> Option<&Region> {
        let ip = subnet::plain(ip);
        if ip.is_ipv4() { self.v4.of(bits(ip)) } else { self.v6.of(bits(ip)) }
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// Where each range begins, in order, and whose it is; it goes on to the next.
#[derive(Clone, Debug, Default, PartialEq)]
struct Ranges(Vec<(u128, Option<Region>)>);

impl Ranges {
    /// Networks either lie inside of each other or apart. So, sorted, those around an address are a stack.
    fn new(mut networks: Vec<(Network, &Region)>, last_of_all: u128) -> Self {
        networks.sort_by_key(|(network, _)| (network.bounds().0, network.prefix()));
        let (mut ranges, mut around) = (Self::default(), Vec::<(u128, &Region)>::new());
        for (network, region) in networks {
            let (first, last) = network.bounds();
            ranges.close(&mut around, bits(first));
            ranges.begin(bits(first), Some(region));
            around.push((bits(last), region));
        }
        ranges.close(&mut around, last_of_all);
        ranges
    }

    /// Ends every network that is over before `next`: from there on the one around it holds.
    fn close(&mut self, around: &mut Vec<(u128, &Region)>, next: u128) {
        while let Some((last, _)) = around.pop_if(|(last, _)| *last < next) {
            self.begin(last + 1, around.last().map(|(_, region)| *region));
        }
    }

    fn begin(&mut self, first: u128, region: Option<&Region>) {
        let region = region.cloned();
        match self.0.last_mut() {
            Some(before) if before.0 == first => before.1 = region,
            _ => self.0.push((first, region)),
        }
    }

    fn of(&self, ip: u128) -> Option<&Region> {
        let behind = self.0.partition_point(|(first, _)| *first <= ip);
        self.0[..behind].last()?.1.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use ipnet::{IpNet, Ipv4Net, Ipv6Net};
    use proptest::prelude::*;

    use super::*;

    fn table(networks: &[(&str, &str)]) -> Networks {
        let parsed: Vec<(Network, Region)> = networks.iter().map(|(net, region)| (net.parse().unwrap(), region.parse().unwrap())).collect();
        Networks::new(parsed.iter().map(|(net, region)| (*net, region)))
    }

    #[test]
    fn the_smallest_network_around_an_address_says_its_region() {
        let table = table(&[
            ("10.0.0.0/8", "us"),
            ("10.1.0.0/16", "eu"),
            ("10.1.2.0/24", "asia"),
            ("10.1.2.255/32", "us"),
            ("255.255.255.255/32", "eu"),
            ("2001:db8::/32", "eu"),
            ("2001:db8:1::/48", "asia"),
            ("ffff::/16", "us"),
        ]);
        for (ip, region) in [
            ("9.255.255.255", None),
            ("10.0.0.0", Some("us")),
            ("10.0.255.255", Some("us")),
            ("10.1.0.0", Some("eu")),
            ("10.1.2.0", Some("asia")),
            ("10.1.2.254", Some("asia")),
            ("10.1.2.255", Some("us")),
            ("10.1.3.0", Some("eu")),
            ("10.1.255.255", Some("eu")),
            ("10.2.0.0", Some("us")),
            ("11.0.0.0", None),
            ("255.255.255.254", None),
            ("255.255.255.255", Some("eu")),
            ("::ffff:10.1.2.3", Some("asia")),
            ("64:ff9b::10.1.2.3", Some("asia")),
            // An IPv6 address whose number is that of an IPv4 address is none.
            ("::10.1.2.3", None),
            ("2001:db8::1", Some("eu")),
            ("2001:db8:1::1", Some("asia")),
            ("2001:db8:2::", Some("eu")),
            ("2001:db9::", None),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("us")),
        ] {
            assert_eq!(table.of(ip.parse().unwrap()).map(Region::as_str), region, "{ip}");
        }
    }

    #[test]
    fn without_networks_nobody_has_a_region_and_the_widest_has_everybody() {
        assert_eq!(table(&[]).of("10.0.0.1".parse().unwrap()), None);
        let all = table(&[("0.0.0.0/0", "us"), ("::/0", "eu")]);
        for (ip, region) in [("0.0.0.0", "us"), ("255.255.255.255", "us"), ("::", "eu"), ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "eu")]
        {
            assert_eq!(all.of(ip.parse().unwrap()).unwrap().as_str(), region, "{ip}");
        }
    }

    /// Few bits in use, so that networks meet.
    fn network() -> impl Strategy<Value = Network> {
        let v4 = (0u32..32, 0u8..=32).prop_map(|(ip, prefix)| IpNet::V4(Ipv4Net::new((ip << 27 | ip).into(), prefix).unwrap()));
        let v6 = (0u128..32, 0u8..=128).prop_map(|(ip, prefix)| IpNet::V6(Ipv6Net::new((ip << 123 | ip).into(), prefix).unwrap()));
        prop_oneof![v4, v6].prop_map(Network::from)
    }

    proptest! {
        #[test]
        fn the_ranges_say_what_a_look_at_each_network_says(networks in prop::collection::vec(network(), 0..40), at in 0usize..40, beside in -2i8..=2) {
            let names: Vec<Region> = (0..networks.len()).map(|n| format!("r{n}").parse().unwrap()).collect();
            let table = Networks::new(networks.iter().copied().zip(&names));
            // Near where a range begins or ends is where it goes wrong.
            let edge = networks.get(at).map_or("10.0.0.1".parse().unwrap(), |network| network.bounds().1);
            let ip: IpAddr = match edge {
                IpAddr::V4(ip) => IpAddr::V4(ip.to_bits().wrapping_add_signed(beside.into()).into()),
                IpAddr::V6(ip) => IpAddr::V6(ip.to_bits().wrapping_add_signed(beside.into()).into()),
            };
            let plain = subnet::plain(ip);
            let holds = |network: &Network| {
                let (first, last) = network.bounds();
                first.is_ipv4() == plain.is_ipv4() && first <= plain && plain <= last
            };
            let naive = networks.iter().zip(&names).filter(|(network, _)| holds(network)).max_by_key(|(network, _)| network.prefix());
            prop_assert_eq!(table.of(ip), naive.map(|(_, name)| name));
        }
    }
}
