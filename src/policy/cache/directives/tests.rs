use proptest::prelude::*;

use super::*;

fn of(field: &str) -> Directives {
    Directives::of([field.as_bytes()].into_iter(), None)
}

fn secs(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[test]
fn each_directive_of_a_request_is_read() {
    assert_eq!(of("no-store"), Directives { no_store: true, ..Directives::default() });
    assert_eq!(of("No-Cache"), Directives { no_cache: true, ..Directives::default() });
    assert_eq!(of("ONLY-IF-CACHED"), Directives { only_if_cached: true, ..Directives::default() });
    assert_eq!(of("max-age=60"), Directives { max_age: secs(60), ..Directives::default() });
    assert_eq!(of("min-fresh=7"), Directives { min_fresh: secs(7), ..Directives::default() });
    assert_eq!(of("max-stale"), Directives { max_stale: Some(MaxStale::Any), ..Directives::default() });
    let by = MaxStale::By(Duration::from_secs(5));
    assert_eq!(of("max-stale=5"), Directives { max_stale: Some(by), ..Directives::default() });
}

#[test]
fn several_stand_in_one_field_or_in_several() {
    let all = Directives { no_cache: true, max_age: secs(5), min_fresh: secs(2), ..Directives::default() };
    assert_eq!(of("no-cache,max-age=5 ,, min-fresh=2,"), all);
    assert_eq!(Directives::of([&b"max-age=5"[..], b"min-fresh=2, no-cache"].into_iter(), None), all);
}

#[test]
fn what_is_unknown_or_stands_in_quotes_says_nothing() {
    for field in [
        "",
        " , ",
        "public, s-maxage=5, x=\"no-store, no-cache\"",
        "x=\"a\\\", no-store\"",
        "no-stores",
        "no",
        "=",
        "\"no-store\"",
        "x=\"no-store",
    ] {
        assert_eq!(of(field), Directives::default(), "{field}");
    }
    assert_eq!(Directives::of([&b"\xff\xfe, \x00=\xff"[..]].into_iter(), None), Directives::default());
}

#[test]
fn a_value_may_stand_in_quotes_and_be_larger_than_any_number() {
    assert_eq!(of("max-age=\"60\"").max_age, secs(60));
    assert_eq!(of("max-age = 60").max_age, secs(60));
    assert_eq!(of("max-age=99999999999999999999999999").max_age, secs(1 << 31));
}

#[test]
fn a_broken_value_asks_for_the_freshest() {
    for value in ["max-age", "max-age=", "max-age=-1", "max-age=1.5", "max-age=1h", "max-age=+1", "max-age=\"", "max-age=0x1"] {
        assert_eq!(of(value).max_age, secs(0), "{value}");
    }
    assert_eq!(of("min-fresh").min_fresh, Some(Duration::MAX));
    assert_eq!(of("min-fresh=x").min_fresh, Some(Duration::MAX));
    assert_eq!(of("max-stale=x").max_stale, Some(MaxStale::By(Duration::ZERO)));
}

#[test]
fn of_two_the_stricter_counts() {
    let both = of("max-age=5, max-age=3, max-age=9, min-fresh=1, min-fresh=4, min-fresh=2");
    assert_eq!((both.max_age, both.min_fresh), (secs(3), secs(4)));
    for field in ["max-stale, max-stale=3", "max-stale=3, max-stale", "max-stale=3, max-stale=8"] {
        assert_eq!(of(field).max_stale, Some(MaxStale::By(Duration::from_secs(3))), "{field}");
    }
}

#[test]
fn pragma_counts_where_there_is_no_cache_control() {
    let pragma = |field: &'static str| Directives::of([].into_iter(), Some(field.as_bytes())).no_cache;
    assert!(pragma("no-cache") && pragma("x, No-Cache"));
    assert!(!pragma("x=\"no-cache\"") && !pragma(""));
    assert!(!Directives::of([&b"max-age=5"[..]].into_iter(), Some(b"no-cache")).no_cache);
    assert!(!Directives::of([&b""[..]].into_iter(), Some(b"no-cache")).no_cache);
}

#[test]
fn a_stale_answer_is_allowed_up_to_its_limit() {
    assert!(MaxStale::Any.allows(Duration::MAX));
    assert!(MaxStale::By(Duration::from_secs(5)).allows(Duration::from_secs(5)));
    assert!(!MaxStale::By(Duration::from_secs(5)).allows(Duration::from_nanos(5_000_000_001)));
}

proptest! {
    #[test]
    fn any_bytes_are_read(fields in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..4), pragma in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40))) {
        let read = Directives::of(fields.iter().map(Vec::as_slice), pragma.as_deref());
        prop_assert!(read.max_age.is_none_or(|age| age.as_secs() <= LONGEST));
    }

    #[test]
    fn what_is_added_never_takes_a_directive_away(
        words in proptest::collection::vec(prop_oneof![
            Just("no-store".to_owned()), Just("no-cache".to_owned()), Just("only-if-cached".to_owned()), Just("max-stale".to_owned()),
            (0..99_u32).prop_map(|n| format!("max-age={n}")), (0..99_u32).prop_map(|n| format!("min-fresh={n}")),
            (0..99_u32).prop_map(|n| format!("max-stale={n}")), Just("max-age=?".to_owned()), Just("x=\"a,b\"".to_owned()),
        ], 1..8),
    ) {
        let (fewer, more) = (of(&words[1..].join(", ")), of(&words.join(",")));
        prop_assert!(more.no_store >= fewer.no_store && more.no_cache >= fewer.no_cache);
        prop_assert!(fewer.max_age.is_none_or(|age| more.max_age.is_some_and(|other| other <= age)));
        prop_assert!(more.min_fresh >= fewer.min_fresh);
        if let Some(MaxStale::By(most)) = fewer.max_stale {
            prop_assert!(matches!(more.max_stale, Some(MaxStale::By(other)) if other <= most));
        }
    }
}
