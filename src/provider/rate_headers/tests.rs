use http::HeaderName;
use proptest::prelude::*;

use super::*;

/// 2025-11-24T16:00:00Z.
const NOW: u64 = 1_764_000_000;

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn room(limit: u64, remaining: u64, reset: f64, window: Duration) -> Option<Room> {
    Some(Room { limit: Some(limit), remaining, reset: Some(Duration::from_secs_f64(reset)), window })
}

#[test]
fn openai_tells_of_requests_and_tokens() {
    let mut headers = headers(&[
        ("content-type", "application/json"),
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-limit-tokens", "150000"),
        ("x-ratelimit-remaining-requests", "59"),
        ("x-ratelimit-remaining-tokens", "149984"),
        ("x-ratelimit-reset-requests", "1s"),
        ("x-ratelimit-reset-tokens", "6m0s"),
    ]);
    for dialect in [Dialect::Openai, Dialect::Openrouter, Dialect::Vllm] {
        let found = headroom(dialect, &headers, NOW);
        assert_eq!(found.requests, room(60, 59, 1., MINUTE), "{dialect:?}");
        assert_eq!(found.tokens, room(150_000, 149_984, 360., MINUTE), "{dialect:?}");
    }
    // A project has a quota of its own: the tighter one counts.
    for (name, value) in [("limit", "60000"), ("remaining", "57000"), ("reset", "3s")] {
        headers.insert(HeaderName::try_from(format!("x-ratelimit-{name}-project-tokens")).unwrap(), HeaderValue::from_static(value));
    }
    assert_eq!(headroom(Dialect::Openai, &headers, NOW).tokens, room(60_000, 57_000, 3., MINUTE));
    headers.insert("x-ratelimit-remaining-tokens", HeaderValue::from_static("5"));
    assert_eq!(headroom(Dialect::Openai, &headers, NOW).tokens, room(150_000, 5, 360., MINUTE));
}

#[test]
fn a_day_is_told_from_a_minute() {
    let requests = |dialect, limit: &str, remaining: &str, reset: &str| {
        let told = headers(&[
            ("x-ratelimit-limit-requests", limit),
            ("x-ratelimit-remaining-requests", remaining),
            ("x-ratelimit-reset-requests", reset),
        ]);
        headroom(dialect, &told, NOW).requests.unwrap().window
    };
    assert_eq!(requests(Dialect::Groq, "14400", "14370", "2m59.56s"), DAY);
    assert_eq!(requests(Dialect::Groq, "14400", "14400", "0s"), DAY, "by the documentation, not by the figures");
    assert_eq!(requests(Dialect::Openai, "10000", "9999", "8.64s"), DAY);
    assert_eq!(requests(Dialect::Openai, "200", "197", "21m36s"), DAY);
    assert_eq!(requests(Dialect::Openai, "10000", "9999", "6ms"), MINUTE);
    assert_eq!(requests(Dialect::Openai, "500", "0", "60s"), MINUTE);
    assert_eq!(requests(Dialect::Azure, "1440", "1439", "60"), MINUTE, "Azure's fields don't say how much comes back when");
    assert_eq!(requests(Dialect::Openai, "1440", "1439", "60"), MINUTE);
}

#[test]
fn azure_writes_whole_seconds_and_sometimes_none() {
    for (reset, expected) in [("7", Some(7)), ("0", None), ("-1", None), ("", None), ("x", None)] {
        let told = headers(&[("x-ratelimit-remaining-tokens", "12"), ("x-ratelimit-reset-tokens", reset)]);
        let expected = Room { limit: None, remaining: 12, reset: expected.map(Duration::from_secs), window: MINUTE };
        assert_eq!(headroom(Dialect::Azure, &told, NOW), Headroom { requests: None, tokens: Some(expected) }, "{reset}");
    }
}

#[test]
fn anthropic_writes_times_and_several_kinds_of_tokens() {
    let told = |fields: &[(&str, &str)]| {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (format!("anthropic-ratelimit-{name}"), *value)).collect();
        headroom(Dialect::Anthropic, &headers(&fields.iter().map(|(name, value)| (&**name, *value)).collect::<Vec<_>>()), NOW)
    };
    let at = "2025-11-24T16:00:30Z";
    let requests = [("requests-limit", "50"), ("requests-remaining", "49"), ("requests-reset", at)];
    assert_eq!(told(&requests), Headroom { requests: room(50, 49, 30., MINUTE), tokens: None });
    let tokens = [("tokens-limit", "48000"), ("tokens-remaining", "40000"), ("tokens-reset", at)];
    let input = [("input-tokens-limit", "40000"), ("input-tokens-remaining", "32000"), ("input-tokens-reset", at)];
    let output = |remaining| [("output-tokens-limit", "8000"), ("output-tokens-remaining", remaining), ("output-tokens-reset", at)];
    assert_eq!(told(&[tokens, input, output("7000")].concat()).tokens, room(40_000, 32_000, 30., MINUTE));
    assert_eq!(told(&[tokens, output("7000")].concat()).tokens, room(48_000, 40_000, 30., MINUTE));
    assert_eq!(told(&[tokens, input, output("0")].concat()).tokens, room(8_000, 0, 30., MINUTE));
}

#[test]
fn mistral_says_of_what_minute() {
    let told = headers(&[
        ("x-ratelimit-limit-req-minute", "60"),
        ("x-ratelimit-remaining-req-minute", "58"),
        ("x-ratelimit-limit-tokens-minute", "500000"),
        ("x-ratelimit-remaining-tokens-minute", "400000"),
        ("x-ratelimit-remaining-tokens-month", "1"),
    ]);
    let found = headroom(Dialect::Mistral, &told, NOW);
    let room = |limit, remaining| Some(Room { limit: Some(limit), remaining, reset: None, window: MINUTE });
    assert_eq!((found.requests, found.tokens), (room(60, 58), room(500_000, 400_000)));
}

#[test]
fn what_is_no_number_or_not_told_says_nothing() {
    assert_eq!(headroom(Dialect::Openai, &headers(&[("content-type", "x"), ("x-request-id", "1")]), NOW), Headroom::default());
    for remaining in ["-1", "1.5", "", "99999999999999999999", "NaN"] {
        assert_eq!(headroom(Dialect::Openai, &headers(&[("x-ratelimit-remaining-tokens", remaining)]), NOW).tokens, None, "{remaining}");
    }
    assert_eq!(headroom(Dialect::Openai, &headers(&[("x-ratelimit-limit-tokens", "7")]), NOW), Headroom::default());
    assert_eq!(headroom(Dialect::Openai, &headers(&[("anthropic-ratelimit-tokens-remaining", "7")]), NOW), Headroom::default());
    let twice = headers(&[("x-ratelimit-remaining-tokens", "9"), ("x-ratelimit-remaining-tokens", "7")]);
    assert_eq!(headroom(Dialect::Openai, &twice, NOW).tokens.unwrap().remaining, 7);
}

proptest! {
    #[test]
    fn no_fields_make_it_panic(
        fields in prop::collection::vec((
            prop::sample::select(vec!["x-ratelimit-", "anthropic-ratelimit-", "x-"]),
            prop::sample::select(vec!["limit", "remaining", "reset", "requests", "tokens", "input-tokens"]),
            prop::sample::select(vec!["-requests", "-tokens", "-project-tokens", "-limit", "-remaining", "-reset", ""]),
            prop_oneof!["[0-9]{0,22}", "[0-9hms.-]{0,12}", "[ -~]{0,12}"],
        ), 0..12),
        dialect in prop::sample::select(Dialect::ALL.to_vec()),
        unix: u64,
    ) {
        let mut headers = HeaderMap::new();
        for (prefix, what, of, value) in &fields {
            headers.append(HeaderName::try_from(format!("{prefix}{what}{of}")).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let found = headroom(dialect, &headers, unix);
        for room in [found.requests, found.tokens].into_iter().flatten() {
            prop_assert!(room.reset.is_none_or(|reset| reset <= duration::MOST));
        }
    }
}
