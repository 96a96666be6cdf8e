use std::{num::NonZeroU64, sync::Arc};

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::{
    pipeline::{reject::Reject, standing::Standings},
    policy::limits::{Check, Spec, State, Subject, acquire, weigh},
    types::Moment,
};

/// A limit as an operator writes it: `10/min`, `5 USD/day`, or `2` for so many at the same time.
fn spec(unit: Unit, limit: &str) -> Spec {
    match unit {
        Unit::Concurrent => Spec::permits(limit.parse().unwrap()),
        Unit::Cost => Spec::cost(limit.parse().unwrap()),
        _ => Spec::rate(unit, limit.parse().unwrap(), None),
    }
}

fn limited(unit: Unit, wait: Option<Duration>, limit: &str) -> Limited {
    Limited { limit: "free".parse().unwrap(), spec: spec(unit, limit), wait, standings: Standings::default() }
}

/// A limit of the unit, whichever.
fn usual(unit: Unit) -> &'static str {
    match unit {
        Unit::Concurrent => "2",
        Unit::Cost => "5/day",
        _ => "10/min",
    }
}

/// The value of a field of the response, if it is there.
fn field(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| value.to_str().unwrap().to_owned())
}

/// Code, type and message as they go over the wire, and the head.
fn answer(limited: Limited) -> ([String; 3], HeaderMap) {
    let response = Reject::Limited(Box::new(limited)).respond(&HeaderValue::from_static("req_1"));
    assert_eq!(response.status(), 429);
    let (head, body) = response.into_parts();
    let body = read(body);
    let error = &body["error"];
    assert_eq!(error["param"], Value::Null);
    (["code", "type", "message"].map(|member| error[member].as_str().unwrap().to_owned()), head.headers)
}

/// The bytes of an answer of ours are all there from the start.
fn read(body: crate::pipeline::body::Body) -> Value {
    use http_body_util::BodyExt;
    let collected = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(body.collect());
    serde_json::from_slice(&collected.unwrap().to_bytes()).unwrap()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn each_unit_has_the_words_that_programs_look_for() {
    let wait = Some(7 * SECOND);
    for (unit, code, kind) in [
        (Unit::Requests, "rate_limit_exceeded", "requests"),
        (Unit::Tokens, "rate_limit_exceeded", "tokens"),
        (Unit::Concurrent, "rate_limit_exceeded", "requests"),
        (Unit::Cost, "insufficient_quota", "insufficient_quota"),
        (Unit::FailedAuth, "too_many_failed_credentials", "authentication_error"),
    ] {
        let ([found, group, _], headers) = answer(limited(unit, wait, usual(unit)));
        assert_eq!((found.as_str(), group.as_str()), (code, kind), "{unit}");
        assert_eq!(field(&headers, "x-sidegate-limit").as_deref(), Some("free"), "{unit}");
    }
}

#[test]
fn the_message_names_the_limit_and_when_to_come_back() {
    let soon = Some(Duration::from_millis(6_001));
    for (unit, wait, limit, expected) in [
        (Unit::Requests, soon, "10/min", "Limit `free` (10 requests a minute) is used up. Please try again in 7s."),
        (Unit::Requests, soon, "1/s", "Limit `free` (1 request a second) is used up. Please try again in 7s."),
        (
            Unit::Requests,
            Some(843 * SECOND),
            "1000/15min",
            "Limit `free` (1000 requests in 15 minutes) is used up. Please try again in 14m3s.",
        ),
        (Unit::Tokens, soon, "20k/2h", "Limit `free` (20000 tokens in 2 hours) is used up. Please try again in 7s."),
        (
            Unit::Tokens,
            None,
            "20k/min",
            "This request is larger than limit `free` (20000 tokens a minute) ever lets through. Ask for fewer tokens.",
        ),
        (
            Unit::Concurrent,
            None,
            "2",
            "Limit `free` (2 requests at the same time) is used up. Please try again when one of them has ended.",
        ),
        (Unit::Cost, Some(18_183 * SECOND), "5.5/day", "Limit `free` (5.5 USD a day) is used up. Please try again in 5h3m3s."),
        (Unit::Cost, soon, "5 USD/month", "Limit `free` (5 USD a month) is used up. Please try again in 7s."),
        (Unit::Cost, None, "$5/day", "This request is larger than limit `free` (5 USD a day) ever lets through. Ask for less."),
        (Unit::FailedAuth, soon, "5/90s", "Limit `free` (5 failed credentials in 90 seconds) is used up. Please try again in 7s."),
        (Unit::FailedAuth, None, "5/h", "Limit `free` (5 failed credentials an hour) is used up. Please try again later."),
    ] {
        assert_eq!(answer(limited(unit, wait, limit)).0[2], expected);
    }
}

/// The fields on which an SDK's next step turns.
fn advice(unit: Unit, wait: Option<Duration>) -> [Option<String>; 3] {
    let (_, headers) = answer(limited(unit, wait, usual(unit)));
    ["retry-after", "retry-after-ms", "x-should-retry"].map(|name| field(&headers, name))
}

fn texts(fields: [Option<&str>; 3]) -> [Option<String>; 3] {
    fields.map(|field| field.map(str::to_owned))
}

#[test]
fn a_wait_that_sdks_keep_to_is_told_and_never_early() {
    for (nanos, expected) in [
        (1, ["1", "2"]),
        (999_999_999, ["1", "1001"]),
        (1_000_000_000, ["1", "1001"]),
        (1_000_000_001, ["2", "1002"]),
        (7_660_000_000, ["8", "7661"]),
        (59_999_000_000, ["60", "60000"]),
        // The wait of those who come at once to a limit per minute.
        (60_000_000_000, ["60", "60000"]),
    ] {
        let expected = texts([Some(expected[0]), Some(expected[1]), None]);
        assert_eq!(advice(Unit::Requests, Some(Duration::from_nanos(nanos))), expected, "{nanos}");
        assert_eq!(advice(Unit::Cost, Some(Duration::from_nanos(nanos))), expected, "{nanos}");
    }
}

#[test]
fn what_sdks_would_not_wait_for_is_final() {
    let just_too_long = 60 * SECOND + Duration::from_nanos(1);
    assert_eq!(advice(Unit::Tokens, Some(just_too_long)), texts([Some("61"), None, Some("false")]));
    assert_eq!(advice(Unit::Requests, Some(900 * SECOND)), texts([Some("900"), None, Some("false")]));
    assert_eq!(advice(Unit::Requests, Some(Duration::MAX)), texts([Some("18446744073709551615"), None, Some("false")]));
}

#[test]
fn where_waiting_cannot_help_nobody_is_told_to() {
    let too_large = limited(Unit::Tokens, None, "10/min");
    assert_eq!(answer(too_large).0[..2], ["request_too_large_for_limit", "tokens"]);
    assert_eq!(advice(Unit::Tokens, None), texts([None, None, Some("false")]));
    assert_eq!(advice(Unit::Cost, None), texts([None, None, Some("false")]));
    assert_eq!(advice(Unit::FailedAuth, Some(7 * SECOND)), texts([Some("7"), None, Some("false")]));
}

#[test]
fn a_place_among_those_at_the_same_time_is_asked_for_again_and_not_by_all_at_once() {
    let mut waits = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let [seconds, millis, should_retry] = advice(Unit::Concurrent, None);
        let (seconds, millis) = (seconds.unwrap().parse::<u64>().unwrap(), millis.unwrap().parse::<u64>().unwrap());
        assert!((1_002..=2_000).contains(&millis) && seconds == 2, "{seconds} {millis}");
        assert_eq!(should_retry, None);
        waits.insert(millis);
    }
    assert!(waits.len() > 10, "{waits:?}");
}

/// The clocks so many nanoseconds after a moment that is no whole second of either.
fn at(nanos: u64) -> Moment {
    let since = 1_800_000_000_700_000_000 + nanos;
    Moment { nanos: nanos + 1, unix: since / 1_000_000_000 }
}

proptest! {
    /// Whoever comes back when he was told to finds room in all limits, where nobody else has come meanwhile.
    #[test]
    fn what_the_fields_say_is_never_early(taken in proptest::collection::vec((1..40_u64, 0..3_000_000_000_u64), 1..200)) {
        let specs = [
            Spec::rate(Unit::Requests, "5/2s".parse().unwrap(), None),
            Spec::rate(Unit::Requests, "20/min".parse().unwrap(), NonZeroU64::new(9)),
            Spec::rate(Unit::Tokens, "1000/min".parse().unwrap(), None),
            Spec::rate(Unit::Tokens, "2k/day".parse().unwrap(), None),
        ];
        let states = specs.map(|spec| Arc::new(State::new(spec.counting())));
        let subject = Subject { key: 7, group: 7 };
        let (mut now, mut refused) = (0, 0);
        for (tokens, gap) in taken {
            now += gap;
            let amount = |spec: &Spec| if spec.unit() == Unit::Tokens { tokens } else { 1 };
            let check = |(tag, (spec, state))| Check { tag, ..Check::new(spec, state, subject, amount(spec)) };
            let checks = || specs.iter().zip(&states).enumerate().map(check).collect::<Vec<_>>();
            let Err(refusal) = acquire(&mut checks(), at(now)) else { continue };
            refused += 1;
            let mut headers = HeaderMap::new();
            let standings = Standings::default();
            Limited { limit: "any".parse().unwrap(), spec: specs[refusal.tag], wait: refusal.wait, standings }.add(&mut headers);
            let told = |name| field(&headers, name).map(|text| text.parse::<u64>().unwrap());
            let after = told("retry-after").unwrap() * 1_000_000_000;
            prop_assert!(weigh(&mut checks(), at(now + after)).is_none(), "{headers:?}");
            if let Some(millis) = told("retry-after-ms") {
                // By a timer that is as early as timers are.
                prop_assert!(weigh(&mut checks(), at(now + (millis - if millis < PATIENCE { EARLY } else { 0 }) * 1_000_000)).is_none(), "{headers:?}");
            }
        }
        prop_assume!(refused > 0);
    }
}
