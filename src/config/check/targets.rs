//! `routes[].targets`, `order` and `last_resort`: a chain that can be walked, and an end that can be sent.

use http::HeaderValue;

use super::{Review, routes::target_at};
use crate::{
    config::{
        Config, Credentials, LastResort, ModelPattern, Order, PriceList, Route, Target, UnknownPrice,
        path::{FieldPath, field},
        problem::Fault,
    },
    types::{Dialect, Size},
};

/// A longer name is no model's.
const LONGEST_NAME: usize = 256;
/// The largest body of a static reply: it stays in memory.
const LARGEST: Size = Size::kib(64);
/// The most targets of a route; no request is tried more often than `retry.attempts` says.
const MOST: usize = 16;

pub(super) fn check(review: &mut Review<'_>, config: &Config) {
    for (i, route) in config.routes.iter().enumerate() {
        let at = field!["routes", i];
        let targets = at.then("targets");
        if route.targets.len() > MOST {
            review.name(&targets, Fault::new(format!("more than {MOST} targets"), "keep those that a request may reach"));
        }
        for (i, target) in route.targets.iter().enumerate() {
            conditions(review, &targets, (i, target));
            renamed(review, (&at, i), (route, target), config);
            twice(review, &at, (i, route));
        }
        if route.credentials == Credentials::Client && review.intact(&at.then("credentials")) {
            own_credentials(review, &at, route, config);
        }
        if let Some(reply) = &route.last_resort {
            last_resort(review, &at.then("last_resort"), reply);
        }
    }
}

fn conditions(review: &mut Review<'_>, targets: &FieldPath, (i, target): (usize, &Target)) {
    let Some(when) = &target.when else { return };
    let at = &targets.then(i).then("when");
    if i == 0 && review.intact(targets) {
        let fault = Fault::new("the first target takes over from nobody", "remove `when`, or move this target behind another");
        review.name(at, fault);
    } else if when.iter().enumerate().any(|(i, one)| when[..i].contains(one)) {
        review.value(at, Fault::new("the same stands there twice", "name each once"));
    }
}

/// A name that takes a caller's place must be one that a body, and Gemini's path, can carry.
fn renamed(review: &mut Review<'_>, (at, i): (&FieldPath, usize), (route, target): (&Route, &Target), config: &Config) {
    let Some(model) = &target.model else { return };
    let in_path = config.providers.get(&target.provider).is_some_and(|provider| provider.dialect == Dialect::Gemini);
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"\"\\".contains(&byte) && !(in_path && b"/?#%:".contains(&byte));
    let fault = if model.is_empty() || model.len() > LONGEST_NAME || !model.bytes().all(fits) {
        Fault::new("no provider has a model of this name", "write a model's name, such as `gpt-4o`")
    } else if model.contains('*') {
        Fault::new("a request can't ask for several models", "write one model's name; `*` is for `models:` of the route")
    } else if route.models.is_empty() && review.intact(&at.then("models")) {
        let fix = "say for which models it stands in: `models: [\"gpt-4o*\"]` beside `targets`, or `[\"*\"]` if for all";
        Fault::new(format!("every model would become `{model}`, also one for embeddings or images"), fix)
    } else {
        return;
    };
    review.value(&at.then("targets").then(i).then("model"), fault);
}

fn twice(review: &mut Review<'_>, at: &FieldPath, (i, route): (usize, &Route)) {
    let target = &route.targets[i];
    let same = |other: &Target| other.provider == target.provider && other.model == target.model;
    if route.targets[..i].iter().any(same) && review.intact(&at.then("targets")) {
        let fix = "remove one of the two, or give one another `model`; the keys of a provider are all tried anyway";
        let at = target_at(review, at, i);
        review.value(&at, Fault::new(format!("`{}` is a target of this route already", target.provider), fix));
    }
}

/// What a caller proves itself with is for one provider. To show it to another would give it away.
fn own_credentials(review: &mut Review<'_>, at: &FieldPath, route: &Route, config: &Config) {
    let intact = review.intact(&field!["providers"]) && review.intact(&at.then("targets"));
    let dialect = |target: &Target| config.providers.get(&target.provider).filter(|_| intact).map(|provider| provider.dialect);
    let Some((first, spoken)) = route.targets.first().and_then(|first| Some((first, dialect(first)?))) else { return };
    let Some(i) = route.targets.iter().position(|target| dialect(target).is_some_and(|other| other != spoken)) else { return };
    let at = target_at(review, at, i);
    let fault = Fault::new(
        format!("`{}` would be shown the callers' credentials for `{}`", route.targets[i].provider, first.provider),
        "give it a route of its own, or leave `credentials: client` out and let both use their pools",
    );
    review.value(&at, fault);
}

fn last_resort(review: &mut Review<'_>, at: &FieldPath, reply: &LastResort) {
    if !(200..=599).contains(&reply.status) {
        review.value(&at.then("status"), Fault::new("this is the status of no reply", "write one from 200 to 599, such as 503"));
    } else if matches!(reply.status, 204 | 205 | 304) && !reply.body.is_empty() {
        let fault = Fault::new(format!("a reply of status {} has no body", reply.status), "write another status, or `body: \"\"`");
        review.value(&at.then("status"), fault);
    }
    let media = &reply.content_type;
    if !(HeaderValue::from_str(media).is_ok() && media.is_ascii() && media.trim() == media && media.contains('/')) {
        let fault = Fault::new("this is no type of content", "write one such as `application/json`");
        review.value(&at.then("content_type"), fault);
    }
    let is_json = media.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"));
    if reply.body.len() > LARGEST.bytes() {
        review.value(&at.then("body"), Fault::new("the body is too large", format!("write at most {LARGEST}")));
    } else if is_json && !reply.body.is_empty() && serde_json::from_str::<serde::de::IgnoredAny>(&reply.body).is_err() && review.intact(at)
    {
        let fix = "correct it, or say with `content_type` what it is; in YAML, JSON stands in single quotes";
        review.value(&at.then("body"), Fault::new("the body is not the JSON that `content_type` promises", fix));
    }
}

/// Whether `order` has something to go by; `file` is the price list that the config names.
pub(super) fn order(review: &mut Review<'_>, config: &Config, file: Option<&PriceList>) {
    let mut known = None;
    for (i, route) in config.routes.iter().enumerate().filter(|(_, route)| route.order != Order::Given) {
        let (at, targets) = (field!["routes", i, "order"], field!["routes", i, "targets"]);
        let free = route.targets.iter().filter(|target| target.when.is_none()).count();
        if free < 2 && review.intact(&targets) {
            let fix = "name another target, without `when`, or remove `order`";
            review.value(&at, Fault::new("there is nothing to put in order: only one target may come first", fix));
        }
        if route.order == Order::Cheapest && review.intact(&field!["prices"]) {
            let known = known.get_or_insert_with(|| Known::new(config, file));
            for (i, target) in route.targets.iter().enumerate() {
                let Some(model) = target.model.as_ref().filter(|model| !known.has(model)) else { continue };
                let fix = format!("add it below `prices.models`: `{model}: {{ input: 1, output: 4 }}`");
                review.value(&targets.then(i).then("model"), Fault::new(format!("nobody knows what `{model}` costs"), fix));
            }
        }
    }
}

/// The models whose price may be known.
struct Known {
    patterns: Vec<ModelPattern>,
    /// All of them, because the config has a price for those that it does not name.
    all: bool,
}

impl Known {
    fn new(config: &Config, file: Option<&PriceList>) -> Self {
        let built_in = PriceList::built_in();
        let written = config.prices.iter().flat_map(|prices| prices.models.keys());
        let listed = [Some(&built_in), file].into_iter().flatten();
        let sold = listed.flat_map(|list| list.models.keys().chain(list.providers.values().flat_map(|seller| seller.models.keys())));
        let all = config.prices.as_ref().is_some_and(|prices| matches!(prices.unknown, UnknownPrice::Free | UnknownPrice::Price(_)));
        Self { patterns: written.chain(sold).cloned().collect(), all }
    }

    /// Whether it may be known, also as a snapshot of another, or behind the name of who made it.
    fn has(&self, model: &str) -> bool {
        let name = model.rsplit_once('/').map_or(model, |(_, name)| name);
        let fits =
            |pattern: &ModelPattern| [model, name].into_iter().any(|name| pattern.matches(name) || name.starts_with(pattern.as_str()));
        self.all || self.patterns.iter().any(fits)
    }
}
