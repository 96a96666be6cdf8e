//! Malformed and forbidden HTTP/1 requests. Each is refused, none reaches the provider, and what stands behind it on
//! the connection is not read as a request where nobody can say where the first one ended.

use super::{next_caller, served};
use crate::support::{Client, show};

/// A request, and the statuses that are an answer to it.
struct Abuse {
    name: String,
    bytes: Vec<u8>,
    statuses: &'static [u16],
    /// Whether the connection must not be used any further.
    closes: bool,
}

/// What stands behind each of them and must not be answered.
const HIDDEN: &[u8] = b"GET /v1/hidden HTTP/1.1\r\nHost: sidegate.test\r\n\r\n";

const BAD_REQUEST: &[u16] = &[400];

fn bad(name: impl Into<String>, bytes: impl AsRef<[u8]>) -> Abuse {
    Abuse { name: name.into(), bytes: bytes.as_ref().into(), statuses: BAD_REQUEST, closes: true }
}

/// Refused for what it asks, not for how it is written: the connection may go on.
fn forbidden(name: impl Into<String>, statuses: &'static [u16], bytes: impl AsRef<[u8]>) -> Abuse {
    Abuse { name: name.into(), bytes: bytes.as_ref().into(), statuses, closes: false }
}

/// `GET /v1/models` with these lines for a head, and nothing else.
fn head(lines: &str) -> Vec<u8> {
    format!("GET /v1/models HTTP/1.1\r\n{lines}\r\n\r\n").into_bytes()
}

/// A chat request with these lines added, and this body.
fn chat(lines: &str, body: &str) -> Vec<u8> {
    format!("POST /v1/chat/completions HTTP/1.1\r\nHost: sidegate.test\r\n{lines}\r\n\r\n{body}").into_bytes()
}

/// A request with this line.
fn line(line: &str) -> Vec<u8> {
    format!("{line}\r\nHost: sidegate.test\r\n\r\n").into_bytes()
}

fn hosts() -> Vec<Abuse> {
    let one = |host: &str| bad(format!("Host: {host}"), head(&format!("Host: {host}")));
    let mut abuses: Vec<_> = ["a,b", "a b", "a/b", "a#b", "a?b", "u@a", "a:x", "a:99999", "a:80:80", "[::1", "a\\b", "a\"b", "<a>", "%zz"]
        .into_iter()
        .map(one)
        .collect();
    abuses.extend([
        bad("no Host", head("Accept: */*")),
        bad("an empty Host", head("Host:")),
        bad("two equal Hosts", head("Host: sidegate.test\r\nHost: sidegate.test")),
        bad("two Hosts", head("Host: sidegate.test\r\nHost: other.test")),
        bad("two Hosts in another case", head("Host: sidegate.test\r\nhOsT: other.test")),
        bad("a Host of bytes that are no ASCII", [b"GET /v1/models HTTP/1.1\r\nHost: caf\xe9\r\n\r\n".as_slice()].concat()),
    ]);
    abuses
}

fn transfer_encodings() -> Vec<Abuse> {
    let body = "0\r\n\r\n";
    let one = |value: &str| Abuse {
        statuses: &[400, 501],
        ..bad(format!("Transfer-Encoding: {value:?}"), chat(&format!("Transfer-Encoding: {value}"), body))
    };
    let values = [
        ",chunked",
        "chunked,",
        "chunked, chunked",
        "chunked,chunked",
        "cow, chunked",
        "identity, chunked",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, identity",
        "identity",
        "gzip",
        "cow",
        "xchunked",
        "chunkedx",
        "\"chunked\"",
        "chunked;q=1",
        "\x0bchunked",
        "",
        "chun ked",
        "trailers, chunked",
    ];
    let mut abuses: Vec<_> = values.into_iter().map(one).collect();
    abuses.extend([
        bad("a length and chunks", chat("Content-Length: 5\r\nTransfer-Encoding: chunked", body)),
        bad("chunks and a length", chat("Transfer-Encoding: chunked\r\nContent-Length: 5", body)),
        bad("chunks and a length of nothing", chat("Transfer-Encoding: chunked\r\nContent-Length: 0", body)),
        bad("two Transfer-Encoding lines", chat("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", body)),
        bad("two Transfer-Encoding lines, the last identity", chat("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", body)),
        bad("two Transfer-Encoding lines, the first identity", chat("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", body)),
        bad(
            "chunks in HTTP/1.0",
            "POST /v1/chat/completions HTTP/1.0\r\nHost: sidegate.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
    ]);
    abuses
}

fn lengths() -> Vec<Abuse> {
    let one = |value: &str| bad(format!("Content-Length: {value:?}"), chat(&format!("Content-Length: {value}"), "{}"));
    let mut abuses: Vec<_> =
        ["", "+2", "-1", "0x2", "2 2", "2,3", "2, 3", "two", "2.0", "2;", "1_0", "99999999999999999999999", "18446744073709551616"]
            .into_iter()
            .map(one)
            .collect();
    abuses.extend([
        bad("two lengths", chat("Content-Length: 2\r\nContent-Length: 3", "{}")),
        bad("two lengths in another case", chat("Content-Length: 2\r\ncontent-length: 3", "{}")),
    ]);
    abuses
}

/// On an endpoint whose body is read before anything is sent, so that nothing may reach the provider.
fn chunks() -> Vec<Abuse> {
    let one = |name: &str, body: &str| bad(format!("chunks: {name}"), chat("Transfer-Encoding: chunked", body));
    vec![
        one("a size that is no number", "zz\r\n{}\r\n0\r\n\r\n"),
        one("no size", "\r\n{}\r\n0\r\n\r\n"),
        one("a negative size", "-2\r\n{}\r\n0\r\n\r\n"),
        one("a size with a prefix", "0x2\r\n{}\r\n0\r\n\r\n"),
        one("a size with a plus", "+2\r\n{}\r\n0\r\n\r\n"),
        one("a size beyond 64 bits", "10000000000000002\r\n{}\r\n0\r\n\r\n"),
        one("a chunk longer than its size", "2\r\n{}}\r\n0\r\n\r\n"),
        one("a chunk shorter than its size", "5\r\n{}\r\n0\r\n\r\n"),
        one("a bare line feed behind the size", "2\n{}\r\n0\r\n\r\n"),
        one("a bare line feed behind the chunk", "2\r\n{}\n0\r\n\r\n"),
        one("a bare carriage return behind the size", "2\r{}\r\n0\r\n\r\n"),
        one("a line feed in an extension", "2;x\ny\r\n{}\r\n0\r\n\r\n"),
        one("an extension without end", &format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(100_000))),
        one("a trailer that is no field", "2\r\n{}\r\n0\r\nnonsense\r\n\r\n"),
        one("trailers without end", &format!("2\r\n{{}}\r\n0\r\n{}\r\n", "x-t: 1\r\n".repeat(20_000))),
    ]
}

/// A body that two readers could route in two ways.
fn asks() -> Vec<Abuse> {
    let twice = r#"{"model":"gpt-4o","model":"o1"}"#;
    vec![forbidden("two models", BAD_REQUEST, chat(&format!("Content-Type: application/json\r\nContent-Length: {}", twice.len()), twice))]
}

fn methods() -> Vec<Abuse> {
    vec![
        forbidden("CONNECT", &[400, 405], "CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n"),
        forbidden("CONNECT with a path", &[400, 405], line("CONNECT /v1/models HTTP/1.1")),
        forbidden("CONNECT with an absolute target", &[400, 405], line("CONNECT http://sidegate.test/v1/models HTTP/1.1")),
        forbidden("TRACE", &[405], line("TRACE /v1/models HTTP/1.1")),
        forbidden("TRACE with a body", &[405], "TRACE /v1/models HTTP/1.1\r\nHost: sidegate.test\r\nContent-Length: 2\r\n\r\n{}"),
        forbidden("a method that nobody knows", &[405], line("FROBNICATE /v1/models HTTP/1.1")),
        forbidden("a method in small letters", &[400, 405], line("get /v1/models HTTP/1.1")),
        bad("a method that is no token", line("G@T /v1/models HTTP/1.1")),
        bad("no method", line(" /v1/models HTTP/1.1")),
    ]
}

fn targets() -> Vec<Abuse> {
    let not_served: &[u16] = &[400, 404];
    vec![
        forbidden("authority form", BAD_REQUEST, line("GET sidegate.test:80 HTTP/1.1")),
        forbidden("a star", not_served, line("GET * HTTP/1.1")),
        forbidden("no slash", BAD_REQUEST, line("GET v1/models HTTP/1.1")),
        forbidden("a fragment", BAD_REQUEST, line("GET /v1/models#part HTTP/1.1")),
        forbidden(
            "an absolute target with a fragment for an authority",
            BAD_REQUEST,
            line("GET http://a#@sidegate.test/v1/models HTTP/1.1"),
        ),
        forbidden("an absolute target with a user", BAD_REQUEST, line("GET http://user@sidegate.test/v1/models HTTP/1.1")),
        forbidden("an absolute target without an authority", BAD_REQUEST, line("GET http:///v1/models HTTP/1.1")),
        forbidden("an absolute target of another scheme", BAD_REQUEST, line("GET ftp://sidegate.test/v1/models HTTP/1.1")),
        forbidden("two slashes at the start", not_served, line("GET //v1/models HTTP/1.1")),
        forbidden("two slashes and a host", not_served, line("GET //other.test/v1/models HTTP/1.1")),
        forbidden("an at sign and a host", BAD_REQUEST, line("GET @other.test/v1/models HTTP/1.1")),
        forbidden("a way up", not_served, line("GET /v1/../admin HTTP/1.1")),
        forbidden("a way up, encoded", not_served, line("GET /v1/%2e%2e/admin HTTP/1.1")),
        forbidden("a way up, half encoded", not_served, line("GET /v1/.%2E/admin HTTP/1.1")),
        forbidden("a way up through an encoded slash", not_served, line("GET /v1/..%2fadmin HTTP/1.1")),
        forbidden("a way up through a backslash", not_served, line("GET /v1/..\\admin HTTP/1.1")),
        forbidden("a way up at the end", not_served, line("GET /v1/.. HTTP/1.1")),
        forbidden("an encoded NUL in the path", not_served, line("GET /v1/models%00 HTTP/1.1")),
        forbidden("an encoded backslash", not_served, line("GET /v1/..%5cadmin HTTP/1.1")),
        forbidden("a prefix that only begins the same", &[404], line("GET /v1models HTTP/1.1")),
        bad("a quotation mark in the target", line("GET /v1/models?q=\"x\" HTTP/1.1")),
        bad("a blank in the target", line("GET /v1/models x HTTP/1.1")),
        bad("a tab for a blank", line("GET\t/v1/models HTTP/1.1")),
        bad("a NUL in the target", line("GET /v1/models\0 HTTP/1.1")),
        bad("a control in the target", line("GET /v1/models\x01 HTTP/1.1")),
        bad("a DEL in the target", line("GET /v1/models\x7f HTTP/1.1")),
        bad("no target", line("GET HTTP/1.1")),
        bad("HTTP/0.9", "GET /v1/models\r\n\r\n"),
        Abuse { statuses: &[400, 505], ..bad("HTTP/2.0 on HTTP/1", line("GET /v1/models HTTP/2.0")) },
        Abuse { statuses: &[400, 505], ..bad("HTTP/9.9", line("GET /v1/models HTTP/9.9")) },
        bad("a version in small letters", line("GET /v1/models http/1.1")),
        bad("a version of three digits", line("GET /v1/models HTTP/1.10")),
        bad("something behind the version", line("GET /v1/models HTTP/1.1 x")),
        Abuse {
            statuses: &[400, 414, 431],
            ..bad("a target of 100,000 characters", line(&format!("GET /v1/{} HTTP/1.1", "p".repeat(100_000))))
        },
    ]
}

fn fields() -> Vec<Abuse> {
    let one = |name: &str, lines: &str| bad(name, head(&format!("Host: sidegate.test\r\n{lines}")));
    let many = |count: usize| (0..count).map(|n| format!("X-{n}: 1")).collect::<Vec<_>>().join("\r\n");
    let too_large = |name: &str, lines: &str| Abuse { statuses: &[431], ..one(name, lines) };
    vec![
        one("a folded value", "X-Fold: a\r\n b"),
        one("a folded value, by a tab", "X-Fold: a\r\n\tb"),
        one("a blank before the colon", "X-Blank : a"),
        one("a tab before the colon", "X-Tab\t: a"),
        one("a framing field with a blank before the colon", "Transfer-Encoding : chunked"),
        one("a blank in a name", "X Blank: a"),
        one("an empty name", ": a"),
        one("no colon", "nonsense"),
        one("a NUL in a value", "X-Nul: a\0b"),
        one("a NUL in a name", "X-\0: a"),
        one("a control in a value", "X-Control: a\x01b"),
        one("a DEL in a value", "X-Del: a\x7fb"),
        one("an escape in a value", "X-Escape: a\x1b[31mb"),
        one("a bare carriage return in a value", "X-Cr: a\rb"),
        one("a bare carriage return and a field", "X-Cr: a\rTransfer-Encoding: chunked"),
        bad("a name that is no ASCII", [&b"GET /v1/models HTTP/1.1\r\nHost: sidegate.test\r\nX-\xe9: a\r\n\r\n"[..]].concat()),
        bad("a blank before the first field", "GET /v1/models HTTP/1.1\r\n Host: sidegate.test\r\n\r\n"),
        bad("bare line feeds", "GET /v1/models HTTP/1.1\nHost: sidegate.test\n\n"),
        bad("one bare line feed", "GET /v1/models HTTP/1.1\r\nHost: sidegate.test\nX-A: 1\r\n\r\n"),
        bad("bare carriage returns", "GET /v1/models HTTP/1.1\rHost: sidegate.test\r\r"),
        too_large("101 fields", &many(100)),
        too_large("a thousand fields", &many(1000)),
        too_large("a value of 100,000 bytes", &format!("X-Long: {}", "v".repeat(100_000))),
        too_large(
            "fields of 100,000 bytes together",
            &(0..50).map(|n| format!("X-{n}: {}", "v".repeat(2_000))).collect::<Vec<_>>().join("\r\n"),
        ),
    ]
}

#[tokio::test]
async fn no_malformed_request_reaches_the_provider() {
    let abuses: Vec<_> =
        [hosts(), transfer_encodings(), lengths(), chunks(), asks(), methods(), targets(), fields()].into_iter().flatten().collect();
    assert!(abuses.len() >= 100, "the table has only {} rows", abuses.len());
    let (provider, sidegate) = served().await;
    let mut failures = Vec::new();
    for abuse in &abuses {
        let before = provider.asked();
        let problem = outcome(abuse, sidegate.address).await;
        let reached = (provider.asked() != before).then(|| "it reached the provider".to_owned());
        failures
            .extend([problem, reached, next_caller(&sidegate).await].into_iter().flatten().map(|what| format!("{}: {what}", abuse.name)));
    }
    assert!(failures.is_empty(), "{} failures in {} abuses:\n{}", failures.len(), abuses.len(), failures.join("\n"));
}

/// Sends it with a hidden request behind; what is wrong with the answer, if something is.
async fn outcome(abuse: &Abuse, to: std::net::SocketAddr) -> Option<String> {
    let mut client = Client::connect(to).await;
    let hidden = if abuse.closes { HIDDEN } else { b"" };
    client.send([&abuse.bytes, hidden].concat()).await;
    let reply = match client.answer("GET").await {
        Ok(reply) => reply,
        Err(instead) => return Some(instead),
    };
    if !abuse.statuses.contains(&reply.status()) {
        return Some(format!("answered {} instead of {:?}", reply.status(), abuse.statuses));
    }
    if !reply.is_complete() {
        return Some(format!("a {} that breaks off", reply.status()));
    }
    (abuse.closes && !client.is_closed().await).then(|| format!("the connection goes on with {}", show(&client.wire.buffer)))
}

/// What looks odd and is legal.
#[tokio::test]
async fn odd_but_legal_requests_are_served() {
    let (_provider, sidegate) = served().await;
    for (name, bytes) in [
        ("a tab behind Host", head("Host:\tsidegate.test")),
        ("no blank behind Host", head("Host:sidegate.test")),
        ("a Host with a port", head("Host: sidegate.test:8080")),
        ("a Host with an empty port", head("Host: sidegate.test:")),
        ("a Host that is an address", head("Host: [::1]:8080")),
        ("a Host with an underscore", head("Host: side_gate")),
        ("an absolute target", line("GET http://sidegate.test/v1/models HTTP/1.1")),
        ("an absolute target of another host than Host's", line("GET http://other.test/v1/models HTTP/1.1")),
        ("an empty line before the request", [b"\r\n".to_vec(), line("GET /v1/models HTTP/1.1")].concat()),
        ("HTTP/1.0", line("GET /v1/models HTTP/1.0")),
        ("chunked in capitals", chat("Transfer-Encoding: CHUNKED", "2\r\n{}\r\n0\r\n\r\n")),
        (
            "a hundred fields",
            head(&format!("Host: sidegate.test\r\n{}", (1..100).map(|n| format!("X-{n}: 1")).collect::<Vec<_>>().join("\r\n"))),
        ),
        (
            "an Upgrade to h2c, ignored",
            head("Host: sidegate.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"),
        ),
    ] {
        let mut client = Client::connect(sidegate.address).await;
        client.send(bytes).await;
        let reply = client.reply("GET").await;
        assert_eq!((reply.status(), reply.text().as_str()), (200, "served"), "{name}");
    }
}
