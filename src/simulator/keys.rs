//! The keys that requests bring: what each may do, by how it begins, whose it is, and what it has asked for.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use http::StatusCode;
use serde_json::{Map, Value};

use super::{
    error::{ApiError, INVALID_REQUEST, NO_QUOTA},
    limits::{Buckets, Limits, Quota},
    store::Account,
    tally::Tally,
};
use crate::types::Fingerprint;

/// Keys that are remembered; beyond it one that is not in use is forgotten, its counts and limits with it.
const MOST_KEYS: usize = 10_000;

/// How a key begins, what it is then, and in a few words what that means.
const STANDINGS: [(&str, Standing, &str); 4] = [
    ("sk-invalid-", Standing::Invalid, "401 invalid_api_key, as a key that was revoked"),
    ("sk-dead-", Standing::Dead, "429 insufficient_quota: its account is out of money"),
    ("sk-forbidden-", Standing::Forbidden, "403: it has no right to anything"),
    ("sk-flapping-", Standing::Flapping, "401 invalid_api_key and a good reply by turns, the error first"),
];

/// What follows this, up to the next `-`, names the account that a key shares with others.
const ACCOUNT_PREFIX: &str = "sk-account-";

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    Invalid,
    Dead,
    Forbidden,
    Flapping,
}

impl Standing {
    /// The standing of that name: `good`, or a beginning of a key without `sk-`.
    pub(super) fn of(name: &str) -> Option<Self> {
        let named = |prefix: &str| prefix.strip_prefix("sk-").and_then(|rest| rest.strip_suffix('-')) == Some(name);
        let bad = STANDINGS.iter().find(|(prefix, ..)| named(prefix)).map(|(_, standing, _)| *standing);
        bad.or_else(|| (name == "good").then_some(Self::Good))
    }
}

/// A key that has been seen.
#[derive(Debug)]
pub(super) struct Key {
    /// Its name towards everybody.
    pub(super) fingerprint: Fingerprint,
    /// What it has asked for.
    pub(super) tally: Tally,
    /// Whose it is.
    pub(super) owner: Arc<Owner>,
    standing: Mutex<Standing>,
    /// Requests of a key that flaps, so far.
    turns: AtomicU64,
}

/// An account: one quota, and one set of objects, for all its keys.
#[derive(Debug)]
pub(super) struct Owner {
    /// Its number in the store.
    pub(super) account: Account,
    /// What it may ask for in a minute, where that differs from others.
    pub(super) limits: Option<Limits>,
    /// What is left of that.
    pub(super) buckets: Buckets,
    /// Whether it ran out of money while the provider ran.
    dead: AtomicBool,
}

impl Key {
    /// The error of a key that is no good.
    pub(super) fn check(&self) -> Result<(), ApiError> {
        let standing = *self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        match standing {
            Standing::Invalid => Err(INVALID),
            Standing::Forbidden => Err(FORBIDDEN),
            Standing::Flapping if self.turns.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) => Err(INVALID),
            Standing::Dead => Err(DEAD),
            Standing::Good | Standing::Flapping if self.owner.dead.load(Ordering::Relaxed) => Err(DEAD),
            Standing::Good | Standing::Flapping => Ok(()),
        }
    }

    /// Is this from now on. Money is the account's: one that runs out of it, or has some again, does so for all its keys.
    pub(super) fn becomes(&self, standing: Standing) {
        let dead = standing == Standing::Dead;
        if dead || standing == Standing::Good {
            self.owner.dead.store(dead, Ordering::Relaxed);
        }
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = if dead { Standing::Good } else { standing };
        self.turns.store(0, Ordering::Relaxed);
    }
}

/// Every key that has been seen.
#[derive(Default)]
pub(super) struct Keys {
    known: Mutex<Known>,
    accounts: AtomicU64,
    /// Accounts with limits of their own.
    quotas: Vec<Quota>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, Arc<Key>>,
    owners: HashMap<String, Weak<Owner>>,
}

impl Keys {
    /// Nobody's key so far; these accounts have limits of their own.
    pub(super) fn new(quotas: Vec<Quota>) -> Self {
        Self { quotas, ..Self::default() }
    }

    /// The key of this text, which may be new.
    pub(super) fn get(&self, text: &str) -> Arc<Key> {
        let mut known = self.lock();
        if let Some(key) = known.keys.get(text) {
            return Arc::clone(key);
        }
        if known.keys.len() >= MOST_KEYS {
            let idle = known.keys.iter().find(|(_, key)| Arc::strong_count(key) == 1).map(|(text, _)| text.clone());
            idle.map(|text| known.keys.remove(&text));
            known.owners.retain(|_, owner| owner.strong_count() > 0);
        }
        let standing = STANDINGS.iter().find(|(prefix, ..)| text.starts_with(prefix)).map_or(Standing::Good, |(_, standing, _)| *standing);
        let name = text.strip_prefix(ACCOUNT_PREFIX).and_then(|rest| rest.split('-').next());
        let owner = match name {
            None => self.owner(None),
            Some(name) => known.owners.get(name).and_then(Weak::upgrade).unwrap_or_else(|| {
                let owner = self.owner(Some(name));
                known.owners.insert(name.to_owned(), Arc::downgrade(&owner));
                owner
            }),
        };
        let key = Arc::new(Key {
            fingerprint: Fingerprint::of(text.as_bytes()),
            tally: Tally::default(),
            owner,
            standing: Mutex::new(standing),
            turns: AtomicU64::new(0),
        });
        if known.keys.len() < MOST_KEYS {
            known.keys.insert(text.to_owned(), Arc::clone(&key));
        }
        key
    }

    fn owner(&self, name: Option<&str>) -> Arc<Owner> {
        let account = self.accounts.fetch_add(1, Ordering::Relaxed);
        let limits = self.quotas.iter().find(|quota| Some(&*quota.account) == name).map(|quota| quota.limits);
        Arc::new(Owner { account, limits, buckets: Buckets::default(), dead: AtomicBool::new(false) })
    }

    /// The counts of each key by its fingerprint.
    pub(super) fn counts(&self) -> Value {
        let known = self.lock();
        let counts: Map<String, Value> = known.keys.values().map(|key| (key.fingerprint.to_string(), key.tally.json())).collect();
        counts.into()
    }

    /// Starts all counts anew; what is open stays so.
    pub(super) fn reset(&self) {
        self.lock().keys.values().for_each(|key| key.tally.reset());
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The table for a terminal, a line for each beginning of a key.
pub(super) fn table() -> String {
    let standings: String = STANDINGS.iter().map(|(prefix, _, effect)| format!("  {:<18}{effect}\n", format!("{prefix}…"))).collect();
    format!("{standings}  {:<18}one of the keys of account A: same limits, same files\n", format!("{ACCOUNT_PREFIX}A-…"))
}

/// What a request without a key gets.
pub(super) const MISSING: ApiError = ApiError::fixed(
    StatusCode::UNAUTHORIZED,
    INVALID_REQUEST,
    Some("invalid_api_key"),
    "No API key was sent. Send it as `Authorization: Bearer <key>`, or where your provider wants it.",
)
.with(CHALLENGE);

const INVALID: ApiError =
    ApiError::fixed(StatusCode::UNAUTHORIZED, INVALID_REQUEST, Some("invalid_api_key"), "This API key is not valid.").with(CHALLENGE);

const DEAD: ApiError = ApiError::fixed(
    StatusCode::TOO_MANY_REQUESTS,
    NO_QUOTA,
    Some(NO_QUOTA),
    "The account's quota is used up. Waiting does not bring it back.",
);

const FORBIDDEN: ApiError =
    ApiError::fixed(StatusCode::FORBIDDEN, INVALID_REQUEST, Some("insufficient_permissions"), "This API key has no right to this.");

/// A 401 says how to do it better (RFC 9110 §11.6.1).
const CHALLENGE: super::error::Fields = &[("www-authenticate", "Bearer realm=\"simulator\"")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_one_account_share_it_and_others_do_not() {
        let keys = Keys::default();
        let account = |text: &str| keys.get(text).owner.account;
        assert_eq!(account("sk-account-a-1"), account("sk-account-a-2"));
        assert_ne!(account("sk-account-a-1"), account("sk-account-b-1"));
        assert_ne!(account("sk-1"), account("sk-2"));
        assert_eq!(account("sk-1"), account("sk-1"));
    }

    #[test]
    fn the_beginning_of_a_key_says_what_it_is() {
        let keys = Keys::default();
        let code = |text: &str| keys.get(text).check().err().and_then(|error| error.code);
        assert_eq!(code("sk-fine"), None);
        assert_eq!(code("sk-invalid-1"), Some("invalid_api_key"));
        assert_eq!(code("sk-dead-1"), Some(NO_QUOTA));
        assert_eq!(code("sk-forbidden-1"), Some("insufficient_permissions"));
    }

    #[test]
    fn a_key_becomes_what_it_is_told_and_money_is_a_matter_of_its_account() {
        let keys = Keys::default();
        let code = |text: &str| keys.get(text).check().err().and_then(|error| error.code);
        keys.get("sk-account-a-1").becomes(Standing::Invalid);
        assert_eq!((code("sk-account-a-1"), code("sk-account-a-2")), (Some("invalid_api_key"), None));
        keys.get("sk-account-a-2").becomes(Standing::Dead);
        assert_eq!((code("sk-account-a-1"), code("sk-account-a-2")), (Some("invalid_api_key"), Some(NO_QUOTA)));
        assert_eq!((code("sk-account-a-3"), code("sk-account-b-1")), (Some(NO_QUOTA), None));
        keys.get("sk-account-a-1").becomes(Standing::Good);
        assert!(["sk-account-a-1", "sk-account-a-2", "sk-account-a-3"].iter().all(|key| code(key).is_none()));
        keys.get("sk-account-b-1").becomes(Standing::Flapping);
        assert_eq!(
            [code("sk-account-b-1"), code("sk-account-b-1"), code("sk-account-b-1")],
            [Some("invalid_api_key"), None, Some("invalid_api_key")]
        );
    }

    #[test]
    fn an_account_may_have_limits_of_its_own() {
        let keys = Keys::new(vec!["small=60/-".parse().unwrap()]);
        assert_eq!(keys.get("sk-account-small-1").owner.limits, Some(Limits { requests: Some(60), tokens: None }));
        assert_eq!((keys.get("sk-account-other-1").owner.limits, keys.get("sk-small").owner.limits), (None, None));
    }

    #[test]
    fn there_is_an_end_to_the_keys_that_are_remembered() {
        let keys = Keys::default();
        let used = keys.get("sk-used");
        for n in 0..MOST_KEYS + 10 {
            keys.get(&n.to_string());
        }
        assert_eq!(keys.lock().keys.len(), MOST_KEYS);
        assert!(Arc::ptr_eq(&used, &keys.get("sk-used")), "a key in use was forgotten");
    }
}
