use serde_json::Value;

use super::*;
use crate::pipeline::reject::Reject;

fn limited(unit: Unit, wait: Option<Duration>, limit: u64, window: Option<u64>) -> Limited {
    let window = window.map(Duration::from_secs);
    let standing = Standing { limit, remaining: 0, reset: wait.unwrap_or_default(), window };
    Limited { limit: "free".parse().unwrap(), unit, wait, standing, standings: Standings::default() }
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
        let ([found, group, _], headers) = answer(limited(unit, wait, 10, Some(60)));
        assert_eq!((found.as_str(), group.as_str()), (code, kind), "{unit}");
        assert_eq!(field(&headers, "x-sidegate-limit").as_deref(), Some("free"), "{unit}");
    }
}

#[test]
fn the_message_names_the_limit_and_when_to_come_back() {
    let soon = Some(Duration::from_millis(6_001));
    for (unit, wait, limit, window, expected) in [
        (Unit::Requests, soon, 10, Some(60), "Limit `free` (10 requests a minute) is used up. Please try again in 7s."),
        (Unit::Requests, soon, 1, Some(1), "Limit `free` (1 request a second) is used up. Please try again in 7s."),
        (Unit::Requests, Some(843 * SECOND), 1000, Some(900), "Limit `free` (1000 requests in 15 minutes) is used up. Please try again in 14m3s."),
        (Unit::Tokens, soon, 20_000, Some(7_200), "Limit `free` (20000 tokens in 2 hours) is used up. Please try again in 7s."),
        (Unit::Tokens, None, 20_000, Some(60), "This request is larger than limit `free` (20000 tokens a minute) ever lets through. Ask for fewer tokens."),
        (Unit::Concurrent, None, 2, None, "Limit `free` (2 requests at the same time) is used up. Please try again when one of them has ended."),
        (Unit::Cost, Some(18_183 * SECOND), 5_500_000_000_000, Some(86_400), "Limit `free` (5.5 USD a day) is used up. Please try again in 5h3m3s."),
        (Unit::Cost, soon, 5_000_000_000_000, Some(30 * 86_400), "Limit `free` (5 USD a month) is used up. Please try again in 7s."),
        (Unit::Cost, None, 5_000_000_000_000, Some(86_400), "This request is larger than limit `free` (5 USD a day) ever lets through. Ask for less."),
        (Unit::FailedAuth, soon, 5, Some(90), "Limit `free` (5 failed credentials in 90 seconds) is used up. Please try again in 7s."),
        (Unit::FailedAuth, None, 5, Some(3_600), "Limit `free` (5 failed credentials an hour) is used up. Please try again later."),
    ] {
        assert_eq!(answer(limited(unit, wait, limit, window)).0[2], expected);
    }
}

/// The fields on which an SDK's next step turns.
fn advice(unit: Unit, wait: Option<Duration>) -> [Option<String>; 3] {
    let (_, headers) = answer(limited(unit, wait, 10, Some(60)));
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
    ] {
        let expected = texts([Some(expected[0]), Some(expected[1]), None]);
        assert_eq!(advice(Unit::Requests, Some(Duration::from_nanos(nanos))), expected, "{nanos}");
        assert_eq!(advice(Unit::Cost, Some(Duration::from_nanos(nanos))), expected, "{nanos}");
    }
}

#[test]
fn what_sdks_would_not_wait_for_is_final() {
    // By the longest that is waited for, with what a timer may be early: 60.001 s are taken for a mistake.
    assert_eq!(advice(Unit::Tokens, Some(60 * SECOND)), texts([Some("60"), None, Some("false")]));
    assert_eq!(advice(Unit::Requests, Some(900 * SECOND)), texts([Some("900"), None, Some("false")]));
    assert_eq!(advice(Unit::Requests, Some(Duration::MAX)), texts([Some("18446744073709551615"), None, Some("false")]));
}

#[test]
fn where_waiting_cannot_help_nobody_is_told_to() {
    let too_large = limited(Unit::Tokens, None, 10, Some(60));
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
        assert!((1_001..=2_001).contains(&millis) && seconds == (millis - 1).div_ceil(1_000), "{seconds} {millis}");
        assert_eq!(should_retry, None);
        waits.insert(millis);
    }
    assert!(waits.len() > 10, "{waits:?}");
}
