//! What the places of a GeoIP database are called here.

use std::collections::HashMap;

use crate::{
    config::{Geoip, places::Code},
    types::Region,
};

/// The regions of countries and continents, by their codes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places {
    countries: HashMap<Code, Region>,
    continents: HashMap<Code, Region>,
}

impl Places {
    /// What the config says of them.
    #[must_use]
    pub fn new(geoip: &Geoip) -> Self {
        let countries = geoip.countries.iter().flat_map(|(region, all)| all.iter().map(|country| (country.code(), region.clone())));
        let continents = geoip.continents.iter().flat_map(|(region, all)| all.iter().map(|continent| (continent.code(), region.clone())));
        Self { countries: countries.collect(), continents: continents.collect() }
    }

    /// The region of a place, by the codes that a database has for its country and its continent: the country's, else the
    /// continent's. What is no code is none.
    #[must_use]
    pub fn of(&self, country: Option<&str>, continent: Option<&str>) -> Option<&Region> {
        known(&self.countries, country).or_else(|| known(&self.continents, continent))
    }
}

fn known<'r>(regions: &'r HashMap<Code, Region>, code: Option<&str>) -> Option<&'r Region> {
    let code: Code = code?.as_bytes().try_into().ok()?;
    regions.get(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_counts_before_its_continent() {
        let region = |name: &str| name.parse::<Region>().unwrap();
        let places = Places::new(&Geoip {
            database: "unread".into(),
            countries: [(region("dach"), vec!["DE".parse().unwrap(), "AT".parse().unwrap()])].into(),
            continents: [(region("eu"), vec!["EU".parse().unwrap()]), (region("latam"), vec!["SA".parse().unwrap()])].into(),
        });
        for (country, continent, expected) in [
            (Some("DE"), Some("EU"), Some("dach")),
            (Some("FR"), Some("EU"), Some("eu")),
            (None, Some("EU"), Some("eu")),
            (Some("AT"), None, Some("dach")),
            (Some("JP"), Some("AS"), None),
            (Some("??"), Some("EU"), Some("eu")),
            // Saudi Arabia has the code that South America has among continents.
            (Some("SA"), Some("AS"), None),
            (None, None, None),
        ] {
            assert_eq!(places.of(country, continent).map(Region::as_str), expected, "{country:?} {continent:?}");
        }
    }
}
