use http::Request;

use super::*;

/// A head that is fine, changed by each case in one thing.
fn head(method: &str, target: &str, version: Version, headers: &[(&'static str, &'static str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(target).version(version);
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_static(value));
    }
    request.body(()).unwrap().into_parts().0
}

fn outcome(method: &str, target: &str, version: Version, headers: &[(&'static str, &'static str)]) -> u16 {
    let head = head(method, target, version, headers);
    let present = Present::read(&head.headers);
    let admitted = admit(Box::new(head), present, None, &Listen::default(), &Trust::default());
    admitted.map_or_else(|reject| reject.shape().status.as_u16(), |_| 200)
}

const HOST_A: (&str, &str) = ("host", "a.example");

#[test]
fn hosts() {
    for (host, status) in [
        ("a.example", 200),
        ("a.example:8080", 200),
        ("a.example:", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8080", 200),
        ("a_b", 200),
        ("", 400),
        ("a,b", 400),
        ("a b", 400),
        ("a/b", 400),
        ("a#b", 400),
        ("a?b", 400),
        ("user@a", 400),
        ("a:b", 400),
        ("a:123456", 400),
        ("a:65535", 200),
        ("a:65536", 400),
        ("a%41", 200),
        ("a%zz", 400),
        ("a%4", 400),
        ("a:80:80", 400),
        ("[::1", 400),
        ("[::g]", 400),
        ("[::1]x", 400),
        (":80", 400),
    ] {
        assert_eq!(outcome("GET", "/v1/x", Version::HTTP_11, &[("host", host)]), status, "{host:?}");
    }
    assert_eq!(outcome("GET", "/v1/x", Version::HTTP_11, &[]), 400, "none");
    assert_eq!(outcome("GET", "/v1/x", Version::HTTP_10, &[]), 200, "none, HTTP/1.0");
    assert_eq!(outcome("GET", "/v1/x", Version::HTTP_11, &[HOST_A, HOST_A]), 400, "two equal");
    assert_eq!(outcome("GET", "/v1/x", Version::HTTP_11, &[HOST_A, ("host", "b")]), 400, "two different");
    assert_eq!(outcome("GET", "http://a.example/v1/x", Version::HTTP_2, &[HOST_A]), 200, "h2, agreeing");
    assert_eq!(outcome("GET", "http://a.example/v1/x", Version::HTTP_2, &[("host", "b")]), 400, "h2, differing");
    assert_eq!(outcome("GET", "/v1/x", Version::HTTP_2, &[]), 400, "h2, none");
}

#[test]
fn methods() {
    for (method, status) in [
        ("GET", 200),
        ("HEAD", 200),
        ("POST", 200),
        ("PUT", 200),
        ("PATCH", 200),
        ("DELETE", 200),
        ("OPTIONS", 200),
        ("TRACE", 405),
        ("CONNECT", 405),
        ("get", 405),
        ("FOO", 405),
    ] {
        assert_eq!(outcome(method, "/v1/x", Version::HTTP_11, &[HOST_A]), status, "{method}");
    }
}

#[test]
fn targets() {
    for (target, status) in [
        ("/v1/x", 200),
        ("/v1/%7euser/a%2Fb;c=d?x=%2e%2e/", 200),
        ("/v1/x?", 200),
        ("/v1//x", 200),
        ("/v1/a..b/...", 200),
        ("http://a.example/v1/x", 200),
        ("http://user@a.example/v1/x", 400),
        ("ftp://a.example/v1/x", 400),
        ("a.example:443", 400),
        ("*", 400),
        ("/v1/../admin", 400),
        ("/v1/./x", 400),
        ("/v1/..", 400),
        ("/v1/%2e%2E/admin", 400),
        ("/v1/.%2e%2fadmin", 400),
        ("/v1/..%5cadmin", 400),
        ("/v1/..;/admin", 400),
        ("/v1/x/..;a=b/..%3Bc/admin", 400),
        ("/v1/a;..;b", 200),
        ("/v1/x%00", 400),
    ] {
        assert_eq!(outcome("GET", target, Version::HTTP_11, &[HOST_A]), status, "{target}");
    }
    assert_eq!(outcome("OPTIONS", "*", Version::HTTP_11, &[HOST_A]), 200);
}

#[test]
fn framings() {
    for (fields, status) in [
        (&[("content-length", "5")][..], 200),
        (&[("content-length", "5"), ("content-length", "5")], 200),
        (&[("content-length", "5"), ("content-length", "6")], 400),
        (&[("content-length", "5,5")], 400),
        (&[("content-length", "-1")], 400),
        (&[("transfer-encoding", "chunked")], 200),
        (&[("transfer-encoding", "chunked"), ("content-length", "5")], 400),
        (&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], 400),
        (&[("transfer-encoding", "chunked"), ("transfer-encoding", "identity")], 400),
        (&[("transfer-encoding", ",chunked")], 400),
        (&[("transfer-encoding", "chunked, chunked")], 400),
        (&[("transfer-encoding", "cow, chunked")], 400),
        (&[("transfer-encoding", "identity, chunked")], 400),
        (&[("content_length", "5")], 400),
        (&[("transfer_encoding", "chunked")], 400),
        (&[("x_custom", "1")], 200),
    ] {
        let fields: Vec<_> = [HOST_A].iter().chain(fields).copied().collect();
        assert_eq!(outcome("POST", "/v1/x", Version::HTTP_11, &fields), status, "{fields:?}");
    }
    assert_eq!(outcome("POST", "/v1/x", Version::HTTP_10, &[("transfer-encoding", "chunked")]), 400);
}

#[test]
fn sizes_expectations_and_forwards() {
    let many = |n| [HOST_A].into_iter().chain(std::iter::repeat_n(("cookie", "a"), n)).collect::<Vec<_>>();
    assert_eq!(outcome("GET", "/v1/x", Version::HTTP_11, &many(99)), 200);
    assert_eq!(outcome("GET", "/v1/x", Version::HTTP_11, &many(100)), 431);
    let long: &'static str = "x".repeat(64 << 10).leak();
    assert_eq!(outcome("GET", "/v1/x", Version::HTTP_11, &[HOST_A, ("x-long", long)]), 431);
    assert_eq!(outcome("POST", "/v1/x", Version::HTTP_11, &[HOST_A, ("expect", "100-Continue")]), 200);
    assert_eq!(outcome("POST", "/v1/x", Version::HTTP_11, &[HOST_A, ("expect", "a-miracle")]), 417);
    assert_eq!(outcome("OPTIONS", "/v1/x", Version::HTTP_11, &[HOST_A, ("max-forwards", "0")]), 204);
    assert_eq!(outcome("OPTIONS", "/v1/x", Version::HTTP_11, &[HOST_A, ("max-forwards", "1")]), 200);
    assert_eq!(outcome("GET", "/v1/x", Version::HTTP_11, &[HOST_A, ("max-forwards", "0")]), 200);
}

#[test]
fn claims_count_from_trusted_peers_only() {
    let trust = Trust { proxies: vec!["10.0.0.0/8".parse().unwrap()] };
    let claim = |peer: &str| {
        let head = head("GET", "/v1/x", Version::HTTP_11, &[HOST_A, ("X-API-Tier", "premium"), ("x-forwarded-for", "1.2.3.4")]);
        admit(Box::new(head.clone()), Present::read(&head.headers), Some(peer.parse().unwrap()), &Listen::default(), &trust).unwrap().claims
    };
    assert_eq!(claim("10.0.0.1").tier.unwrap(), "premium");
    assert_eq!(claim("11.0.0.1"), Claims::default());
}

#[test]
fn of_several_words_the_nearest_proxys_counts() {
    let trust = Trust { proxies: vec!["unix".parse().unwrap()] };
    for (fields, expected) in [
        (&["eu"][..], Some("eu")),
        (&["us", "eu"], Some("eu")),
        (&["us, eu"], Some("eu")),
        (&["eu,us , eu "], Some("eu")),
        (&["eu, us", "asia,eu"], Some("eu")),
        (&["us,"], Some("")),
        (&[], None),
    ] {
        let fields: Vec<_> =
            [HOST_A].into_iter().chain(fields.iter().flat_map(|value| [("x-region", *value), ("x-api-tier", *value)])).collect();
        let head = head("GET", "/v1/x", Version::HTTP_11, &fields);
        let present = Present::read(&head.headers);
        let Claims { tier, region, .. } = admit(Box::new(head), present, None, &Listen::default(), &trust).unwrap().claims;
        assert_eq!(region.as_ref().map(|value| value.to_str().unwrap()), expected, "{fields:?}");
        assert_eq!(tier, region, "{fields:?}");
    }
}
