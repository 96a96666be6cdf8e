//! `cache:` and what routes say otherwise: what is left unsaid, and what a route's requests then find in the snapshot.

use std::time::Duration;

use sidegate::{
    config::{self, Cache, CacheChoice, Config, Determinism, Replay, RouteCache, Scope},
    policy::cache::Spec,
    runtime::{Registry, compile, compile::Ground},
    telemetry::Metrics,
};

use super::{environment, load, problems, root, with};

/// The config of one route for each of `routes`, with this said at the top.
fn text(top: &str, routes: &[&str]) -> String {
    let routes: Vec<_> = routes.iter().enumerate().map(|(i, more)| format!("  - {{ path: /{i}, targets: [openai]{more} }}")).collect();
    format!("{top}\nproviders: {{ openai: {{ keys: [{{ env: OPENAI_API_KEY }}] }} }}\nroutes:\n{}\n", routes.join("\n"))
}

fn config(top: &str, routes: &[&str]) -> Config {
    load(&text(top, routes)).unwrap_or_else(|problems| panic!("{problems}")).config
}

/// What each route's requests find.
fn specs(top: &str, routes: &[&str]) -> Vec<Option<Spec>> {
    let loaded = load(&text(top, routes)).unwrap_or_else(|problems| panic!("{problems}"));
    let ground = Ground { metrics: &Metrics::default(), registry: &Registry::default(), before: None };
    let snapshot = compile(loaded, ground).unwrap();
    snapshot.routes.into_iter().map(|route| route.cache.map(|spec| (*spec).clone())).collect()
}

#[test]
fn nothing_is_kept_unless_the_config_says_so() {
    let silent = load(&with("")).unwrap().config;
    assert_eq!((silent.cache, &silent.routes[0].cache), (None, &None));
    assert!(!silent.annotate.cache_status && silent.annotate.cache);
    for top in ["", "cache:", "cache:\n  # ttl: 1h", "cache: off"] {
        assert_eq!(specs(top, &["", ", cache:", ", cache: off"]), [None, None, None], "{top}");
    }
}

#[test]
fn a_cache_that_says_no_more_keeps_replies_for_ten_minutes_and_for_their_client_alone() {
    let expected = Spec {
        ttl: Duration::from_secs(600),
        negative_ttl: Duration::from_secs(10),
        stale_if_error: Duration::from_secs(3_600),
        max_entry: 1 << 20,
        scope: Scope::Client,
        determinism: Determinism::Any,
        headers: Box::default(),
        collapse: true,
        finish: false,
        replay: Replay::Instant,
        counts_hits: false,
    };
    assert_eq!(specs("cache: {}", &["", ", cache: off", ", cache: {}"]), [Some(expected.clone()), None, Some(expected.clone())]);
    assert_eq!(specs("", &["", ", cache: {}"]), [None, Some(expected)]);
    let (size, entries) = config("", &[""]).cache_bounds();
    assert_eq!((size.to_string().as_str(), entries.get()), ("256MiB", 100_000));
}

#[test]
fn a_route_says_single_fields_otherwise_and_has_the_others_from_the_top() {
    let top = "cache: { ttl: 1m, scope: all, headers: [x-a], collapse: false, max_size: 8MiB, max_entries: 7 }";
    let routes = ["", ", cache: { ttl: 1h, headers: [] }", ", cache: { scope: client, collapse: true }"];
    let specs: Vec<_> = specs(top, &routes).into_iter().flatten().collect();
    let told = |spec: &Spec| (spec.ttl.as_secs(), spec.scope, spec.headers.len(), spec.collapse);
    let told: Vec<_> = specs.iter().map(told).collect();
    assert_eq!(told, [(60, Scope::All, 1, false), (3_600, Scope::All, 0, false), (60, Scope::Client, 1, true)]);
    let (size, entries) = config(top, &routes).cache_bounds();
    assert_eq!((size.to_string().as_str(), entries.get()), ("8MiB", 7));
}

#[test]
fn every_field_that_a_route_says_is_the_one_that_counts() {
    let own = "ttl: 1s, negative_ttl: 2s, stale_if_error: 3s, max_entry: 4KiB, scope: all, determinism: strict, headers: [x-b], \
               collapse: false, finish: true, replay: paced, count_hits: true";
    let expected = Spec {
        ttl: Duration::from_secs(1),
        negative_ttl: Duration::from_secs(2),
        stale_if_error: Duration::from_secs(3),
        max_entry: 4 << 10,
        scope: Scope::All,
        determinism: Determinism::Strict,
        headers: ["x-b".into()].into(),
        collapse: false,
        finish: true,
        replay: Replay::Paced,
        counts_hits: true,
    };
    let at_top = format!("cache: {{ {own} }}");
    for (top, route) in [("", format!(", cache: {{ {own} }}")), (at_top.as_str(), String::new()), (at_top.as_str(), ", cache: {}".into())] {
        assert_eq!(specs(top, &[&route]), [Some(expected.clone())], "{top} {route}");
    }
}

#[test]
fn fields_are_asked_for_in_one_order_and_in_small_letters_however_they_are_written() {
    let of = |names: &str| specs(&format!("cache: {{ headers: [{names}] }}"), &[""]).remove(0).unwrap().headers;
    assert_eq!(of("X-Tenant, x-app"), ["x-app".into(), "x-tenant".into()].into());
    assert_eq!(of("x-app, x-tenant"), of("X-TENANT, X-App"));
}

#[test]
fn what_is_read_is_written_back_as_it_was() {
    let written = |config: &Config| serde_json::to_value(&config.routes).unwrap().to_string();
    let config = config("cache: { ttl: 2h }", &[", cache: off", ", cache: { ttl: 1h }", ""]);
    let text = written(&config);
    assert!(text.contains(r#""cache":"off""#) && text.contains(r#""cache":{"ttl":"1h"}"#), "{text}");
    assert_eq!(config.routes[0].cache, Some(CacheChoice::Off));
    let own = RouteCache { ttl: Some("1h".parse().unwrap()), ..RouteCache::default() };
    assert_eq!(config.routes[1].cache, Some(CacheChoice::On(own)));
    assert_eq!(config.cache, Some(Cache { ttl: "2h".parse().unwrap(), ..Cache::default() }));
}

#[test]
fn replies_are_shared_within_a_tier_only_where_requests_can_have_one() {
    let tier = "cache: { scope: tier }";
    let none = problems(&text(tier, &[""]));
    assert!(none.contains("field: cache.scope") && none.contains("no request has one"), "{none}");
    for enough in ["clients: { anonymous: free }", "trust: { proxies: [loopback] }"] {
        config(&format!("{tier}\n{enough}"), &[""]);
    }
    let of_a_route = problems(&text("", &[", cache: { scope: tier }"]));
    assert!(of_a_route.contains("field: routes[0].cache.scope"), "{of_a_route}");
}

#[test]
fn callers_with_accounts_of_their_own_never_share() {
    let fields = |top: &str, more: &str| {
        let route = format!(", credentials: client{more}");
        load(&text(top, &[&route])).err().map(|found| found.iter().map(|problem| problem.field().to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(fields("cache: { scope: all }", ""), Some(vec!["routes[0].credentials".to_owned()]));
    assert_eq!(fields("cache: { scope: client }", ", cache: { scope: all }"), Some(vec!["routes[0].cache.scope".to_owned()]));
    for (top, more) in
        [("cache: { scope: all }", ", cache: { scope: client }"), ("cache: { scope: all }", ", cache: off"), ("cache: {}", "")]
    {
        assert_eq!(fields(top, more), None, "{top} {more}");
    }
}

#[test]
fn the_examples_keep_and_share_what_they_speak_of() {
    let of = |name: &str| {
        let loaded = config::load(&root().join("examples/cache").join(name), &environment());
        let config = loaded.unwrap_or_else(|problems| panic!("{problems}")).config;
        config.routes.iter().map(|route| config.cache_of(route)).collect::<Vec<_>>()
    };
    let repeats = of("repeats.yaml").remove(0).unwrap();
    assert_eq!((repeats.scope, repeats.stale_if_error.0), (Scope::Client, Duration::from_secs(86_400)));
    let streams = of("streams.yaml").remove(0).unwrap();
    assert_eq!((streams.scope, streams.replay, streams.finish, streams.collapse), (Scope::All, Replay::Paced, true, true));
    let [Some(embeddings), None, Some(chats)] = &of("tenants.yaml")[..] else { panic!("embeddings, none, and the others") };
    assert_eq!((embeddings.scope, embeddings.headers.len(), embeddings.count_hits), (Scope::All, 0, true));
    assert_eq!((chats.scope, &chats.headers[..], chats.count_hits), (Scope::Client, &["x-tenant".to_owned()][..], true));
}
