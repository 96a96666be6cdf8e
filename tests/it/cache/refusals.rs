//! What is the request's own fault is its own fault ten seconds later; everybody else's fault is asked for again.

use super::*;

const TOO_LONG: &str = r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
const INVALID: &str =
    r#"{"error":{"message":"'temprature' is not a parameter.","type":"invalid_request_error","param":"temprature","code":null}}"#;
const NO_MODEL: &str =
    r#"{"error":{"message":"The model `gpt-9` does not exist.","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#;

#[tokio::test]
async fn a_refusal_that_is_the_requests_own_fault_is_told_again_without_asking() {
    for (status, body) in [("400 Bad Request", TOO_LONG), ("400 Bad Request", INVALID), ("404 Not Found", NO_MODEL)] {
        let (mut provider, sidegate) = house("cache: { ttl: 10m, negative_ttl: 10m }\n").await;
        provider.script(Script::json(status, body));
        let first = ask(&sidegate, ASK).await;
        assert_eq!((first.text().as_str(), cached(&first).as_str()), (body, "miss"));
        stored(&sidegate, 1).await;
        let second = ask(&sidegate, ASK).await;
        assert_eq!(cached(&second), "hit", "{body}");
        assert_same(&first, &second);
        assert_eq!(provider.new_requests().len(), 1);
        sidegate.blames_nobody().await;
    }
}

#[tokio::test]
async fn a_refusal_is_told_again_for_a_short_while_alone() {
    let (provider, sidegate) = house("cache: { ttl: 10m, negative_ttl: 1s }\n").await;
    provider.script(Script::json("400 Bad Request", TOO_LONG));
    ask(&sidegate, ASK).await;
    stored(&sidegate, 1).await;
    directives::expired(&sidegate, ASK).await;
    provider.script(reply("one"));
    let got = ask(&sidegate, ASK).await;
    assert_eq!((got.text(), cached(&got).as_str()), (answer("one"), "miss"));
}

#[tokio::test]
async fn nobody_is_told_anothers_refusal() {
    for scope in ["tier", "all"] {
        let sections = format!("cache: {{ ttl: 10m, negative_ttl: 10m, scope: {scope} }}\n{}", clients(&["gold", "gold"]));
        let (mut provider, sidegate) = house(&sections).await;
        provider.otherwise(Script::json("400 Bad Request", TOO_LONG));
        for (n, client) in [0, 1, 0].into_iter().enumerate() {
            assert_eq!(cached(&ask_with(&sidegate, &credential(client), ASK).await), "miss");
            settled(&sidegate, n + 1).await;
        }
        assert_eq!((provider.new_requests().len(), sidegate.metric(STORED).await), (3, 0.0), "scope {scope}");
    }
}

#[tokio::test]
async fn no_refusal_is_told_again_where_the_operator_says_so() {
    let (mut provider, sidegate) = house("cache: { ttl: 10m, negative_ttl: 0s }\n").await;
    provider.otherwise(Script::json("400 Bad Request", TOO_LONG));
    for n in 1..=2 {
        ask(&sidegate, ASK).await;
        settled(&sidegate, n).await;
    }
    assert_eq!((provider.new_requests().len(), sidegate.metric(STORED).await), (2, 0.0));
}

#[tokio::test]
async fn what_is_not_the_requests_fault_is_never_told_again() {
    let error = |code: &str| format!(r#"{{"error":{{"message":"No.","type":"error","param":null,"code":"{code}"}}}}"#);
    for (status, code) in [
        ("401 Unauthorized", "invalid_api_key"),
        ("402 Payment Required", "insufficient_quota"),
        ("403 Forbidden", "unsupported_country_region_territory"),
        ("408 Request Timeout", "timeout"),
        ("409 Conflict", "conflict"),
        ("413 Payload Too Large", "too_large"),
        ("429 Too Many Requests", "rate_limit_exceeded"),
        ("429 Too Many Requests", "insufficient_quota"),
        ("500 Internal Server Error", "server_error"),
        ("502 Bad Gateway", "bad_gateway"),
        ("503 Service Unavailable", "overloaded"),
        ("529 Overloaded", "overloaded_error"),
    ] {
        let (mut provider, sidegate) = house("cache: { ttl: 10m, negative_ttl: 10m }\n").await;
        for n in 1..=2 {
            provider.script(Script::json(status, &error(code)));
            let got = ask(&sidegate, ASK).await;
            assert_eq!((got.text(), cached(&got).as_str()), (error(code), "miss"), "{status}");
            settled(&sidegate, n).await;
            sidegate.forgets(got.status()).await;
        }
        assert_eq!((provider.new_requests().len(), sidegate.metric(STORED).await), (2, 0.0), "{status}");
        provider.script(reply("one"));
        assert_eq!(ask(&sidegate, ASK).await.text(), answer("one"), "{status}");
        stored(&sidegate, 1).await;
    }
}

/// A page of somebody between us and the provider is no word of the provider's.
#[tokio::test]
async fn a_refusal_that_is_not_of_the_providers_shape_is_never_told_again() {
    for (media, body) in [("text/html", "<h1>Bad Request</h1>"), ("application/json", "{}"), ("application/json", "")] {
        let (mut provider, sidegate) = house("cache: { ttl: 10m, negative_ttl: 10m }\n").await;
        let length = body.len();
        let bad = format!("HTTP/1.1 400 Bad Request\r\nContent-Type: {media}\r\nContent-Length: {length}\r\n\r\n{body}");
        provider.otherwise(Script::reply(bad));
        for n in 1..=2 {
            assert_eq!(ask(&sidegate, ASK).await.text(), body);
            settled(&sidegate, n).await;
        }
        assert_eq!((provider.new_requests().len(), sidegate.metric(STORED).await), (2, 0.0), "{media}: {body}");
    }
}

#[tokio::test]
async fn a_refusal_of_what_makes_no_difference_to_an_answer_is_told_to_nobody_else() {
    let (provider, sidegate) = house("cache: { ttl: 10m, negative_ttl: 10m }\n").await;
    let with_user = ASK.replacen('{', r#"{"service_tier":"bogus","#, 1);
    provider.script(Script::json("400 Bad Request", INVALID));
    assert_eq!(ask(&sidegate, &with_user).await.status(), 400);
    stored(&sidegate, 1).await;
    provider.script(reply("one"));
    let got = ask(&sidegate, ASK).await;
    assert_eq!((got.text(), cached(&got).as_str()), (answer("one"), "miss"));
    stored(&sidegate, 2).await;
    assert_eq!(cached(&ask(&sidegate, &with_user).await), "hit", "an answer goes before a refusal");
}
