//! The keys that an issuer publishes, as far as they are here, and who may have them fetched.
//!
//! A token with a key that is not known may be signed with one that the issuer has begun to use; so it may have the set fetched. It
//! may as well be made up. So all such tokens together have it fetched once in a while, and all that come meanwhile wait for that one
//! fetch: a flood of them is one request to the issuer.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, watch};

use crate::config::JwtKey;

/// How long tokens with unknown keys have no more fetched, from one time to the next.
pub const BETWEEN: Duration = Duration::from_secs(30);

/// The key set of one issuer. It lives through generations of the config.
pub struct Issuer {
    keys: ArcSwapOption<Vec<Arc<JwtKey>>>,
    flight: Mutex<Flight>,
    /// How many fetches have come to an end.
    landed: watch::Sender<u64>,
    /// Wakes whoever fetches.
    wanted: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Flight {
    is_underway: bool,
    /// When a token had it fetched the last time.
    asked: Option<Instant>,
}

impl Issuer {
    /// One whose keys are not here; whoever is to fetch them hears of it by `wanted`.
    #[must_use]
    pub fn new(wanted: Arc<Notify>) -> Self {
        Self { keys: ArcSwapOption::empty(), flight: Mutex::default(), landed: watch::Sender::new(0), wanted }
    }

    /// The keys, once they were here.
    #[must_use]
    pub fn keys(&self) -> Option<Arc<Vec<Arc<JwtKey>>>> {
        self.keys.load_full()
    }

    /// A token needs a key that is not here. `Some` tells of the end of a fetch that may bring it; `None` means that none will come
    /// soon enough.
    #[must_use]
    pub fn want(&self, now: Instant) -> Option<watch::Receiver<u64>> {
        let mut flight = self.flight();
        if !flight.is_underway {
            if flight.asked.is_some_and(|asked| now.saturating_duration_since(asked) < BETWEEN) {
                return None;
            }
            *flight = Flight { is_underway: true, asked: Some(now) };
            self.wanted.notify_one();
        }
        // Under the lock: an end that comes right behind it is one that this receiver has not seen.
        Some(self.landed.subscribe())
    }

    /// Whether a token has it fetched, and nobody has done so yet; or somebody is at it.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.flight().is_underway
    }

    /// A fetch begins.
    pub fn begin(&self) {
        self.flight().is_underway = true;
    }

    /// A fetch has ended: with these keys, or with none, and then those of the last one are kept.
    pub fn end(&self, keys: Option<Vec<JwtKey>>) {
        let mut flight = self.flight();
        if let Some(keys) = keys {
            self.keys.store(Some(Arc::new(keys.into_iter().map(Arc::new).collect())));
        }
        flight.is_underway = false;
        self.landed.send_modify(|landed| *landed += 1);
    }

    /// A panic elsewhere leaves it as it was: nothing in here can stop half way.
    fn flight(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issuer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_has_the_set_fetched_once_and_not_again_for_a_while() {
        let (issuer, start) = (Issuer::new(Arc::default()), Instant::now());
        let waiting: Vec<_> = (0..1_000).map(|_| issuer.want(start).unwrap()).collect();
        assert!(issuer.is_wanted());
        issuer.begin();
        issuer.end(None);
        assert!(waiting.iter().all(|fetch| fetch.has_changed().unwrap()));
        assert!(issuer.want(start + BETWEEN - Duration::from_secs(1)).is_none());
        assert!(!issuer.is_wanted());
        assert!(issuer.want(start + BETWEEN).is_some());
    }

    #[test]
    fn who_comes_during_a_fetch_waits_for_it_and_has_none_made() {
        let (issuer, now) = (Issuer::new(Arc::default()), Instant::now());
        issuer.begin();
        let fetch = issuer.want(now).unwrap();
        issuer.end(Some(Vec::new()));
        assert!(fetch.has_changed().unwrap());
        assert!(issuer.want(now).is_some(), "the first that a token has made");
        assert!(issuer.keys().is_some());
        issuer.end(None);
        assert!(issuer.keys().is_some(), "the last good set is kept");
    }
}
