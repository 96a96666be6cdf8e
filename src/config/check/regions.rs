//! `regions:`: each network and place in one region only, and a database that can tell places.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
    hash::Hash,
};

use super::Review;
use crate::{
    config::{
        Config, Geoip, database,
        path::{FieldPath, field},
        problem::Fault,
    },
    types::Region,
};

pub(super) fn check(review: &mut Review<'_>, config: &Config) {
    let regions = &config.regions;
    once(review, &field!["regions", "networks"], "network", &regions.networks);
    let Some(geoip) = &regions.geoip else { return };
    let at = field!["regions", "geoip"];
    once(review, &at.then("countries"), "country", &geoip.countries);
    once(review, &at.then("continents"), "continent", &geoip.continents);
    let nowhere = geoip.countries.values().all(Vec::is_empty) && geoip.continents.values().all(Vec::is_empty);
    if nowhere && review.intact(&at) {
        let fault =
            Fault::new("no place of the database has a region", "add `continents: { eu: [EU] }` or `countries:`, or remove `geoip`");
        review.name(&at, fault);
    }
    database(review, &at.then("database"), geoip);
}

/// Refuses every place that an earlier region has.
fn once<P: Copy + Eq + Hash + Display>(review: &mut Review<'_>, at: &FieldPath, kind: &str, regions: &BTreeMap<Region, Vec<P>>) {
    let mut seen: HashMap<P, &Region> = HashMap::new();
    for (region, places) in regions {
        for (i, place) in places.iter().enumerate() {
            let first = *seen.entry(*place).or_insert(region);
            if first != region {
                let message = format!("the {kind} `{place}` is in two regions, `{first}` and `{region}`");
                review.value(&at.then(region.as_str()).then(i), Fault::new(message, "leave it in one of the two"));
            }
        }
    }
}

/// The file is looked at, not read: it may be large. The one in use is looked after where it is used: what has become of it must not
/// keep other changes from being made.
fn database(review: &mut Review<'_>, at: &FieldPath, geoip: &Geoip) {
    if review.database == Some(&*geoip.database) {
        return;
    }
    if let Err(why) = database::check(&geoip.database) {
        // So that it is looked for again.
        review.files.push(geoip.database.clone());
        let message = format!("the database `{}` can't be used: {why}", geoip.database.display());
        review.value(at, Fault::new(message, "give the path of a file such as `GeoLite2-Country.mmdb` that this user may read"));
    }
}
