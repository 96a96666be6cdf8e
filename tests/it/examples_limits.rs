//! The classic policies of `examples/limits`, each from its very file: what passes is counted to the last request, on a clock
//! that the test turns; and then some of it over the wire.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sidegate::{
    config::{self, Environment, KeyHash},
    pipeline::{client::Client as Caller, limit},
    policy::limits::{Refusal, acquire},
    runtime::{Limits, Registry},
    types::{Moment, Unit},
};

use crate::support::{Client, Provider, Script, Sidegate, client::Reply};

const MINUTE: u64 = 60;
const QUARTER: u64 = 15 * MINUTE;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/limits").join(name)
}

/// The limits of an example, without a proxy around them.
fn limits(name: &str) -> Limits {
    let loaded = config::load(&example(name), &Environment::from([("OPENAI_API_KEY", "sk-first-0123456789")]));
    let config = loaded.unwrap_or_else(|problems| panic!("{problems}")).config;
    Limits::new(config.limits, &Registry::default())
}

/// So many milliseconds after the process began.
fn at(millis: u64) -> Moment {
    Moment { nanos: (millis + 1) * 1_000_000, unix: 1_800_000_000 + millis / 1_000 }
}

fn ip(address: &str) -> Option<IpAddr> {
    Some(address.parse().unwrap())
}

fn of_tier(tier: &str, address: &str) -> Caller {
    Caller { tier: Some(tier.parse().unwrap()), ip: ip(address), ..Caller::default() }
}

fn from_region(region: &str, address: &str) -> Caller {
    Caller { region: Some(region.parse().unwrap()), ip: ip(address), ..Caller::default() }
}

/// One request: `Err` with the limit that refuses it, and how long it has to wait.
fn ask(limits: &Limits, caller: &Caller, now: Moment) -> Result<(), (String, Refusal)> {
    let (caller, mut checks) = (limit::caller(caller, None, limits.hasher()), Vec::new());
    for rule in limits.first.iter().enumerate() {
        limits.checks(rule, &caller, 1, |check| checks.push(check));
    }
    acquire(&mut checks, now).map(drop).map_err(|refusal| (limits.first[refusal.tag].name.to_string(), refusal))
}

/// How many pass of so many, one after the other, at this time.
fn passing(limits: &Limits, caller: &Caller, count: u64, now: Moment) -> u64 {
    (0..count).filter(|_| ask(limits, caller, now).is_ok()).count() as u64
}

/// A limit without `burst`: so many at once, the next is told to wait until the first has left the window, and not a moment
/// longer than a step of it; and whoever keeps asking through four windows gets four times as many at most.
fn holds(limits: &Limits, caller: &Caller, (name, most, window): (&str, u64, u64)) {
    assert_eq!(passing(limits, caller, most, at(0)), most, "{name}");
    let (refused_by, refusal) = ask(limits, caller, at(0)).unwrap_err();
    assert_eq!(refused_by, name);
    let (wait, window) = (refusal.wait.unwrap(), Duration::from_secs(window));
    assert!(wait >= window && wait < window + Duration::from_millis(1), "{name}: {wait:?}");
    let window = window.as_millis() as u64;
    assert_eq!(passing(limits, caller, 5, at(window - 1)), 0, "{name}: one of them is still in the window");
    let (mut passed, step) = (Vec::new(), window / (most + most / 2));
    for millis in (window + 1..5 * window).step_by(step as usize) {
        if ask(limits, caller, at(millis)).is_ok() {
            passed.push(millis);
        }
    }
    assert!(passed.len() as u64 >= most * 4 * 30 / 33, "{name}: only {} in four windows", passed.len());
    let within = |first: &u64| passed.partition_point(|then| *then < first + window) - passed.partition_point(|then| then < first);
    let most_in_any = passed.iter().map(within).max();
    assert!(most_in_any.is_some_and(|in_it| in_it as u64 <= most), "{name}: {most_in_any:?} in a window");
}

#[test]
fn each_tier_has_its_number_in_any_minute() {
    let limits = limits("tiers-per-minute.yaml");
    for (tier, most) in [("free", 10), ("premium", 100), ("enterprise", 500)] {
        holds(&limits, &of_tier(tier, "192.0.2.1"), (tier, most, MINUTE));
        assert_eq!(passing(&limits, &of_tier(tier, "192.0.2.2"), most + 9, at(0)), most, "each client has its own");
    }
}

#[test]
fn each_tier_has_its_number_in_any_quarter_of_an_hour() {
    let limits = limits("tiers-per-15-minutes.yaml");
    for (tier, most) in [("free", 100), ("premium", 1_000), ("enterprise", 10_000)] {
        holds(&limits, &of_tier(tier, "192.0.2.1"), (tier, most, QUARTER));
        assert_eq!(passing(&limits, &of_tier(tier, "192.0.2.2"), most + 9, at(0)), most, "each client has its own");
    }
}

#[test]
fn all_callers_of_a_region_share_its_number() {
    let limits = limits("regions.yaml");
    for (region, most) in [("us", 2_000), ("europe", 1_500), ("asia", 1_000)] {
        let half = passing(&limits, &from_region(region, "192.0.2.1"), most / 2, at(0));
        let rest = passing(&limits, &from_region(region, "192.0.2.2"), most, at(0));
        assert_eq!((half, rest), (most / 2, most / 2), "{region}");
        let (refused_by, refusal) = ask(&limits, &from_region(region, "192.0.2.3"), at(0)).unwrap_err();
        assert_eq!((refused_by.as_str(), refusal.wait.unwrap().as_secs()), (region, QUARTER));
    }
}

#[test]
fn a_bucket_gives_its_burst_at_once_and_its_rate_ever_after() {
    let limits = limits("burst.yaml");
    let caller = Caller { ip: ip("192.0.2.1"), ..Caller::default() };
    assert_eq!(passing(&limits, &caller, 200, at(0)), 150);
    assert_eq!(ask(&limits, &caller, at(0)).unwrap_err().1.wait, Some(Duration::from_millis(600)), "100 a minute is one in 600 ms");
    // Whoever never stops asking gets what flows back, and nothing more: 100 in each minute.
    for minute in 0..5 {
        let asked = (1..=6_000).filter(|tick| ask(&limits, &caller, at(minute * 60_000 + tick * 10)).is_ok());
        assert_eq!(asked.count(), 100, "minute {minute}");
    }
    // Who rests for a minute and a half has all of it again, and after a year no more than that.
    assert_eq!(passing(&limits, &caller, 200, at(5 * 60_000 + 90_000)), 150);
    assert_eq!(passing(&limits, &caller, 200, at(365 * 24 * 3_600_000)), 150);
}

#[test]
fn five_failed_logins_in_any_quarter_of_an_hour() {
    let limits = limits("failed-logins.yaml");
    let [rule] = &limits.failed_auth[..] else { panic!("one limit") };
    assert_eq!((rule.spec.unit(), rule.spec.amount(), limits.first.len()), (Unit::FailedAuth, 5, 0));
    let guess = |address: &str, now| {
        let (client, mut checks) = (Caller { ip: ip(address), ..Caller::default() }, Vec::new());
        limits.checks((0, rule), &limit::caller(&client, None, limits.hasher()), 1, |check| checks.push(check));
        acquire(&mut checks, now).is_ok()
    };
    // A little more than a minute, since a window is rounded up.
    let minutes = |minutes: u64| at(minutes * 60_050);
    // One a minute: five hold no more, and each of them is forgotten when a quarter of an hour has passed since.
    let passed: Vec<u64> = (0..31).filter(|minute| guess("192.0.2.1", minutes(*minute))).collect();
    assert_eq!(passed, [0, 1, 2, 3, 4, 15, 16, 17, 18, 19, 30]);
    assert!(guess("192.0.2.2", minutes(31)), "other addresses are not concerned");
}

/// Asks once.
async fn get(sidegate: &Sidegate, fields: &str) -> Reply {
    let mut client = Client::connect(sidegate.address).await;
    client.post_with("/v1/chat/completions", fields, "{}").await;
    client.reply("POST").await
}

/// Asks so often on one connection; how many passed, and the last refusal.
async fn many(sidegate: &Sidegate, fields: &str, count: usize) -> (usize, Option<Reply>) {
    let (mut client, mut passed, mut refused) = (Client::connect(sidegate.address).await, 0, None);
    for _ in 0..count {
        client.post_with("/v1/chat/completions", fields, "{}").await;
        let reply = client.reply("POST").await;
        match reply.status() {
            200 => passed += 1,
            429 => refused = Some(reply),
            _ => panic!("{}", reply.text()),
        }
    }
    (passed, refused)
}

#[tokio::test]
async fn the_tiers_over_the_wire() {
    let provider = Provider::always(Script::ok("{}")).await;
    let keyed = |config: &mut config::Config| {
        for client in &mut config.clients.as_mut().unwrap().keys {
            client.sha256 = KeyHash::of(format!("sg-{}-of-the-test", client.name).as_bytes());
        }
    };
    let sidegate = Sidegate::like(&example("tiers-per-minute.yaml"), provider.address, keyed);
    for (tier, fields, most) in [
        ("free", "", 10),
        ("premium", "Authorization: Bearer sg-web-of-the-test\r\n", 100),
        ("enterprise", "Authorization: Bearer sg-reports-of-the-test\r\n", 500),
    ] {
        let (passed, refused) = many(&sidegate, fields, most + 1).await;
        assert_eq!(passed, most, "{tier}");
        let refused = refused.unwrap();
        assert!(refused.text().contains(&format!("`{tier}`")), "it says which limit it was: {}", refused.text());
        let wait: u64 = refused.head.get("retry-after").unwrap().parse().unwrap();
        assert!((1..=61).contains(&wait), "{wait}");
    }
    assert_eq!(provider.asked(), 610);
}

#[tokio::test]
async fn the_regions_over_the_wire() {
    let provider = Provider::always(Script::ok("{}")).await;
    let sidegate = Sidegate::like(&example("regions.yaml"), provider.address, |_| {});
    // Half of them by a trusted word, half by their network; and nobody whom the other regions' would concern.
    let (by_word, _) = many(&sidegate, "X-Region: asia\r\n", 500).await;
    let (by_network, refused) = many(&sidegate, "X-Forwarded-For: 203.0.113.7\r\n", 501).await;
    assert_eq!((by_word, by_network), (500, 500));
    assert!(refused.unwrap().text().contains("`asia`"));
    assert_eq!(get(&sidegate, "X-Region: us\r\n").await.status(), 200);
    assert_eq!(get(&sidegate, "X-Forwarded-For: 2001:db8::7\r\n").await.status(), 200);
    assert_eq!(get(&sidegate, "X-Region: antarctica\r\nX-Forwarded-For: 192.0.2.1\r\n").await.status(), 200, "no limit names it");
}

#[tokio::test]
async fn the_burst_over_the_wire() {
    let provider = Provider::always(Script::ok("{}")).await;
    let sidegate = Sidegate::like(&example("burst.yaml"), provider.address, |_| {});
    let began = Instant::now();
    let (passed, refused) = many(&sidegate, "", 200).await;
    // What flows back meanwhile is one in 600 ms.
    let most = 150 + began.elapsed().as_millis() as usize / 600 + 1;
    assert!((150..=most).contains(&passed), "{passed} of 150 to {most}");
    if let Some(refused) = refused {
        assert!(refused.text().contains("`steady`"), "{}", refused.text());
        let wait: u64 = refused.head.get("retry-after").unwrap().parse().unwrap();
        assert!((1..=2).contains(&wait), "one flows back in 600 ms, and it says {wait} s");
    }
}

#[tokio::test]
async fn the_failed_logins_over_the_wire() {
    let provider = Provider::always(Script::ok("{}")).await;
    let sidegate = Sidegate::like(&example("failed-logins.yaml"), provider.address, |config| {
        config.clients.as_mut().unwrap().keys[0].sha256 = KeyHash::of(b"sg-web-of-the-test");
    });
    for status in [401, 401, 401, 401, 401, 429, 429] {
        assert_eq!(get(&sidegate, "Authorization: Bearer sg-wrong\r\n").await.status(), status);
    }
    assert_eq!(get(&sidegate, "Authorization: Bearer sg-web-of-the-test\r\n").await.status(), 200, "who has a key is not locked out");
    assert_eq!(provider.asked(), 1);
}
