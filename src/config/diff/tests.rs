//! What counts as a change, and which of them a running process can't follow.

use super::*;
use crate::config::{Environment, from_text};

const BASE: &str = "
providers:
  one: { base_url: 'http://127.0.0.1:1/v1', keys: [{ name: a, value: key-a }] }
routes: [{ path: /v1, targets: [one] }]
";

fn between(old: &str, new: &str) -> Diff {
    let load = |text: &str| from_text("test", text, &Environment::default()).unwrap_or_else(|problems| panic!("{problems}"));
    Diff::between(&load(old), &load(new))
}

#[test]
fn each_field_that_differs_is_named() {
    assert_eq!(between(BASE, BASE), Diff::default());
    let changed = |from: &str, to: &str| between(BASE, &BASE.replace(from, to)).changed;
    assert_eq!(changed("key-a", "key-b"), ["providers.one.keys"], "a secret that prints as another");
    assert_eq!(changed("keys:", "timeouts: { connect: 4s }, keys:"), ["providers.one.timeouts.connect"]);
    assert_eq!(changed("/v1, targets", "/v2, targets"), ["routes"]);
    let both =
        changed("routes:", "  two: { base_url: 'http://127.0.0.1:2/v1', keys: [{ value: key-b }] }\nannotate: { key: false }\nroutes:");
    assert_eq!(both, ["annotate.key", "providers.two"]);
}

#[test]
fn what_a_process_is_started_with_needs_a_restart() {
    let restart = |more: &str| between(BASE, &format!("{more}{BASE}")).restart;
    assert_eq!(restart("listen: { address: '127.0.0.1:9', workers: 3, keep_alive: 5s }\n"), ["listen.address", "listen.workers"]);
    assert_eq!(restart("dns: { min_ttl: 1s }\n"), ["dns.min_ttl"]);
    assert!(restart("listen: { keep_alive: 5s, max_headers: 7 }\nbody: { buffer: 1MiB }\n").is_empty());
}

#[test]
fn every_field_that_needs_a_restart_is_a_field() {
    let schema = serde_json::to_value(crate::config::schema()).unwrap().to_string();
    for field in RESTART {
        assert!(schema.contains(&format!("\"{}\":", field.rsplit('.').next().unwrap())), "{field}");
    }
}

#[test]
fn what_becomes_of_failures_is_followed_without_a_restart() {
    let changed = |from: &str, to: &str| between(BASE, &BASE.replace(from, to));
    for (from, to, field) in [
        ("routes:", "retry: { budget: 10% }\nroutes:", "retry.budget"),
        ("keys:", "breaker: off, keys:", "providers.one.breaker"),
        ("keys:", "breaker: { open: 1m }, keys:", "providers.one.breaker.open"),
        ("keys:", "queue: { concurrent: 2 }, keys:", "providers.one.queue"),
        ("key-a }", "key-a, requests: 5/min }", "providers.one.keys"),
        ("[one]", "[one], last_resort: { body: '{}' }", "routes"),
        ("[one]", "[one], models: [a], order: fastest", "routes"),
        ("[one]", "[one], cache: off", "routes"),
        ("routes:", "cache: {}\nroutes:", "cache"),
        ("routes:", "annotate: { cache: false }\nroutes:", "annotate.cache"),
    ] {
        let to = if to.contains("order") { to.replace("[one]", "[one, { provider: one, model: b }]") } else { to.to_owned() };
        assert_eq!(changed(from, &to), Diff { changed: vec![field.to_owned()], restart: Vec::new() }, "{to}");
    }
}

#[test]
fn each_number_of_the_cache_is_named_and_followed_without_a_restart() {
    let with = |fields: &str| BASE.replace("routes:", &format!("cache: {{ {fields} }}\nroutes:"));
    let diff = between(&with("ttl: 1m, max_size: 5MiB"), &with("ttl: 2m, max_size: 9MiB, headers: [x-tenant]"));
    let Diff { mut changed, restart } = diff;
    changed.sort_unstable();
    assert_eq!(changed, ["cache.headers", "cache.max_size", "cache.ttl"]);
    assert_eq!(restart, [""; 0]);
}
