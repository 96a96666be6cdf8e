//! `routes:`: paths that can be matched, targets that can serve, and no route that another one hides.

use std::collections::BTreeMap;

use super::{Review, keys::Pool};
use crate::{
    config::{
        Config, Credentials, ModelPattern, Route,
        path::{FieldPath, field},
        problem::Fault,
        source::Value,
        suggest,
    },
    types::{Dialect, ProviderName},
};

pub(super) fn check(review: &mut Review<'_>, config: &Config, pools: &BTreeMap<ProviderName, Pool>) {
    if config.routes.is_empty() && review.intact(&field!["routes"]) && !review.tree.lost("routes") {
        review.name(&field!["routes"], Fault::new("there is no route", "add one: `- { path: /v1, targets: [openai] }`"));
    }
    for (i, route) in config.routes.iter().enumerate() {
        let at = field!["routes", i];
        path(review, &at.then("path"), &route.path);
        if route.targets.is_empty() && review.intact(&at.then("targets")) {
            review.name(&at.then("targets"), Fault::new("this route has no target", "name at least one provider: `targets: [openai]`"));
        }
        providers(review, &at, route);
        keys(review, &at, route, pools);
        formats(review, &at, route, config);
        reachable(review, i, &config.routes);
    }
}

/// A path is compared byte by byte with what requests say, so one that no sane request can say is refused.
fn path(review: &mut Review<'_>, at: &FieldPath, path: &str) {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte);
    let segments = || path[1..].split('/');
    let fault = if !path.starts_with('/') {
        Fault::new("a path starts with `/`", "write a path such as `/v1`")
    } else if path.contains(['?', '#']) {
        Fault::new("a path has no query and no fragment", "write the path alone, such as `/v1`")
    } else if path.contains('%') {
        Fault::new("a path has no percent-encoding", "write plain characters")
    } else if !path.bytes().all(legal) {
        Fault::new("a path has only the characters that RFC 3986 allows there", "write letters, digits and `-._~!$&'()*+,;=:@`")
    } else if path.contains("//") {
        Fault::new("a path has no empty segment", "write one `/` between segments")
    } else if segments().any(|segment| segment == "." || segment == "..") {
        Fault::new("a path has no dot segments", "write the path that is meant, without `.` and `..`")
    } else if path.len() > 1 && path.ends_with('/') {
        Fault::new("a path has no `/` at its end: it covers whole segments anyway", "remove the last `/`")
    } else {
        return;
    };
    review.value(at, fault);
}

/// Where a target's name stands: the target itself, or its field `provider`.
pub(super) fn target_at(review: &Review<'_>, at: &FieldPath, i: usize) -> FieldPath {
    let (short, long) = (at.then("targets").then(i), at.then("targets").then(i).then("provider"));
    if review.was_written(&long) { long } else { short }
}

/// Names are compared with those in the file: a provider that is there but broken is no missing provider.
fn providers(review: &mut Review<'_>, at: &FieldPath, route: &Route) {
    let known: Vec<String> = match review.tree.at(&field!["providers"]).map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.iter().map(|entry| entry.key.clone()).collect(),
        _ => Vec::new(),
    };
    for (i, target) in route.targets.iter().enumerate() {
        let name = target.provider.as_str();
        if !known.is_empty() && !known.iter().any(|known| known == name) {
            let names = || known.iter().map(String::as_str);
            let fault = Fault::new(format!("there is no provider `{name}`"), format!("the providers are {}", suggest::listed(names())));
            let at = target_at(review, at, i);
            review.value(&at, fault.noting(suggest::did_you_mean(name, names())));
        }
    }
}

fn keys(review: &mut Review<'_>, at: &FieldPath, route: &Route, pools: &BTreeMap<ProviderName, Pool>) {
    if route.credentials == Credentials::Client || !review.intact(&at.then("credentials")) {
        return;
    }
    for (i, target) in route.targets.iter().enumerate() {
        if pools.get(&target.provider).is_some_and(|pool| pool.complete && pool.keys.is_empty()) {
            let at = target_at(review, at, i);
            let fault = Fault::new(
                format!("the provider `{}` has no key", target.provider),
                format!("add `keys:` to `providers.{}`, or say `credentials: client` here to pass the caller's own", target.provider),
            );
            review.value(&at, fault);
        }
    }
}

/// Sidegate never translates: all targets of a route must take the same request.
fn formats(review: &mut Review<'_>, at: &FieldPath, route: &Route, config: &Config) {
    let dialect = |review: &Review<'_>, name: &ProviderName| -> Option<Dialect> {
        let intact = review.intact(&field!["providers", name.as_str(), "dialect"]);
        config.providers.get(name).filter(|_| intact).map(|provider| provider.dialect)
    };
    let mut first: Option<(&ProviderName, Dialect)> = None;
    for (i, target) in route.targets.iter().enumerate() {
        let Some(spoken) = dialect(review, &target.provider) else { continue };
        let (name, expected) = *first.get_or_insert((&target.provider, spoken));
        if spoken.request_format() != expected.request_format() {
            let at = target_at(review, at, i);
            let fault = Fault::new(
                format!(
                    "`{}` (dialect `{}`) takes another request format than `{name}` (dialect `{}`)",
                    target.provider,
                    spoken.name(),
                    expected.name()
                ),
                "give each request format a route of its own: requests are never translated",
            );
            review.value(&at, fault);
        }
    }
}

/// Refuses a route all of whose requests an earlier one takes.
fn reachable(review: &mut Review<'_>, i: usize, routes: &[Route]) {
    let later = &routes[i];
    // A pattern that fits another pattern's text fits all that the other stands for: only its stars can have taken the other's.
    let covered = |earlier: &Route| {
        let one = |model: &ModelPattern| earlier.models.iter().any(|wider| wider.matches(model.as_str()));
        earlier.models.is_empty() || (!later.models.is_empty() && later.models.iter().all(one))
    };
    let hides = |earlier: &Route| is_prefix(&earlier.path, &later.path) && covered(earlier);
    let intact =
        |review: &Review<'_>, i: usize| review.intact(&field!["routes", i, "path"]) && review.intact(&field!["routes", i, "models"]);
    let Some(first) = (0..i).find(|&first| hides(&routes[first]) && intact(review, first) && intact(review, i)) else { return };
    let earlier = review.as_written(&field!["routes", first]);
    let fault = Fault::new(
        format!("this route is never reached: `{earlier}` takes all its requests"),
        format!("move it before `{earlier}`, or narrow one of them by `path` or `models`"),
    );
    review.value(&field!["routes", i, "path"], fault);
}

/// Whether `prefix` is `path` or whole segments of its start.
fn is_prefix(prefix: &str, path: &str) -> bool {
    prefix == "/" || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
