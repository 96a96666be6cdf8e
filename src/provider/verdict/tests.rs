mod corpus;

use http::HeaderValue;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    provider::rate_headers::duration,
    types::{Blame, Dimension},
};

fn reply(dialect: Dialect, status: u16, body: &str) -> Verdict {
    of_reply(dialect, StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes(), 0)
}

#[test]
fn comments_and_blank_events_say_nothing_yet() {
    for event in [": OPENROUTER PROCESSING", ":", "data:", "data: ", "event: ping", "", "\n\n", "retry: 3"] {
        assert!(!is_first_word(event.as_bytes()), "{event}");
        assert_eq!(of_event(Dialect::Openrouter, event.as_bytes()), None, "{event}");
    }
    for event in ["data: {}", "event: ping\ndata: {\"type\":\"ping\"}", ": x\ndata: [DONE]"] {
        assert!(is_first_word(event.as_bytes()), "{event}");
    }
}

#[test]
fn what_a_caller_wrote_speaks_against_nobody_else() {
    let words = "insufficient_quota invalid_api_key Your credit balance is too low. API key not valid. The model `x` does not exist";
    for dialect in Dialect::ALL {
        for status in [400, 404, 409, 413, 415, 422] {
            for body in [
                json!({ "error": { "message": format!("Invalid value: '{words}'"), "type": "invalid_request_error", "param": words } }),
                json!({ "detail": [{ "msg": format!("bad: {words}"), "input": { "error": { "code": "invalid_api_key" } } }] }),
            ] {
                assert_eq!(reply(dialect, status, &body.to_string()).cause.blame(), Blame::Caller, "{dialect:?} {status}");
            }
        }
    }
}

#[test]
fn a_model_can_write_no_error_into_a_reply() {
    let text = r#"{"error":{"code":"invalid_api_key","message":"x"}}"#;
    let body = json!({ "choices": [{ "message": { "content": text, "error": { "code": 401 } } }] }).to_string();
    let chunk = json!({ "choices": [{ "delta": { "content": text, "error": { "code": 401 } } }], "type": "x" }).to_string();
    for dialect in Dialect::ALL {
        assert_eq!(reply(dialect, 200, &body).cause, Cause::Served);
        assert_eq!(of_event(dialect, format!("data: {chunk}").as_bytes()), None);
    }
}

#[test]
fn the_first_of_two_members_of_one_name_counts_and_depth_has_an_end() {
    let twice = r#"{"error":{"code":"insufficient_quota","code":"invalid_api_key"}}"#;
    assert_eq!(reply(Dialect::Openai, 429, twice).cause, Cause::Exhausted);
    let deep = "[".repeat(32 << 10) + &"]".repeat(32 << 10);
    for body in [deep.clone(), format!("{{\"error\":{{\"details\":{deep}}}}}"), format!("{{\"x\":{deep}}}")] {
        assert_eq!(reply(Dialect::Gemini, 400, &body).cause, Cause::Refused);
        assert_eq!(reply(Dialect::Gemini, 200, &body).cause, Cause::Served);
    }
}

#[test]
fn hostile_numbers_are_no_waits() {
    for (delay, wait) in [("1e9s", None), ("-3s", None), ("NaN", None), ("9999999999999999999999s", Some(duration::MOST)), ("", None)] {
        let body = json!([{ "error": { "code": 429, "status": "RESOURCE_EXHAUSTED", "details": [{ "retryDelay": delay }] } }]);
        let expected = Verdict { cause: Cause::RateLimited(Dimension::Unknown), wait };
        assert_eq!(reply(Dialect::Gemini, 429, &body.to_string()), expected, "{delay}");
    }
    for code in ["1e999", "-0", "99999999999999999999999", "1.5", "true", "[[[]]]"] {
        let body = format!("{{\"error\":{{\"code\":{code},\"message\":\"x\"}}}}");
        assert_eq!(reply(Dialect::Openrouter, 502, &body).cause, Cause::ServerError, "{code}");
    }
}

#[test]
fn a_wait_stands_beside_what_is_to_be_waited_for_alone() {
    let headers = HeaderMap::from_iter([(http::header::RETRY_AFTER, HeaderValue::from_static("7"))]);
    for status in 100..=999 {
        let verdict = of_reply(Dialect::Openai, StatusCode::from_u16(status).unwrap(), &headers, b"", 0);
        let waits = matches!(verdict.cause, Cause::RateLimited(_) | Cause::Exhausted | Cause::Overloaded | Cause::ServerError);
        assert_eq!(verdict.wait.is_some(), waits, "{status}");
    }
}

/// What looks like an error, in all its places.
fn errors() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "error",
            "429",
            "insufficient_quota",
            "tokens",
            "PerDay",
            "34s",
            "The model ",
            "0",
            "limit: 0",
            "try again in 9s"
        ])
        .prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    let names =
        ["error", "message", "type", "code", "status", "details", "metadata", "reason", "detail", "object", "response", "retryDelay"];
    leaf.prop_recursive(4, 32, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(names.to_vec()), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())),
        ]
    })
    .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_reply_makes_it_panic_or_blames_a_key_for_a_broken_server(
        body in prop_oneof![errors().prop_map(|value| value.to_string().into_bytes()), prop::collection::vec(any::<u8>(), 0..80)],
        cut in any::<prop::sample::Index>(),
        status in 100..=999_u16,
        dialect in prop::sample::select(Dialect::ALL.to_vec()),
        wait in "[ -~]{0,20}",
        unix: u64,
    ) {
        let mut headers = HeaderMap::new();
        for name in ["retry-after", "retry-after-ms", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"] {
            headers.append(name, HeaderValue::from_str(&wait).unwrap());
        }
        for body in [&body[..], &body[..cut.index(body.len() + 1)]] {
            let verdict = of_reply(dialect, StatusCode::from_u16(status).unwrap(), &headers, body, unix);
            prop_assert!(verdict.wait.is_none_or(|wait| wait <= duration::MOST && !wait.is_zero()));
            prop_assert!((500..600).contains(&status).then_some(verdict.cause.blame()) != Some(Blame::Key));
            if status >= 400 {
                prop_assert_ne!(verdict.cause, Cause::Served);
            }
            let event = [b"data: ", body].concat();
            let _ = (of_event(dialect, &event), is_first_word(&event));
        }
    }
}

#[test]
fn what_a_filter_or_a_server_in_between_says_is_not_the_requests_own_fault() {
    let of = |status: u16, body: &str| is_callers_own(Dialect::Openai, StatusCode::from_u16(status).unwrap(), body.as_bytes());
    let error = |kind: &str, code: &str| format!(r#"{{"error":{{"message":"x","type":"{kind}","param":null,"code":"{code}"}}}}"#);
    for (status, kind, code) in [
        (400, "invalid_request_error", "context_length_exceeded"),
        (400, "invalid_request_error", "invalid_value"),
        (400, "invalid_request_error", "unsupported_parameter"),
        (404, "invalid_request_error", "model_not_found"),
        (422, "invalid_request_error", ""),
    ] {
        assert!(of(status, &error(kind, code)), "{status} {kind} {code}");
        for other in [200, 401, 403, 408, 409, 413, 429, 500, 503] {
            assert!(!of(other, &error(kind, code)), "{other} {kind} {code}");
        }
    }
    for (status, kind, code) in [
        (400, "invalid_request_error", "content_filter"),
        (400, "invalid_request_error", "content_policy_violation"),
        (400, "invalid_request_error", "invalid_image_url"),
        (400, "invalid_request_error", "tool_use_failed"),
        (400, "invalid_request_error", "json_validate_failed"),
        (400, "invalid_request_error", "invalid_api_key"),
        (400, "billing_limit_user_error", "billing_hard_limit_reached"),
        (404, "invalid_request_error", ""),
        (400, "", ""),
    ] {
        assert!(!of(status, &error(kind, code)), "{status} {kind} {code}");
    }
    let risk = r#"{"error":{"message":"Content Exists Risk","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#;
    for body in [
        risk,
        "",
        "<html>400 Bad Request</html>",
        "{}",
        "upstream connect error",
        r#"{"error":{"message":"x","type":"invalid_request_error"}"#,
    ] {
        assert!(!of(400, body), "{body}");
    }
}
