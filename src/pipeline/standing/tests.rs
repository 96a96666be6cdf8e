use super::*;
use crate::policy::limits::Standing;

/// A limit, with so many left, more in so many milliseconds and all in as many.
fn left(name: &str, (unit, rate): (Unit, &str), remaining: u64, [more, reset]: [u64; 2]) -> Left {
    let spec = Spec::rate(unit, rate.parse().unwrap(), None);
    let (more, reset) = (Duration::from_millis(more), Duration::from_millis(reset));
    Left { limit: name.parse().unwrap(), spec, standing: Standing { limit: spec.at_once(), remaining, reset, more } }
}

fn both() -> Standings {
    Standings {
        requests: Some(left("free", (Unit::Requests, "10/min"), 3, [12_001, 360_000])),
        tokens: Some(left("tokens.day", (Unit::Tokens, "20k/day"), 0, [20, 20])),
    }
}

/// What is told beside these fields, in order.
fn told(standings: &Standings, how: Annotate, before: &[(&'static str, &'static str)]) -> Vec<String> {
    let mut headers = HeaderMap::new();
    for (name, value) in before {
        headers.append(*name, HeaderValue::from_static(value));
    }
    standings.tell(&mut headers, how, !before.is_empty());
    headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
}

#[test]
fn a_caller_is_told_of_its_own_limits_as_openai_tells() {
    let fields = told(&both(), Annotate::default(), &[]);
    assert_eq!(
        fields,
        [
            "x-ratelimit-limit-requests: 10",
            "x-ratelimit-remaining-requests: 3",
            "x-ratelimit-reset-requests: 6m0s",
            "x-ratelimit-limit-tokens: 20000",
            "x-ratelimit-remaining-tokens: 0",
            "x-ratelimit-reset-tokens: 20ms",
        ]
    );
    let only_tokens = Standings { requests: None, ..both() };
    assert_eq!(told(&only_tokens, Annotate::default(), &[]), fields[3..]);
    assert!(told(&Standings::default(), Annotate { ietf_rate_limits: true, ..Annotate::default() }, &[]).is_empty());
}

#[test]
fn what_the_provider_says_of_a_unit_is_not_mixed_with_ours() {
    let fields = told(&both(), Annotate::default(), &[("x-ratelimit-remaining-requests", "9")]);
    assert_eq!(fields.len(), 4, "{fields:?}");
    assert_eq!(fields[0], "x-ratelimit-remaining-requests: 9");
    assert!(fields[1..].iter().all(|field| field.contains("-tokens: ")), "{fields:?}");
}

#[test]
fn nobody_is_told_where_the_config_says_so() {
    for rate_limits in [RateLimits::Provider, RateLimits::Off] {
        assert!(told(&both(), Annotate { rate_limits, ..Annotate::default() }, &[]).is_empty(), "{rate_limits:?}");
    }
}

#[test]
fn the_ietfs_fields_are_told_where_they_are_asked_for() {
    let how = Annotate { rate_limits: RateLimits::Off, ietf_rate_limits: true, ..Annotate::default() };
    assert_eq!(
        told(&both(), how, &[]),
        [
            r#"ratelimit-policy: "free";q=10;w=60, "tokens.day";q=20000;w=86400;qu="tokens""#,
            r#"ratelimit: "free";r=3;t=13, "tokens.day";r=0;t=1"#,
        ]
    );
    // A month is not always as long, and of what is whole there is never more.
    let month = left("a", (Unit::Tokens, "9999999999999999/month"), u64::MAX, [0, 0]);
    let month = Standings { requests: None, tokens: Some(month) };
    assert_eq!(told(&month, how, &[]), [r#"ratelimit-policy: "a";q=999999999999999;qu="tokens""#, r#"ratelimit: "a";r=999999999999999"#]);
}

#[test]
fn the_providers_list_stays_before_ours() {
    let how = Annotate { rate_limits: RateLimits::Provider, ietf_rate_limits: true, ..Annotate::default() };
    let fields = told(&both(), how, &[("ratelimit", "\"default\";r=50")]);
    assert_eq!(fields[0], "ratelimit: \"default\";r=50");
    assert!(fields[1].starts_with("ratelimit: \"free\""), "{fields:?}");
}

#[test]
fn a_limit_that_counts_both_has_two_names_for_the_ietf() {
    let how = Annotate { rate_limits: RateLimits::Off, ietf_rate_limits: true, ..Annotate::default() };
    let tokens = Some(left("free", (Unit::Tokens, "20k/min"), 7, [0, 0]));
    let fields = told(&Standings { tokens, ..both() }, how, &[]);
    assert_eq!(fields[1], r#"ratelimit: "free";r=3;t=13, "free:tokens";r=7"#);
}

#[test]
fn there_is_room_for_all_that_is_told() {
    let how = Annotate { ietf_rate_limits: true, ..Annotate::default() };
    assert_eq!(told(&both(), how, &[]).len(), FIELDS);
}
