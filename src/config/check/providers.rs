//! `providers:`: where each lives, and a pool of keys that can be read.

use std::{collections::BTreeMap, num::NonZeroUsize};

use super::{
    Review, breaker,
    keys::{self, Pool},
    queue, quotas,
};
use crate::{
    config::{
        Config, Provider, Roots, UpstreamTls,
        path::{FieldPath, field},
        problem::Fault,
    },
    types::{Dialect, ProviderName},
};

pub(super) fn check(review: &mut Review<'_>, config: &Config) -> BTreeMap<ProviderName, Pool> {
    if config.providers.is_empty() && review.intact(&field!["providers"]) && !review.tree.lost("providers") {
        let fault = Fault::new("there is no provider", "add one below `providers:`, such as `openai: { keys: [{ env: OPENAI_API_KEY }] }`");
        review.name(&field!["providers"], fault);
    }
    for (name, provider) in &config.providers {
        shares(review, &field!["providers", name.as_str()], provider, config.listen.workers);
    }
    config.providers.iter().map(|(name, provider)| (name.clone(), one(review, name, provider))).collect()
}

fn one(review: &mut Review<'_>, name: &ProviderName, provider: &Provider) -> Pool {
    let at = field!["providers", name.as_str()];
    let intact = review.intact(&at.then("dialect")) && review.intact(&at.then("base_url"));
    if provider.base_url().is_none() && intact {
        let example = match provider.dialect {
            Dialect::Vllm => "http://127.0.0.1:8000/v1",
            _ => "https://my-resource.openai.azure.com/openai/v1",
        };
        let fault = Fault::new(
            format!("the dialect `{}` has no well-known host", provider.dialect.name()),
            format!("add `base_url:`, such as `{example}`"),
        );
        review.name(&at, fault.noting("`base_url` is needed here"));
    }
    if let Some(named) = misnamed(name, provider).filter(|_| intact) {
        let fault = Fault::new(
            "without `dialect` this is OpenAI's host, and these keys would be sent to it",
            format!("add `dialect: {}`, or the `base_url:` where it is", named.name()),
        );
        review.name(&at, fault);
    }
    bounds(review, &at, provider);
    breaker::check(review, &at, provider);
    queue::check(review, &at, provider);
    quotas::affinity(review, &at, provider);
    tls(review, &at.then("tls"), &provider.tls);
    keys::read(review, &at.then("keys"), &provider.keys)
}

/// The dialect whose name it has, where its keys would go to the host of the default one.
fn misnamed(name: &ProviderName, provider: &Provider) -> Option<Dialect> {
    let is_default = provider.dialect == Dialect::default() && provider.base_url.is_none();
    Dialect::ALL.into_iter().find(|dialect| is_default && *dialect != Dialect::default() && dialect.name() == name.as_str())
}

fn tls(review: &mut Review<'_>, at: &FieldPath, tls: &UpstreamTls) {
    if let Roots::File(path) = &tls.roots {
        review.roots(&at.then("roots"), path);
    }
    let half = |what: &str, other: &str| Fault::new(format!("a {what} alone proves nothing"), format!("add `{other}:`, or remove this"));
    match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => review.identity(at, certificate, key),
        (Some(_), None) if review.intact(at) => review.value(&at.then("certificate"), half("certificate", "key")),
        (None, Some(_)) if review.intact(at) => review.value(&at.then("key"), half("key", "certificate")),
        _ => {}
    }
}

fn bounds(review: &mut Review<'_>, at: &FieldPath, provider: &Provider) {
    let (timeouts, connections) = (&provider.timeouts, &provider.connections);
    for (section, field, period) in [
        ("timeouts", "connect", timeouts.connect),
        ("timeouts", "first_byte", timeouts.first_byte),
        ("timeouts", "idle", timeouts.idle),
        ("connections", "idle", connections.idle),
        ("connections", "max_age", connections.max_age),
    ] {
        review.period(&at.then(section).then(field), period);
    }
}

/// A worker without a connection could serve nobody.
fn shares(review: &mut Review<'_>, at: &FieldPath, provider: &Provider, workers: Option<NonZeroUsize>) {
    if let Some(workers) = workers.filter(|workers| provider.connections.max < *workers) {
        let fault = Fault::new(
            format!("{workers} workers can't share so few connections"),
            format!("write at least {workers}, or fewer `workers` below `listen:`"),
        );
        review.value(&at.then("connections").then("max"), fault);
    }
}
