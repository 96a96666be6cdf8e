//! `clients:`: each key once and one tier for each name, certificates and sessions that can come, and somebody who may call.

use std::collections::HashMap;

use http::{HeaderName, header::COOKIE};

use super::Review;
use crate::{
    config::{Anonymous, ClientKey, Config, KeyHash, Mtls, SessionField, limits::Per, path::field, problem::Fault},
    types::{ClientName, Tier},
};

pub(super) fn check(review: &mut Review<'_>, config: &Config) {
    sessions_are_named(review, config);
    let Some(clients) = &config.clients else { return };
    let nobody = clients.anonymous == Anonymous::Deny && clients.keys.is_empty() && clients.mtls.is_none() && clients.jwt.is_none();
    if nobody && review.intact(&field!["clients"]) {
        let fault = Fault::new(
            "nobody may call: there is no client key, and callers without one are denied",
            "add `keys:` (`sidegate key new` makes one), or let callers in with `anonymous: free`",
        );
        review.name(&field!["clients"], fault);
    }
    let same_key = |first: &ClientName, name: &ClientName| {
        Fault::new(
            format!("the clients `{first}` and `{name}` have the same key"),
            "give each client a key of its own, or remove one of the two",
        )
    };
    once(review, &clients.keys, same_key);
    one_tier(review, &clients.keys);
    if let Some(asked) = &clients.mtls {
        mtls(review, config, asked);
    }
    if let Some(place) = &clients.session {
        session(review, place);
    }
}

/// A limit that counts by session would apply to nobody.
fn sessions_are_named(review: &mut Review<'_>, config: &Config) {
    if config.clients.as_ref().is_some_and(|clients| clients.session.is_some()) || !review.intact(&field!["clients"]) {
        return;
    }
    for (i, limit) in config.limits.iter().enumerate().filter(|(_, limit)| limit.per.contains(&Per::Session)) {
        let fault = Fault::new(
            format!("the limit `{}` counts by session, and nothing says which session a request belongs to", limit.name),
            "say where that stands: `clients: { session: { header: x-session-id } }`",
        );
        review.value(&field!["limits", i, "per"], fault.noting("needs `clients.session`"));
    }
}

fn mtls(review: &mut Review<'_>, config: &Config, mtls: &Mtls) {
    let at = field!["clients", "mtls"];
    let asks = config.listen.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    if !asks && review.intact(&field!["listen"]) {
        let fault = Fault::new(
            "no client shows a certificate, so none can be named by it",
            "set `listen.tls.client_ca` to the authorities that sign your clients' certificates",
        );
        review.name(&at, fault);
    }
    if mtls.tier.is_none() && mtls.names.is_empty() && review.intact(&at) {
        let fault = Fault::new(
            "this names no client: there is no rule, and no tier for certificates without one",
            "add `tier:` for all certificates, or `names:` for some",
        );
        review.name(&at, fault);
    }
    for (i, rule) in mtls.names.iter().enumerate() {
        if mtls.names[..i].iter().any(|earlier| earlier.name == rule.name) {
            let fault = Fault::new("an earlier rule has this name, so this one never counts", "keep one of the two");
            review.value(&at.then("names").then(i).then("name"), fault);
        }
    }
}

fn session(review: &mut Review<'_>, place: &SessionField) {
    let at = field!["clients", "session"];
    let (field, name) = match (&place.header, &place.cookie) {
        (Some(name), None) => ("header", name),
        (None, Some(name)) => ("cookie", name),
        _ if !review.intact(&at) => return,
        (None, None) => return review.name(&at, Fault::new("this says nowhere to look", "add one of `header:` and `cookie:`")),
        (Some(_), Some(_)) => {
            return review.name(&at, Fault::new("a session is named in one place", "keep one of `header` and `cookie`"));
        }
    };
    // Both are tokens (RFC 9110 §5.1, RFC 6265 §4.1.1).
    let fault = match HeaderName::from_bytes(name.as_bytes()) {
        Ok(name) if field == "header" && name == COOKIE => {
            Fault::new("one field holds all cookies", "write `cookie:` and the name of one, such as `cookie: sid`")
        }
        Ok(_) => return,
        Err(_) => Fault::new(format!("this is no name of a {field}"), "write letters, digits and `-`, such as `x-session-id`"),
    };
    review.value(&at.then(field), fault);
}

/// Refuses every key that an earlier entry has.
fn once(review: &mut Review<'_>, keys: &[ClientKey], fault: impl Fn(&ClientName, &ClientName) -> Fault) {
    let mut seen: HashMap<KeyHash, &ClientName> = HashMap::new();
    for (i, key) in keys.iter().enumerate() {
        if let Some(first) = seen.insert(key.sha256, &key.name) {
            review.value(&field!["clients", "keys", i, "sha256"], fault(first, &key.name));
        }
    }
}

/// Keys of one name are one client, while one takes over from the other: then which tier it has may not turn on which it sent.
fn one_tier(review: &mut Review<'_>, keys: &[ClientKey]) {
    let mut seen: HashMap<&ClientName, &Tier> = HashMap::new();
    for (i, ClientKey { name, tier, .. }) in keys.iter().enumerate() {
        let first = *seen.entry(name).or_insert(tier);
        if first != tier {
            let fault = Fault::new(
                format!("the client `{name}` has two tiers, `{first}` and `{tier}`"),
                "give all its keys the same tier, or the client of this one another name",
            );
            review.value(&field!["clients", "keys", i, "tier"], fault);
        }
    }
}
