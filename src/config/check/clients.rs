//! `clients:`: each name and each key once, and somebody who may call.

use std::{collections::HashMap, hash::Hash};

use super::Review;
use crate::{
    config::{Anonymous, ClientKey, Config, path::field, problem::Fault},
    types::ClientName,
};

pub(super) fn check(review: &mut Review<'_>, config: &Config) {
    let Some(clients) = &config.clients else { return };
    let nobody = clients.anonymous == Anonymous::Deny && clients.keys.is_empty() && clients.jwt.is_none();
    if nobody && review.intact(&field!["clients"]) {
        let fault = Fault::new(
            "nobody may call: there is no client key, and callers without one are denied",
            "add `keys:`, or let callers in with `anonymous: free`",
        );
        review.name(&field!["clients"], fault);
    }
    let same_name =
        |_: &ClientName, name: &ClientName| Fault::new(format!("two clients have the name `{name}`"), "give each client a name of its own");
    let same_key = |first: &ClientName, name: &ClientName| {
        Fault::new(
            format!("the clients `{first}` and `{name}` have the same key"),
            "give each client a key of its own, or remove one of the two",
        )
    };
    once(review, &clients.keys, "name", |key| key.name.clone(), same_name);
    once(review, &clients.keys, "sha256", |key| key.sha256, same_key);
}

/// Refuses every key whose `part` an earlier one has.
fn once<T: Eq + Hash>(
    review: &mut Review<'_>,
    keys: &[ClientKey],
    field: &str,
    part: impl Fn(&ClientKey) -> T,
    fault: impl Fn(&ClientName, &ClientName) -> Fault,
) {
    let mut seen: HashMap<T, &ClientName> = HashMap::new();
    for (i, key) in keys.iter().enumerate() {
        if let Some(first) = seen.insert(part(key), &key.name) {
            review.value(&field!["clients", "keys", i, field], fault(first, &key.name));
        }
    }
}
