//! What the types can't say: which values can't work, alone or together.
//!
//! A check looks only at what is intact: where a part was taken out because its form is wrong, that has been reported and
//! nothing is said about what follows from it. So one mistake makes one error, and all mistakes show in one run.

mod autoscaling;
mod breaker;
mod cache;
mod clients;
mod dns;
mod drain;
mod files;
mod jwt;
mod keys;
mod labels;
mod limits;
mod listen;
mod prices;
mod providers;
mod proxies;
mod queue;
mod quotas;
mod regions;
mod retry;
mod routes;
pub(super) mod sealing;
mod targets;
mod trace;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use sealing::Keyring;

use super::{
    Config, Environment, Key, LoadedJwt, Origin, PriceList, Proxy,
    path::{FieldPath, Step},
    problem::{Fault, Finding, MOST},
    source::{Node, Value},
};
use crate::types::{Period, ProviderName};

/// What a checked config names.
pub(super) struct Named {
    /// The keys of each provider.
    pub(super) keys: BTreeMap<ProviderName, Vec<Key>>,
    /// The proxies through which providers are reached.
    pub(super) proxies: BTreeMap<ProviderName, Proxy>,
    /// The prices of the file that is named.
    pub(super) prices: Option<PriceList>,
    /// What tokens are verified with.
    pub(super) jwt: LoadedJwt,
}

/// Checks the whole config, opens the sealed texts in it, and reads every key and certificate that it names.
pub(super) fn check(review: &mut Review<'_>, config: &mut Config) -> Named {
    sealing::check(review, config);
    let config = &*config;
    listen::check(review, config);
    dns::check(review, config);
    trace::check(review, config);
    autoscaling::check(review, config);
    drain::check(review, config);
    regions::check(review, config);
    clients::check(review, config);
    let jwt = jwt::check(review, config);
    limits::check(review, config);
    labels::check(review, config);
    let pools = providers::check(review, config);
    routes::check(review, config, &pools);
    targets::check(review, config);
    retry::check(review, config);
    cache::check(review, config);
    let proxies = proxies::check(review, config);
    let prices = prices::check(review, config);
    targets::order(review, config, prices.as_ref());
    Named { keys: pools.into_iter().map(|(name, pool)| (name, pool.keys)).collect(), proxies, jwt, prices }
}

/// What a check may look at and where it says what is wrong.
///
/// Paths are those of the decoded config: an item's index counts the items that were not taken out.
pub(super) struct Review<'a> {
    tree: &'a Node,
    /// Nothing was taken out of the tree, so every path is as written; saves a search for each.
    whole: bool,
    environment: &'a Environment,
    /// The GeoIP database that is in use, if this is not the start.
    database: Option<&'a Path>,
    findings: &'a mut Vec<Finding>,
    /// Every file and directory that was read.
    files: &'a mut Vec<PathBuf>,
    /// The master keys, once they were read.
    keyring: Keyring,
}

impl<'a> Review<'a> {
    pub(super) fn new(tree: &'a Node, origin: &'a Origin, findings: &'a mut Vec<Finding>, files: &'a mut Vec<PathBuf>) -> Self {
        let (environment, database) = (origin.environment(), origin.database());
        Self { tree, whole: tree.is_intact(), environment, database, findings, files, keyring: Keyring::default() }
    }

    /// Something is wrong with the value at `path`.
    fn value(&mut self, path: &FieldPath, fault: Fault) {
        let path = self.as_written(path);
        let span = Some(self.tree.value_span(&path));
        self.push(path, span, fault);
    }

    /// Something is wrong with the field or item at `path` as a whole.
    fn name(&mut self, path: &FieldPath, fault: Fault) {
        let path = self.as_written(path);
        let span = Some(self.tree.name_span(&path));
        self.push(path, span, fault);
    }

    fn push(&mut self, path: FieldPath, span: Option<super::source::Span>, fault: Fault) {
        if self.findings.len() < MOST {
            let fault = fault.without_insertions(self.tree.at(&path));
            self.findings.push(Finding { path, span, fault });
        }
    }

    /// Whether nothing at or below `path` was taken out, also because it was never written.
    fn intact(&self, path: &FieldPath) -> bool {
        self.whole || self.tree.at(&self.as_written(path)).is_none_or(Node::is_intact)
    }

    /// Whether something was written at `path`, right or wrong.
    fn was_written(&self, path: &FieldPath) -> bool {
        self.tree.at(&self.as_written(path)).is_some()
    }

    /// The path as the file counts, with the items that were taken out.
    fn as_written(&self, path: &FieldPath) -> FieldPath {
        if self.whole {
            return path.clone();
        }
        let mut node = Some(self.tree);
        let steps = path.0.iter().map(|step| {
            let step = match (step, node.map(|node| &node.value)) {
                (Step::Item(index), Some(Value::List(items))) => {
                    let live = items.iter().enumerate().filter(|(_, item)| !item.pruned).nth(*index);
                    Step::Item(live.map_or(*index, |(written, _)| written))
                }
                _ => step.clone(),
            };
            node = node.and_then(|node| node.child(&step));
            step
        });
        FieldPath(steps.collect())
    }

    /// Refuses a time that no timer can keep: zero, or so long that adding it to a clock overflows.
    fn period(&mut self, path: &FieldPath, period: Period) {
        const LONGEST: Period = Period::secs(365 * 24 * 60 * 60);
        if period.0.is_zero() {
            self.value(path, Fault::new("a time of zero would end everything at once", "write a time above zero, such as `10s`"));
        } else if period > LONGEST {
            self.value(path, Fault::new("a time of more than a year", format!("write at most `{LONGEST}`")));
        }
    }
}
