//! A GeoIP database in memory, which is exchanged for a new one while requests look addresses up.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use arc_swap::ArcSwap;
use maxminddb::{
    PathElement::{self, Key},
    Reader,
};

use crate::{
    config::DatabaseFile,
    policy::regions::Places,
    telemetry::metrics::RegionDatabaseMetrics,
    types::{Region, subnet},
};

/// How many of a database's networks are looked at for one that tells a place. Nearly each does, in one that tells any.
const LOOKED_AT: usize = 10_000;

/// Where a record tells the country, in the order of preference: where the address is used, else where it is registered.
const COUNTRY: [&[PathElement<'_>]; 2] = [&[Key("country"), Key("iso_code")], &[Key("registered_country"), Key("iso_code")]];
/// Where a record tells the continent.
const CONTINENT: &[PathElement<'_>] = &[Key("continent"), Key("code")];

/// A database in use. A look-up holds it for a moment, so an old one goes as soon as a new one is there.
pub struct Database {
    path: PathBuf,
    file: Mutex<DatabaseFile>,
    reader: ArcSwap<Reader<Vec<u8>>>,
    metrics: RegionDatabaseMetrics,
}

impl Database {
    /// Reads the file into memory.
    ///
    /// # Errors
    ///
    /// If it can't be read, is no database, or tells no places.
    pub fn open(path: PathBuf, metrics: RegionDatabaseMetrics) -> Result<Self, String> {
        let mut file = DatabaseFile::new(path.clone());
        let reader = read(&mut file)?;
        metrics.built.set(reader.metadata().build_epoch as f64);
        Ok(Self { path, file: Mutex::new(file), reader: ArcSwap::from_pointee(reader), metrics })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The region of the place where the address is. A record that can't be read tells none.
    #[must_use]
    pub fn region(&self, ip: IpAddr, places: &Places) -> Option<Region> {
        let reader = self.reader.load();
        let (country, continent) = place(&reader, subnet::plain(ip))?;
        places.of(country, continent).cloned()
    }

    /// Takes up a new file that has come to rest.
    pub(super) fn look(&self, now: Instant) {
        let mut file = self.file();
        if file.has_settled(now) {
            self.exchange(&mut file);
        }
    }

    /// Takes up a new file at once.
    pub(super) fn renew(&self) {
        let mut file = self.file();
        if file.has_changed() {
            self.exchange(&mut file);
        }
    }

    fn exchange(&self, file: &mut DatabaseFile) {
        match read(file) {
            Ok(reader) => {
                let built = reader.metadata().build_epoch;
                self.reader.store(reader.into());
                self.metrics.built.set(built as f64);
                self.metrics.reloaded.increment(1);
                tracing::info!(path = %self.path.display(), built, "the GeoIP database changed and is in use");
            }
            Err(error) => {
                self.metrics.failed.increment(1);
                tracing::warn!(%error, "the GeoIP database changed and can't be used; what was in use before still is");
            }
        }
    }

    /// A panic elsewhere leaves it fit for the next look.
    fn file(&self) -> MutexGuard<'_, DatabaseFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({})", self.path.display())
    }
}

fn read(file: &mut DatabaseFile) -> Result<Reader<Vec<u8>>, String> {
    let fit = "give a MaxMind DB file with countries, such as `GeoLite2-Country.mmdb`";
    let refuse = |path: &Path, why: &dyn fmt::Display| format!("the database `{}` can't be used: {why}; {fit}", path.display());
    let bytes = file.read().map_err(|why| refuse(file.path(), &why))?;
    let reader = Reader::from_source(bytes).map_err(|why| refuse(file.path(), &why))?;
    if tells_places(&reader) {
        Ok(reader)
    } else {
        let why = format!("it is a `{}` and tells no country", reader.metadata().database_type);
        Err(refuse(file.path(), &why))
    }
}

/// Whether it is a database of places at all. Others have the same form: of networks' owners, of connection types.
fn tells_places(reader: &Reader<Vec<u8>>) -> bool {
    let networks = reader.networks(Default::default()).into_iter().flatten();
    let mut first = networks.take(LOOKED_AT).filter_map(|found| found.ok()?.network().ok());
    first.any(|network| place(reader, network.ip()).is_some_and(|place| place != (None, None)))
}

/// The codes of country and continent that the database has for an address.
fn place(reader: &Reader<Vec<u8>>, ip: IpAddr) -> Option<(Option<&str>, Option<&str>)> {
    // An IPv4 database knows no IPv6 address.
    let found = reader.lookup(ip).ok().filter(|found| found.has_data())?;
    let text = |path| found.decode_path::<&str>(path).ok().flatten();
    Some((COUNTRY.into_iter().find_map(text), text(CONTINENT)))
}
