//! Malformed HTTP/2 requests: each costs its stream or its connection, and none reaches the provider.

use super::{
    h2_frames::{Fate, RawField, fate, request},
    next_caller, served,
};
use crate::support::Client;

const METHOD: RawField<'static> = (b":method", b"GET");
const SCHEME: RawField<'static> = (b":scheme", b"http");
const PATH: RawField<'static> = (b":path", b"/v1/models");
const AUTHORITY: RawField<'static> = (b":authority", b"sidegate.test");

/// A good request with these fields behind.
fn with<'a>(fields: &[RawField<'a>]) -> Vec<RawField<'a>> {
    [&[METHOD, SCHEME, PATH, AUTHORITY], fields].concat()
}

fn with_path(path: &[u8]) -> Vec<RawField<'_>> {
    vec![METHOD, SCHEME, (b":path", path), AUTHORITY]
}

fn with_method(method: &[u8]) -> Vec<RawField<'_>> {
    vec![(b":method", method), SCHEME, PATH, AUTHORITY]
}

fn with_authority(authority: &[u8]) -> Vec<RawField<'_>> {
    vec![METHOD, SCHEME, PATH, (b":authority", authority)]
}

fn pseudo_fields() -> Vec<(&'static str, Vec<RawField<'static>>)> {
    vec![
        ("no :method", vec![SCHEME, PATH, AUTHORITY]),
        ("no :path", vec![METHOD, SCHEME, AUTHORITY]),
        ("no :scheme", vec![METHOD, PATH, AUTHORITY]),
        ("no authority of any kind", vec![METHOD, SCHEME, PATH]),
        ("an empty :path", with_path(b"")),
        ("a :path without a slash", with_path(b"v1/models")),
        ("a star for a :path", with_path(b"*")),
        ("a :path with a blank", with_path(b"/v1/models x")),
        ("a :path with a line end", with_path(b"/v1/models HTTP/1.1\r\nX-A: 1")),
        ("a :path with a NUL", with_path(b"/v1/models\0")),
        ("a :path of two slashes", with_path(b"//other.test/v1/models")),
        ("a :path with a way up", with_path(b"/v1/../admin")),
        ("an absolute :path", with_path(b"http://other.test/v1/models")),
        ("two :paths", [&[METHOD, SCHEME, PATH, PATH, AUTHORITY][..]].concat()),
        ("two :methods", [&[METHOD, METHOD, SCHEME, PATH, AUTHORITY][..]].concat()),
        ("two :authorities", [&[METHOD, SCHEME, PATH, AUTHORITY, AUTHORITY][..]].concat()),
        (":status in a request", with(&[(b":status", b"200")])),
        ("a pseudo-field that nobody knows", with(&[(b":magic", b"1")])),
        ("a pseudo-field behind a field", vec![METHOD, SCHEME, (b"x-a", b"1"), PATH, AUTHORITY]),
        ("a :method that is no token", with_method(b"G T")),
        ("an empty :method", with_method(b"")),
        ("CONNECT", with_method(b"CONNECT")),
        ("CONNECT to an authority", vec![(b":method", b"CONNECT"), (b":authority", b"other.test:443")]),
        ("TRACE", with_method(b"TRACE")),
        ("a method that nobody knows", with_method(b"FROBNICATE")),
        ("an :authority with a user", with_authority(b"user@sidegate.test")),
        ("an :authority with a path", with_authority(b"sidegate.test/x")),
        ("an :authority with a blank", with_authority(b"side gate")),
        ("an empty :authority", with_authority(b"")),
        ("an :authority of two", with_authority(b"a,b")),
        ("another Host than the :authority", with(&[(b"host", b"other.test")])),
        ("two Hosts", with(&[(b"host", b"sidegate.test"), (b"host", b"sidegate.test")])),
    ]
}

fn fields() -> Vec<(&'static str, Vec<RawField<'static>>)> {
    let one = |name: &'static str, field: RawField<'static>| (name, with(&[field]));
    vec![
        one("Connection", (b"connection", b"keep-alive")),
        one("Keep-Alive", (b"keep-alive", b"timeout=5")),
        one("Proxy-Connection", (b"proxy-connection", b"keep-alive")),
        one("Transfer-Encoding", (b"transfer-encoding", b"chunked")),
        one("Upgrade", (b"upgrade", b"h2c")),
        one("TE of another kind than trailers", (b"te", b"gzip")),
        one("a capital letter in a name", (b"X-Capital", b"1")),
        one("a blank in a name", (b"x blank", b"1")),
        one("a colon in a name", (b"x:colon", b"1")),
        one("an empty name", (b"", b"1")),
        one("a line end in a name", (b"x\r\ny", b"1")),
        one("a line end in a value", (b"x-a", b"1\r\nx-b: 2")),
        one("a bare line feed in a value", (b"x-a", b"1\nx-b: 2")),
        one("a bare carriage return in a value", (b"x-a", b"1\rx-b: 2")),
        one("a NUL in a value", (b"x-a", b"1\x002")),
        one("a length that is not the body's", (b"content-length", b"5")),
        one("a length that is no number", (b"content-length", b"five")),
        ("two lengths", with(&[(b"content-length", b"0"), (b"content-length", b"5")])),
    ]
}

#[tokio::test]
async fn no_malformed_h2_request_reaches_the_provider() {
    let (provider, sidegate) = served().await;
    let mut failures = Vec::new();
    for (name, fields) in pseudo_fields().into_iter().chain(fields()) {
        let before = provider.asked();
        let mut client = Client::connect(sidegate.address).await;
        client.send(request(&fields, None)).await;
        let fate = fate(&mut client).await;
        let answered = (!fate.is_refusal()).then(|| format!("{fate:?}"));
        let reached = (provider.asked() != before).then(|| "it reached the provider".to_owned());
        failures.extend([answered, reached, next_caller(&sidegate).await].into_iter().flatten().map(|what| format!("{name}: {what}")));
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[tokio::test]
async fn too_many_fields_are_refused_crumbs_of_cookies_included() {
    let (provider, sidegate) = served().await;
    let many = with(&[(&b"x-many"[..], &b"1"[..]); 101]);
    let crumbs = with(&[(&b"cookie"[..], &b"a=1"[..]); 101]);
    let large = vec![b'v'; 100_000];
    let long = with(&[(b"x-long", &large)]);
    for (name, fields) in [("fields", many), ("crumbs", crumbs), ("bytes", long)] {
        let mut client = Client::connect(sidegate.address).await;
        client.send(request(&fields, None)).await;
        let fate = fate(&mut client).await;
        assert!(fate.is_refusal(), "too many {name}: {fate:?}");
    }
    assert_eq!(provider.asked(), 0);
}

#[tokio::test]
async fn a_body_of_another_length_than_declared_is_not_passed_as_whole() {
    for body in [&b"{}"[..], b"{\"much\":\"longer\"}"] {
        let (provider, sidegate) = served().await;
        let fields = [(&b":method"[..], &b"POST"[..]), SCHEME, (b":path", b"/v1/chat/completions"), AUTHORITY, (b"content-length", b"5")];
        let mut client = Client::connect(sidegate.address).await;
        client.send(request(&fields, Some(body))).await;
        assert!(fate(&mut client).await.is_refusal());
        assert_eq!(provider.asked(), 0);
    }
}

/// The `h2` crate cuts a fragment off before anybody sees it; what is left is what was routed.
#[tokio::test]
async fn a_fragment_of_an_h2_path_arrives_nowhere() {
    let (mut provider, sidegate) = served().await;
    let mut client = Client::connect(sidegate.address).await;
    client.send(request(&with_path(b"/v1/models#part"), None)).await;
    fate(&mut client).await;
    assert_eq!(provider.request().await.head.line, b"GET /v1/models HTTP/1.1");
}

/// The writer of raw frames is right where nothing is wrong.
#[tokio::test]
async fn a_good_request_of_raw_frames_is_served() {
    let (_provider, sidegate) = served().await;
    let mut client = Client::connect(sidegate.address).await;
    client.send(request(&with(&[(b"te", b"trailers"), (b"host", b"sidegate.test"), (b"x-a", b"1")]), None)).await;
    assert_eq!(fate(&mut client).await, Fate::Replied(0x88));
}
