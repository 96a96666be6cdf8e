use proptest::prelude::*;

use super::*;
use crate::{
    config::{Determinism, Replay, Scope},
    policy::cache::MaxStale,
};

const SECOND: u64 = 1_000_000_000;

/// Ten minutes fresh, a refusal for ten seconds, an hour stale.
fn spec() -> Spec {
    Spec {
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
    }
}

fn at(seconds: u64) -> Moment {
    Moment { nanos: seconds * SECOND, unix: 1_700_000_000 + seconds }
}

/// Of what was stored in second 100.
fn dates(kind: Kind, jitter: i16) -> Dates {
    Dates::new(&spec(), kind, at(100), jitter)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn answer(asked: Directives, age: u64) -> Use {
    judge(&spec(), &dates(Kind::Answer, 0), &asked, at(100 + age))
}

fn asks() -> Directives {
    Directives::default()
}

#[test]
fn an_answer_is_fresh_then_stale_then_over() {
    assert_eq!(answer(asks(), 0), Use::Fresh { age: secs(0), left: secs(600) });
    assert_eq!(answer(asks(), 599), Use::Fresh { age: secs(599), left: secs(1) });
    assert_eq!(answer(asks(), 600), Use::Stale { age: secs(600) });
    assert_eq!(answer(asks(), 4_199), Use::Stale { age: secs(4_199) });
    assert_eq!(answer(asks(), 4_200), Use::Useless);
    assert!(!is_over(&spec(), &dates(Kind::Answer, 0), at(4_299)));
    assert!(is_over(&spec(), &dates(Kind::Answer, 0), at(4_300)));
}

#[test]
fn a_refusal_ends_soon_and_is_never_stale() {
    let refusal = dates(Kind::Refusal, 0);
    let fresh = Use::Fresh { age: secs(9), left: secs(1) };
    assert_eq!(judge(&spec(), &refusal, &asks(), at(109)), fresh);
    assert_eq!(judge(&spec(), &refusal, &asks(), at(110)), Use::Useless);
    let any_age = Directives { max_age: Some(secs(1)), max_stale: Some(MaxStale::Any), ..asks() };
    assert_eq!(judge(&spec(), &refusal, &any_age, at(105)), Use::Useless);
    assert_eq!(refusal.until, 110 * SECOND);
}

#[test]
fn a_shorter_ttl_holds_at_once() {
    let shorter = Spec { ttl: secs(60), stale_if_error: Duration::ZERO, ..spec() };
    assert_eq!(judge(&shorter, &dates(Kind::Answer, 0), &asks(), at(159)), Use::Fresh { age: secs(59), left: secs(1) });
    assert_eq!(judge(&shorter, &dates(Kind::Answer, 0), &asks(), at(160)), Use::Useless);
}

#[test]
fn jitter_is_a_tenth_at_most() {
    assert_eq!(judge(&spec(), &dates(Kind::Answer, -100), &asks(), at(639)), Use::Fresh { age: secs(539), left: secs(1) });
    assert_eq!(judge(&spec(), &dates(Kind::Answer, -100), &asks(), at(640)), Use::Stale { age: secs(540) });
    assert_eq!(judge(&spec(), &dates(Kind::Answer, 100), &asks(), at(759)), Use::Fresh { age: secs(659), left: secs(1) });
    assert_eq!(dates(Kind::Answer, i16::MAX), dates(Kind::Answer, 100));
    assert_eq!(dates(Kind::Answer, i16::MIN), dates(Kind::Answer, -100));
}

#[test]
fn who_wants_no_stored_answer_gets_none() {
    for asked in [Directives { no_store: true, ..asks() }, Directives { no_cache: true, ..asks() }] {
        assert_eq!(answer(asked, 1), Use::Useless);
        assert_eq!(answer(asked, 700), Use::Useless);
    }
}

#[test]
fn who_wants_a_young_answer_gets_none_older_and_none_stale() {
    let young = Directives { max_age: Some(secs(30)), ..asks() };
    assert_eq!(answer(young, 30), Use::Fresh { age: secs(30), left: secs(570) });
    assert_eq!(answer(young, 31), Use::Useless);
    assert_eq!(answer(Directives { max_age: Some(secs(9_999)), ..asks() }, 601), Use::Useless);
}

#[test]
fn who_wants_it_to_stay_fresh_gets_none_that_ends_sooner() {
    let lasting = Directives { min_fresh: Some(secs(100)), ..asks() };
    assert_eq!(answer(lasting, 500), Use::Fresh { age: secs(500), left: secs(100) });
    assert_eq!(answer(lasting, 501), Use::Useless);
    assert_eq!(answer(Directives { min_fresh: Some(Duration::MAX), max_stale: Some(MaxStale::Any), ..asks() }, 0), Use::Useless);
}

#[test]
fn who_says_how_stale_it_may_be_is_heard_within_the_operators_window() {
    let stale = |by| Directives { max_stale: Some(MaxStale::By(secs(by))), ..asks() };
    assert_eq!(answer(stale(50), 650), Use::Stale { age: secs(650) });
    assert_eq!(answer(stale(50), 651), Use::Useless);
    assert_eq!(answer(stale(99_999), 4_200), Use::Useless);
    assert_eq!(answer(Directives { max_stale: Some(MaxStale::Any), ..asks() }, 4_199), Use::Stale { age: secs(4_199) });
    let young_or_little_stale = Directives { max_age: Some(secs(30)), ..stale(10) };
    assert_eq!(answer(young_or_little_stale, 40), Use::Stale { age: secs(40) });
    assert_eq!(answer(young_or_little_stale, 41), Use::Useless);
}

#[test]
fn a_clock_that_is_read_too_early_makes_nothing_older() {
    assert_eq!(judge(&spec(), &dates(Kind::Answer, 0), &asks(), at(99)), Use::Fresh { age: secs(0), left: secs(600) });
}

#[test]
fn what_never_ends_does_not_overflow() {
    let forever = Spec { ttl: Duration::MAX, stale_if_error: Duration::MAX, ..spec() };
    let dates = Dates::new(&forever, Kind::Answer, at(100), 100);
    assert_eq!(dates.until, u64::MAX);
    let now = Moment { nanos: u64::MAX, unix: 0 };
    assert!(matches!(judge(&forever, &dates, &asks(), now), Use::Fresh { .. }));
}

prop_compose! {
    fn any_spec()(ttl in 0..100_000_u64, negative in 0..1_000_u64, stale in 0..100_000_u64) -> Spec {
        let millis = Duration::from_millis;
        Spec { ttl: millis(ttl), negative_ttl: millis(negative), stale_if_error: millis(stale), ..spec() }
    }
}

prop_compose! {
    fn any_directives()(
        (no_store, no_cache, only_if_cached) in (prop::bool::weighted(0.1), prop::bool::weighted(0.1), any::<bool>()),
        max_age in prop::option::of(0..150_u64), min_fresh in prop::option::of(0..150_u64),
        max_stale in prop::option::of(prop_oneof![Just(MaxStale::Any), (0..150_u64).prop_map(|by| MaxStale::By(secs(by)))]),
    ) -> Directives {
        Directives { no_store, no_cache, only_if_cached, max_age: max_age.map(secs), min_fresh: min_fresh.map(secs), max_stale }
    }
}

/// How much use is better than another.
fn rank(used: Use) -> u8 {
    match used {
        Use::Fresh { .. } => 2,
        Use::Stale { .. } => 1,
        Use::Useless => 0,
    }
}

proptest! {
    #[test]
    fn what_is_fresh_is_no_older_than_its_ttl_and_a_tenth(
        stored_by in any_spec(), spec in any_spec(), asked in any_directives(), negative: bool, jitter: i16, age in 0..250_000_u64,
    ) {
        let kind = if negative { Kind::Refusal } else { Kind::Answer };
        let dates = Dates::new(&stored_by, kind, at(100), jitter);
        let now = Moment { nanos: 100 * SECOND + age * 1_000_000, unix: 0 };
        let ttl = if negative { spec.negative_ttl } else { spec.ttl };
        match judge(&spec, &dates, &asked, now) {
            Use::Fresh { age, left } => {
                prop_assert!(age < ttl.mul_f64(1.100_001) && age + left <= ttl.mul_f64(1.100_001));
                prop_assert!(asked.max_age.is_none_or(|oldest| age <= oldest) && asked.min_fresh.is_none_or(|least| left >= least));
            }
            Use::Stale { age } => prop_assert!(!negative && age < ttl.mul_f64(1.100_001) + spec.stale_if_error),
            Use::Useless => {}
        }
    }

    #[test]
    fn what_is_young_enough_is_fresh_to_whoever_asks_for_nothing(spec in any_spec(), jitter: i16, age in 0..100_000_u64) {
        let dates = Dates::new(&spec, Kind::Answer, at(100), jitter);
        let now = Moment { nanos: 100 * SECOND + age * 1_000_000, unix: 0 };
        let is_young = Duration::from_millis(age) < spec.ttl.mul_f64(0.899_999);
        prop_assert!(!is_young || rank(judge(&spec, &dates, &asks(), now)) == 2);
    }

    #[test]
    fn no_directive_makes_a_reply_fresher(spec in any_spec(), asked in any_directives(), jitter: i16, age in 0..250_000_u64) {
        let dates = Dates::new(&spec, Kind::Answer, at(100), jitter);
        let now = Moment { nanos: 100 * SECOND + age * 1_000_000, unix: 0 };
        let (silent, said) = (judge(&spec, &dates, &asks(), now), judge(&spec, &dates, &asked, now));
        prop_assert!(rank(said) <= rank(silent), "{silent:?} {said:?}");
        // A client that wants it fresher than another gets nothing that the other does not.
        let stricter = Directives { max_age: Some(asked.max_age.unwrap_or(secs(50)).min(secs(50))), ..asked };
        prop_assert!(rank(judge(&spec, &dates, &stricter, now)) <= rank(said));
    }

    #[test]
    fn what_a_sweep_takes_is_over_by_its_own_spec(spec in any_spec(), negative: bool, jitter: i16) {
        let kind = if negative { Kind::Refusal } else { Kind::Answer };
        let dates = Dates::new(&spec, kind, at(100), jitter);
        let (after, before) = (Moment { nanos: dates.until, unix: 0 }, Moment { nanos: dates.until - 1, unix: 0 });
        prop_assert!(is_over(&spec, &dates, after));
        prop_assert!(dates.until == dates.stored || !is_over(&spec, &dates, before));
    }
}
