//! The egress proxy of each provider: its own, or that of the environment.

use std::collections::BTreeMap;

use super::Review;
use crate::{
    config::{
        Config, Provider, Proxy, ProxyChoice,
        path::{FieldPath, field},
        problem::Fault,
        proxy::{self, UnfitVariable},
    },
    types::ProviderName,
};

/// The proxies that are used, by provider.
pub(super) fn check(review: &mut Review<'_>, config: &Config) -> BTreeMap<ProviderName, Proxy> {
    let providers = config.providers.iter();
    providers.filter_map(|(name, provider)| Some((name.clone(), one(review, &field!["providers", name.as_str()], provider)?))).collect()
}

fn one(review: &mut Review<'_>, at: &FieldPath, provider: &Provider) -> Option<Proxy> {
    let url = provider.base_url()?;
    match &provider.proxy {
        // One that is still sealed could not be opened, which has been reported.
        ProxyChoice::None | ProxyChoice::Sealed(_) => None,
        ProxyChoice::Through(_) if url.socket().is_some() => {
            let fault = Fault::new("no proxy reaches a Unix socket of this machine", "remove `proxy`, or write a URL with a host");
            review.value(&at.then("proxy"), fault);
            None
        }
        ProxyChoice::Through(proxy) => Some(proxy.clone()),
        ProxyChoice::Environment if !review.intact(at) => None,
        ProxyChoice::Environment => match proxy::from_environment(review.environment, &url) {
            Ok(proxy) => proxy,
            Err(UnfitVariable { name, problem }) => {
                let (problem, fix) = problem.split_once("; ").unwrap_or((&problem, "correct it"));
                let fault = Fault::new(
                    format!("the environment variable `{name}` can't be followed: {problem}"),
                    format!("{fix}; or write `proxy: none` for this provider"),
                );
                review.name(at, fault);
                None
            }
        },
    }
}
