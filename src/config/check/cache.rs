//! `cache:` and `routes[].cache:`: replies that can be found again, and only by those who may.

use http::HeaderName;

use super::{Review, labels};
use crate::{
    config::{
        Cache, CacheChoice, Config, Credentials, Route, Scope,
        path::{FieldPath, field},
        problem::Fault,
    },
    types::{Period, Size},
};

/// The largest `max_entry`: a call under way holds as much of its reply in memory, and the store has parts that nothing larger fits into.
const LARGEST: Size = Size::mib(16);
/// The most `headers`: each is looked up in every request.
const MOST_HEADERS: usize = 16;

pub(super) fn check(review: &mut Review<'_>, config: &Config) {
    if let Some(cache) = &config.cache {
        let at = field!["cache"];
        if cache.max_size == Size(0) {
            let fault = Fault::new("a store of no bytes keeps nothing", "write a size such as `256MiB`, or remove `cache`");
            review.value(&at.then("max_size"), fault);
        }
        numbers(review, &at, cache, "remove `cache`");
        headers(review, &at.then("headers"), &cache.headers);
        tiers(review, &at, config, Some(cache.scope));
    }
    for (i, route) in config.routes.iter().enumerate() {
        let at = field!["routes", i, "cache"];
        if let (Some(CacheChoice::On(own)), Some(cache)) = (&route.cache, config.cache_of(route)) {
            numbers(review, &at, &cache, "`cache: off`");
            headers(review, &at.then("headers"), own.headers.as_deref().unwrap_or_default());
            tiers(review, &at, config, own.scope);
        }
        accounts(review, i, route, config);
    }
}

/// The numbers that stand below `at`; those that come from elsewhere are checked there. `off` is how to do without a cache.
fn numbers(review: &mut Review<'_>, at: &FieldPath, cache: &Cache, off: &str) {
    for (field, period) in [("ttl", cache.ttl), ("negative_ttl", cache.negative_ttl), ("stale_if_error", cache.stale_if_error)] {
        let at = at.then(field);
        if !review.was_written(&at) {
            continue;
        }
        if field == "ttl" && period == Period::secs(0) {
            let fault = Fault::new("a reply that answers for no time is never found", format!("write a time such as `10m`, or {off}"));
            review.value(&at, fault);
        } else if !period.0.is_zero() {
            review.period(&at, period);
        }
    }
    let (entry, size) = (at.then("max_entry"), at.then("max_size"));
    let place = [&entry, &size].into_iter().find(|place| review.was_written(place));
    let Some(place) = place.filter(|_| cache.max_size > Size(0)) else { return };
    if cache.max_entry == Size(0) {
        let fault = Fault::new("no reply has no bytes, so none would be kept", format!("write a size such as `1MiB`, or {off}"));
        review.value(place, fault);
    } else if cache.max_entry > LARGEST {
        let fault = Fault::new("a call under way holds as much in memory as is kept of it", format!("write at most `{LARGEST}`"));
        review.value(place, fault);
    } else if cache.max_entry.0 > cache.max_size.0 / 2 && review.intact(&field!["cache"]) {
        let fault = Fault::new(
            format!("one reply of {} would take up more than half of a store of {}", cache.max_entry, cache.max_size),
            "write a smaller `max_entry`, or a larger `cache.max_size`",
        );
        review.value(place, fault);
    }
}

fn headers(review: &mut Review<'_>, at: &FieldPath, names: &[String]) {
    if names.len() > MOST_HEADERS {
        review.name(at, Fault::new("so many fields would be looked for in every request", format!("name at most {MOST_HEADERS}")));
    }
    for (i, name) in names.iter().enumerate() {
        let fault = match HeaderName::from_bytes(name.as_bytes()) {
            Err(_) => Fault::new("this is no name of a field", "write letters, digits and `-`, such as `x-tenant`"),
            Ok(_) if names[..i].iter().any(|earlier| earlier.eq_ignore_ascii_case(name)) => {
                Fault::new("the same stands there twice", "name each once")
            }
            Ok(name) => match unfit(name.as_str()) {
                Some((problem, fix)) => Fault::new(problem, fix),
                None => continue,
            },
        };
        review.value(&at.then(i), fault);
    }
}

/// Why a field can't tell one question from another, and what to do instead.
fn unfit(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "authorization" | "proxy-authorization" | "x-api-key" | "api-key" | "x-goog-api-key" | "cookie" | "sec-websocket-protocol" => {
            ("a credential says who asks, and not what", "remove it: `scope: client` answers nobody with what another has asked")
        }
        "x-forwarded-for" | "x-api-tier" | "x-region" | "x-priority" => (
            "Sidegate keeps this field to itself: no provider answers by it",
            "remove it: `scope` says who may be answered with what another has asked",
        ),
        "cache-control" | "pragma" => ("this field tells the cache what to do, and it does so anyway", "remove it"),
        "x-request-id" | "x-client-request-id" | "idempotency-key" | "traceparent" | "tracestate" | "date" => {
            ("this field is another one in every request, so nothing would be found again", "remove it")
        }
        "connection" | "content-encoding" | "content-length" | "expect" | "host" | "http2-settings" | "keep-alive" | "max-forwards"
        | "proxy-authenticate" | "proxy-connection" | "range" | "te" | "trailer" | "transfer-encoding" | "upgrade" => {
            ("this field says how a request is sent, and not what it asks", "remove it")
        }
        _ => return None,
    })
}

/// Refuses to share by tier where no request can have one. `at` is where the cache stands, `own` what it says there.
fn tiers(review: &mut Review<'_>, at: &FieldPath, config: &Config, own: Option<Scope>) {
    let from_outside = !config.trust.proxies.is_empty();
    let intact = ["clients", "trust"].into_iter().all(|section| review.intact(&field![section]));
    if own != Some(Scope::Tier) || from_outside || !intact {
        return;
    }
    if let Some(kind) = labels::tiers(config).filter(|kind| kind.known.is_empty()) {
        let fault = Fault::new("replies are shared within a tier, and no request has one", format!("{}; or write `client`", kind.source));
        review.value(&at.then("scope"), fault);
    }
}

/// Where callers bring their own accounts, nobody is answered with what another's account was charged for and may see.
fn accounts(review: &mut Review<'_>, i: usize, route: &Route, config: &Config) {
    let shares = config.cache_of(route).is_some_and(|cache| cache.scope != Scope::Client);
    let intact = review.intact(&field!["routes", i]) && review.intact(&field!["cache"]);
    if route.credentials != Credentials::Client || !shares || !intact {
        return;
    }
    let own = field!["routes", i, "cache", "scope"];
    let at = if review.was_written(&own) { own } else { field!["routes", i, "credentials"] };
    let fault = Fault::new(
        "callers bring their own credentials here, and one would be answered with what another's account has paid for",
        "write `cache: { scope: client }` for this route, or `cache: off`",
    );
    review.value(&at, fault);
}
