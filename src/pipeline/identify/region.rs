//! Where a request comes from.

use std::{net::IpAddr, str::FromStr};

use crate::{pipeline::admit::Claims, runtime::Regions, types::Region};

/// The region of a request: what a trusted peer says, else what the config knows of the client's address. A word that is no
/// name says nothing.
#[must_use]
pub fn of(claims: &Claims, ip: Option<IpAddr>, regions: &Regions) -> Option<Region> {
    let claimed = claims.region.as_ref().and_then(|region| Region::from_str(region.to_str().ok()?).ok());
    claimed.or_else(|| regions.of(ip))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::{config, telemetry::Metrics};

    #[test]
    fn a_trusted_word_counts_before_the_network_and_what_is_no_name_says_nothing() {
        let networks = [("eu".parse().unwrap(), vec!["10.0.0.0/8".parse().unwrap()])].into();
        let said = config::Regions { networks, geoip: None, default: Some("us".parse().unwrap()) };
        let regions = Regions::new(&said, None, &Metrics::default()).unwrap();
        for (claim, ip, expected) in [
            (None, Some("10.0.0.1"), "eu"),
            (None, Some("11.0.0.1"), "us"),
            (None, None, "us"),
            (Some("asia"), Some("10.0.0.1"), "asia"),
            (Some("asia"), None, "asia"),
            (Some(""), Some("10.0.0.1"), "eu"),
            (Some("no name"), Some("10.0.0.1"), "eu"),
            (Some("\u{e9}u"), Some("10.0.0.1"), "eu"),
        ] {
            let region = claim.map(|claim| HeaderValue::from_bytes(claim.as_bytes()).unwrap());
            let claims = Claims { region, ..Claims::default() };
            let found = of(&claims, ip.map(|ip| ip.parse().unwrap()), &regions);
            assert_eq!(found.unwrap().as_str(), expected, "{claim:?} {ip:?}");
        }
    }
}
