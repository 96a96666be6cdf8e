//! `clients:`: each name and each key once, and somebody who may call.

use std::{collections::HashMap, hash::Hash};

use super::Review;
use crate::config::{Anonymous, ClientKey, Config, path::field, problem::Fault};

pub(super) fn check(review: &mut Review<'_>, config: &Config) {
    let Some(clients) = &config.clients else { return };
    let nobody = clients.anonymous == Anonymous::Deny && clients.keys.is_empty();
    if nobody && review.intact(&field!["clients"]) {
        let fault = Fault::new(
            "nobody may call: there is no client key, and callers without one are denied",
            "add `keys:`, or let callers in with `anonymous: free`",
        );
        review.name(&field!["clients"], fault);
    }
    once(review, &clients.keys, "name", |key| key.name.clone());
    once(review, &clients.keys, "sha256", |key| key.sha256);
}

/// Refuses every key whose `part` an earlier one has.
fn once<T: Eq + Hash>(review: &mut Review<'_>, keys: &[ClientKey], field: &str, part: impl Fn(&ClientKey) -> T) {
    let mut seen: HashMap<T, usize> = HashMap::new();
    for (i, key) in keys.iter().enumerate() {
        let first = *seen.entry(part(key)).or_insert(i);
        if first < i {
            let fault = Fault::new(
                format!("the client `{}` has the same `{field}` as `{}`", key.name, keys[first].name),
                format!("give each client a `{field}` of its own"),
            );
            review.value(&field!["clients", "keys", i, field], fault);
        }
    }
}
