//! What `limits:` select and count by: tiers, regions and clients that a request can have at all.
//!
//! A limit that nobody can meet protects nothing, and looks as if it did: a typing mistake in a tier must show at the start, not on the
//! bill. Where somebody outside the config may name them, a trusted proxy or an issuer of tokens, any name may come.

use std::fmt::Display;

use super::Review;
use crate::config::{
    Anonymous, CertificateRule, Config, Few,
    limits::Per,
    path::{FieldPath, field},
    problem::Fault,
    suggest::{did_you_mean, listed},
};

/// A kind of label, and where it comes from.
pub(super) struct Kind<'c> {
    /// As `when` and a message call it.
    name: &'static str,
    /// All that there are.
    pub(super) known: Vec<&'c str>,
    /// What else helps.
    pub(super) source: &'static str,
}

pub(super) fn check(review: &mut Review<'_>, config: &Config) {
    let from_outside = !config.trust.proxies.is_empty();
    let intact = ["clients", "regions", "trust"].into_iter().all(|section| review.intact(&field![section]));
    if config.limits.is_empty() || !intact {
        return;
    }
    let tiers = (!from_outside).then(|| tiers(config)).flatten();
    let regions = (!from_outside).then(|| regions(config)).flatten();
    let clients = clients(config);
    for (i, limit) in config.limits.iter().enumerate() {
        let (at, when) = (field!["limits", i], field!["limits", i, "when"]);
        names(review, &when, tiers.as_ref(), limit.when.tier.as_ref());
        names(review, &when, regions.as_ref(), limit.when.region.as_ref());
        names(review, &when, clients.as_ref(), limit.when.client.as_ref());
        for (per, kind) in [(Per::Tier, &tiers), (Per::Region, &regions)] {
            if let Some(kind) = kind.as_ref().filter(|kind| kind.known.is_empty() && limit.per.contains(&per)) {
                let fault = Fault::new(format!("the limit `{}` counts by {}, and no request has one", limit.name, kind.name), kind.source);
                review.value(&at.then("per"), fault);
            }
        }
    }
}

/// Refuses each of `wanted` that is not known.
fn names<T: Display>(review: &mut Review<'_>, when: &FieldPath, kind: Option<&Kind<'_>>, wanted: Option<&Few<T>>) {
    let (Some(kind), Some(wanted)) = (kind, wanted) else { return };
    for (i, one) in wanted.iter().map(ToString::to_string).enumerate().filter(|(_, one)| !kind.known.contains(&one.as_str())) {
        let at = when.then(kind.name);
        let (at, known) = (if wanted.len() == 1 { at } else { at.then(i) }, kind.known.iter().copied());
        let fix = match &kind.known[..] {
            [] => kind.source.to_owned(),
            [known] => format!("write `{known}`; or {}", kind.source),
            _ => format!("write one of {}; or {}", listed(known.clone()), kind.source),
        };
        let fault = Fault::new(format!("no request can have the {} `{one}`", kind.name), fix);
        review.value(&at, fault.noting(did_you_mean(&one, known)));
    }
}

/// `None` if a token may name any.
pub(super) fn tiers(config: &Config) -> Option<Kind<'_>> {
    let mut known = Vec::new();
    if let Some(clients) = &config.clients {
        if clients.jwt.as_ref().is_some_and(|jwt| jwt.tier_claim.is_some()) {
            return None;
        }
        known.extend(clients.keys.iter().map(|key| key.tier.as_str()));
        known.extend(clients.jwt.iter().filter_map(|jwt| jwt.tier.as_ref()).map(|tier| tier.as_str()));
        let certified = clients.mtls.iter().flat_map(|mtls| mtls.names.iter().map(|rule| &rule.tier).chain([&mtls.tier]));
        known.extend(certified.flatten().map(|tier| tier.as_str()));
        if let Anonymous::Tier(tier) = &clients.anonymous {
            known.push(tier.as_str());
        }
    }
    Some(kind("tier", known, "say under `clients` who has which, or trust who says it: `trust: { proxies: [loopback] }`"))
}

/// `None` if a token may name any.
fn regions(config: &Config) -> Option<Kind<'_>> {
    let jwt = config.clients.as_ref().and_then(|clients| clients.jwt.as_ref());
    if jwt.is_some_and(|jwt| jwt.region_claim.is_some()) {
        return None;
    }
    let regions = &config.regions;
    let places = regions.geoip.iter().flat_map(|geoip| geoip.countries.keys().chain(geoip.continents.keys()));
    let known = regions.networks.keys().chain(places).chain(&regions.default).map(|region| region.as_str()).collect();
    Some(kind("region", known, "say under `regions` which is where, or trust who says it: `trust: { proxies: [loopback] }`"))
}

/// `None` if a token or a certificate may name any.
fn clients(config: &Config) -> Option<Kind<'_>> {
    let mut known = Vec::new();
    if let Some(clients) = &config.clients {
        let any = |rule: &CertificateRule| rule.client.is_none();
        if clients.jwt.is_some() || clients.mtls.as_ref().is_some_and(|mtls| mtls.tier.is_some() || mtls.names.iter().any(any)) {
            return None;
        }
        known.extend(clients.keys.iter().map(|key| key.name.as_str()));
        let ruled = clients.mtls.iter().flat_map(|mtls| &mtls.names).filter_map(|rule| rule.client.as_ref());
        known.extend(ruled.map(|client| client.as_str()));
    }
    Some(kind("client", known, "add it to `clients.keys`"))
}

fn kind<'c>(name: &'static str, mut known: Vec<&'c str>, source: &'static str) -> Kind<'c> {
    known.sort_unstable();
    known.dedup();
    Kind { name, known, source }
}
