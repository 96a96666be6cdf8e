//! Which region an address belongs to, as the config in force and the database in use say.

pub mod database;

use std::{net::IpAddr, sync::Arc, time::Instant};

use self::database::Database;
use crate::{
    config,
    policy::regions::{Networks, Places},
    telemetry::Metrics,
    types::Region,
};

/// The regions of one generation. The database is not the generation's: it changes while the generation stays, and stays while the
/// next ones come.
#[derive(Debug, Default)]
pub struct Regions {
    networks: Networks,
    geoip: Option<(Arc<Database>, Places)>,
    default: Option<Region>,
}

impl Regions {
    /// Prepares what the config says. The database that the generation `before` uses is not read again.
    ///
    /// # Errors
    ///
    /// If the database can't be used.
    pub fn new(regions: &config::Regions, before: Option<&Self>, metrics: &Metrics) -> Result<Self, String> {
        let networks = regions.networks.iter().flat_map(|(region, networks)| networks.iter().map(move |network| (*network, region)));
        let in_use = before.and_then(Self::database);
        let geoip = regions.geoip.as_ref().map(|geoip| {
            let database = match in_use.filter(|database| database.path() == geoip.database) {
                Some(in_use) => Arc::clone(in_use),
                None => Arc::new(Database::open(geoip.database.clone(), metrics.region_database())?),
            };
            Ok::<_, String>((database, Places::new(geoip)))
        });
        Ok(Self { networks: Networks::new(networks), geoip: geoip.transpose()?, default: regions.default.clone() })
    }

    /// The region of a client at this address: by the smallest network around it, else by its place, else the default one. `None` is
    /// a client on a Unix socket.
    #[must_use]
    pub fn of(&self, ip: Option<IpAddr>) -> Option<Region> {
        let by_network = || self.networks.of(ip?).cloned();
        let by_place = || {
            let (database, places) = self.geoip.as_ref()?;
            database.region(ip?, places)
        };
        by_network().or_else(by_place).or_else(|| self.default.clone())
    }

    /// The database in use.
    #[must_use]
    pub fn database(&self) -> Option<&Arc<Database>> {
        self.geoip.as_ref().map(|(database, _)| database)
    }

    /// Takes up a new database that has come to rest. Blocks on its file.
    pub fn look(&self, now: Instant) {
        if let Some(database) = self.database() {
            database.look(now);
        }
    }

    /// Takes up a new database at once, at the word of an operator, who knows that it has come to rest. Blocks on its file.
    pub fn renew(&self) {
        if let Some(database) = self.database() {
            database.renew();
        }
    }
}
