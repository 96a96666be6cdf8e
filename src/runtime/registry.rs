//! The states that outlive generations of the config: counters that a reload must not lose, by the identity of what they
//! count.
//!
//! A state that no generation names any more is kept for a while, so that taking something out and putting it back grants
//! nothing, and then swept. What still runs keeps its state alive by itself.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    hash::{DefaultHasher, Hash, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{
    Snapshot, Waiting,
    limits::{self, Hasher, LimitId},
};
use crate::{
    config::{Roots, jwt::KeySetUrl},
    policy::{
        breaker::Board,
        jwt::issuer::Issuer,
        key_pool::{self, Turn, homes::Homes},
        limits::{Spec, State},
        pace::Pace,
        queue::Line,
        retry::Budget,
    },
    telemetry::{KeyRecord, ProviderRecord},
    types::{Fingerprint, Moment, ProviderName},
};

/// How long states are kept that nothing names.
const LINGER: Duration = Duration::from_secs(600);

/// The most states of one kind that are kept beside those in use. Whoever rotates keys a thousand times in ten minutes loses
/// nothing but what was known of those that left first.
const MOST_LINGERING: usize = 1_000;

/// How long the counters of a limit are kept that nothing names.
fn kept_for(kept: &limits::Kept) -> Duration {
    kept.spec.memory().max(LINGER)
}

/// What belongs to a key.
#[derive(Clone, Debug, Default)]
pub struct KeyStates {
    /// Its place in the pool.
    pub pool: Arc<key_pool::State>,
    /// What it has lived through.
    pub record: Arc<KeyRecord>,
}

/// What tells the accounts of a provider apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AccountId {
    /// The name that its keys give it.
    Named(Box<str>),
    /// The only key that it has.
    Key(Fingerprint),
}

/// What belongs to a provider.
#[derive(Clone, Debug)]
pub struct ProviderStates {
    /// Whose turn it is among its keys.
    pub turn: Arc<Turn>,
    /// Which of its accounts made what is stored there.
    pub homes: Arc<Homes>,
    /// What is counted of it.
    pub record: Arc<ProviderRecord>,
    /// Its breakers.
    pub board: Arc<Board>,
    /// Its places for requests at the same time.
    pub line: Arc<Line>,
    /// Where requests wait for a key.
    pub waiting: Arc<Waiting>,
    /// What retries are measured against.
    pub budget: Arc<Budget>,
}

/// All states.
#[derive(Debug, Default)]
pub struct Registry {
    keys: Shelf<(ProviderName, Fingerprint), KeyStates>,
    accounts: Shelf<(ProviderName, AccountId), Arc<key_pool::account::State>>,
    providers: Shelf<ProviderName, ProviderStates>,
    paces: Shelf<(ProviderName, Option<Box<str>>), Arc<Pace>>,
    issuers: Shelf<(KeySetUrl, Roots), Arc<Issuer>>,
    fetching: Arc<Notify>,
    limits: Shelf<LimitId, limits::Kept>,
    /// By which subjects of limits are hashed, in all generations alike.
    pub hasher: Hasher,
}

impl Registry {
    /// The states of one key: it is the same key as long as provider and secret are the same, whatever its name and weight.
    #[must_use]
    pub fn key(&self, provider: &ProviderName, key: Fingerprint) -> KeyStates {
        self.keys.take((provider.clone(), key), KeyStates::default)
    }

    /// The state of one account: it is the same as long as the provider is, and its name or the only key that it has.
    #[must_use]
    pub fn account(&self, provider: &ProviderName, account: AccountId) -> Arc<key_pool::account::State> {
        let id = (provider.clone(), account);
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        self.accounts.take(id, || Arc::new(key_pool::account::State::new(hasher.finish())))
    }

    /// The states of one provider: it is the same as long as its name is.
    #[must_use]
    pub fn provider(&self, name: &ProviderName) -> ProviderStates {
        let new = || ProviderStates {
            turn: Arc::default(),
            homes: Arc::default(),
            record: Arc::new(ProviderRecord::new(name.clone())),
            board: Arc::default(),
            line: Arc::default(),
            waiting: Arc::default(),
            budget: Arc::default(),
        };
        self.providers.take(name.clone(), new)
    }

    /// How soon a model of a provider answers, by the name under which it is asked for, if the target gives it one.
    #[must_use]
    pub fn pace(&self, provider: &ProviderName, model: Option<&str>) -> Arc<Pace> {
        self.paces.take((provider.clone(), model.map(Into::into)), Arc::default)
    }

    /// The keys of the issuer with its key set there: fetched again only where another URL or other roots are named.
    #[must_use]
    pub fn issuer(&self, url: &KeySetUrl, roots: &Roots) -> Arc<Issuer> {
        self.issuers.take((url.clone(), roots.clone()), || Arc::new(Issuer::new(Arc::clone(&self.fetching))))
    }

    /// Wakes whoever fetches key sets: one is wanted, or another may be in force.
    #[must_use]
    pub fn fetching(&self) -> &Arc<Notify> {
        &self.fetching
    }

    /// The counters of one limit, and what came of its checks: they are the same as long as its name is, and what it counts, for
    /// whom, and in how long.
    #[must_use]
    pub(super) fn limit(&self, id: LimitId, spec: &Spec) -> limits::Kept {
        let new = || limits::Kept { state: Arc::new(State::new(spec.counting())), record: Arc::default(), spec: *spec };
        self.limits.take_as(id, new, |kept| kept.spec = *spec)
    }

    /// Forgets a part of the subjects of whom limits count nothing any more, also of those limits that no generation names. `turn`
    /// counts up.
    pub fn sweep(&self, turn: usize, now: Moment) {
        let all: Vec<_> = self.limits.lock().values().map(|kept| kept.state.clone()).collect();
        all.iter().for_each(|kept| kept.state.sweep(&kept.spec, now, Some(turn)));
    }

    /// `snapshot` has come into force. Keys that it does not name get no request more, from whichever generation; those that are
    /// back do again.
    pub fn follow(&self, snapshot: &Snapshot, now: Instant) {
        let named: HashSet<_> =
            snapshot.providers.values().flat_map(|provider| provider.keys.iter().map(|key| (provider.name.clone(), key.id))).collect();
        let counters: HashSet<_> = limits::states(&snapshot.limits).map(Arc::as_ptr).collect();
        self.limits.settle(now, kept_for, |_, kept| counters.contains(&Arc::as_ptr(&kept.state)));
        self.keys.settle(
            now,
            |_| LINGER,
            |id, state| {
                let in_use = named.contains(id);
                if in_use {
                    state.pool.revive()
                } else {
                    state.pool.retire()
                }
                in_use
            },
        );
        let owners: HashSet<_> =
            snapshot.providers.values().flat_map(|provider| provider.slots.iter().map(|slot| Arc::as_ptr(&slot.owner))).collect();
        self.accounts.settle(now, |_| LINGER, |_, state| owners.contains(&Arc::as_ptr(state)));
        let paces: HashSet<_> = snapshot.routes.iter().flat_map(|route| &route.targets).map(|target| Arc::as_ptr(&target.pace)).collect();
        self.paces.settle(now, |_| LINGER, |_, pace| paces.contains(&Arc::as_ptr(pace)));
        self.providers.settle(now, |_| LINGER, |name, _| snapshot.providers.contains_key(name));
        let lines: Vec<_> = self.providers.lock().iter().map(|(name, kept)| (name.clone(), Arc::clone(&kept.state.line))).collect();
        for (name, line) in lines {
            // More places may be free at once; and who waits for one that nobody counts any more need not wait.
            let queue = snapshot.providers.get(&name).and_then(|provider| provider.queue.as_ref());
            line.follow(queue.map_or(u32::MAX, |queue| queue.spec.concurrent));
        }
        let issuer = snapshot.clients.jwt.as_ref().and_then(|tokens| tokens.verifier.issuer());
        self.issuers.settle(now, |_| LINGER, |_, kept| issuer.is_some_and(|issuer| Arc::ptr_eq(issuer, kept)));
        self.fetching.notify_one();
    }
}

/// States of one kind.
struct Shelf<K, S>(Mutex<HashMap<K, Kept<S>>>);

struct Kept<S> {
    state: S,
    /// Since when no generation has named it.
    left: Option<Instant>,
}

impl<K: Eq + Hash, S: Clone> Shelf<K, S> {
    fn take(&self, id: K, new: impl FnOnce() -> S) -> S {
        self.take_as(id, new, |_| {})
    }

    /// The same, changed to what it is from now on.
    fn take_as(&self, id: K, new: impl FnOnce() -> S, change: impl FnOnce(&mut S)) -> S {
        let mut shelf = self.lock();
        let kept = shelf.entry(id).or_insert_with(|| Kept { state: new(), left: None });
        change(&mut kept.state);
        kept.state.clone()
    }

    /// Notes what is in use, and sweeps what has not been for longer than `linger` says of it.
    fn settle(&self, now: Instant, linger: impl Fn(&S) -> Duration, mut in_use: impl FnMut(&K, &S) -> bool) {
        let mut shelf = self.lock();
        shelf.retain(|id, kept| {
            kept.left = if in_use(id, &kept.state) { None } else { kept.left.or(Some(now)) };
            kept.left.is_none_or(|left| now.saturating_duration_since(left) < linger(&kept.state))
        });
        let surplus = shelf.values().filter(|kept| kept.left.is_some()).count().saturating_sub(MOST_LINGERING);
        if surplus > 0 {
            let mut left: Vec<_> = shelf.values().filter_map(|kept| kept.left).collect();
            let (_, last, _) = left.select_nth_unstable(surplus - 1);
            let last = *last;
            shelf.retain(|_, kept| kept.left.is_none_or(|left| left > last));
        }
    }

    /// A panic elsewhere leaves it as it was: nothing in here can stop half way.
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Kept<S>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, S> Default for Shelf<K, S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K, S> fmt::Debug for Shelf<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shelf")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_the_same_until_it_was_unused_for_long_enough() {
        let (shelf, start) = (Shelf::<u32, Arc<u32>>::default(), Instant::now());
        let (first, linger) = (shelf.take(1, Arc::default), Duration::from_secs(10));
        let settle = |seconds, used: bool| shelf.settle(start + Duration::from_secs(seconds), |_| linger, |_, _| used);
        settle(0, true);
        assert!(Arc::ptr_eq(&first, &shelf.take(1, Arc::default)));
        settle(5, false);
        settle(14, false);
        assert!(Arc::ptr_eq(&first, &shelf.take(1, Arc::default)), "taken out and put back within the time");
        settle(14, true);
        settle(20, false);
        settle(30, false);
        assert!(!Arc::ptr_eq(&first, &shelf.take(1, Arc::default)), "gone for too long");
    }

    #[test]
    fn a_limit_that_was_taken_out_is_remembered_until_all_it_counted_has_passed() {
        let limits = |registry: &Registry, rate: &str| {
            let limit = serde_json::json!({ "name": "a", "per": "all", "requests": rate });
            limits::Limits::new(vec![serde_json::from_value(limit).unwrap()], registry)
        };
        for (rate, remembered, forgotten) in [("9/h", 3_500, 3_700), ("9/s", 500, 700)] {
            for (after, is_same) in [(remembered, true), (forgotten, false)] {
                let (registry, start) = (Registry::default(), Instant::now());
                let before = limits(&registry, rate);
                let settle = |seconds| registry.limits.settle(start + Duration::from_secs(seconds), kept_for, |_, _| false);
                settle(0);
                settle(after);
                assert_eq!(Arc::ptr_eq(&before.first[0].state, &limits(&registry, rate).first[0].state), is_same, "{rate} {after}");
            }
        }
    }

    #[test]
    fn what_lingers_is_bounded_and_the_oldest_goes_first() {
        let (shelf, start) = (Shelf::<usize, ()>::default(), Instant::now());
        for id in 0..=MOST_LINGERING {
            shelf.take(id, || ());
            shelf.settle(start + Duration::from_millis(id as u64), |()| LINGER, |_, ()| false);
        }
        let shelf = shelf.lock();
        assert_eq!(shelf.len(), MOST_LINGERING);
        assert!(!shelf.contains_key(&0) && shelf.contains_key(&MOST_LINGERING));
    }
}
