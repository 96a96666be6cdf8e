//! Requests that are not what they seem.

use super::{CHAT, question};

/// Paths that one reader may take for the plain one, and another not.
const PATHS: [&str; 14] = [
    "/v1//chat/completions",
    "//v1/chat/completions",
    "/v1/./chat/completions",
    "/v1/%2e/chat/completions",
    "/v1/x/../chat/completions",
    "/v1/x/%2e%2e/chat/completions",
    "/v1/chat%2Fcompletions",
    "/v1/chat/completions/",
    "/v1/chat/completions;v=1",
    "/v1/Chat/Completions",
    "/v1/chat/completion%73",
    "/v1/chat/completions%00",
    "/v1/chat\\completions",
    "/v1/chat/completions.json",
];

/// Fields that ask for a part, vouch for the bytes, or forbid it.
const FIELDS: [&str; 8] = [
    "Range: bytes=0-9",
    "Range: bytes=0-\r\nIf-Range: \"evil\"",
    "Content-Range: bytes 0-9/100",
    "Content-Encoding: gzip",
    "Content-Encoding: evil",
    "Content-Digest: sha-256=:AAAA:",
    "Signature: sig1=:AAAA:",
    "Cache-Control: no-store",
];

const METHODS: [&str; 5] = ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A name, and the bytes of a request.
type Trick = (String, Vec<u8>);

fn body() -> String {
    question("gpt-4o-mini", "A plain question.", false)
}

fn request(method: &str, target: &str, fields: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("{method} {target} HTTP/1.1\r\n{fields}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// As everybody asks.
pub(super) fn plain() -> Vec<u8> {
    request("POST", CHAT, "Host: sidegate.test\r\n", &body())
}

/// Nothing of these is an answer to a plain question.
pub(super) fn tricks() -> Vec<Trick> {
    let host = "Host: sidegate.test\r\n";
    let fields = FIELDS.map(|field| (field.to_owned(), request("POST", CHAT, &format!("{host}{field}\r\n"), &body())));
    let methods = METHODS.map(|method| (method.to_owned(), request(method, CHAT, host, &body())));
    let framing = [
        ("two lengths", "Content-Length: 5\r\n"),
        ("a length and chunks", "Transfer-Encoding: chunked\r\n"),
        ("chunks by another name", "Transfer-Encoding: xchunked\r\n"),
        ("two hosts", "Host: evil.test\r\n"),
    ];
    let framing = framing.map(|(name, field)| (name.to_owned(), request("POST", CHAT, &format!("{host}{field}"), &body())));
    let repeated = r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":"A plain question."}],"model":"evil"}"#;
    let bodies = [("a member twice", repeated.to_owned()), ("two bodies", body() + "{}"), ("a list", format!("[{}]", body()))];
    let bodies = bodies.map(|(name, body)| (name.to_owned(), request("POST", CHAT, host, &body)));
    fields.into_iter().chain(methods).chain(framing).chain(bodies).collect()
}

/// Plain questions that name the path in another way, or another host.
pub(super) fn detours() -> Vec<Trick> {
    let hosts = ["evil.test", "evil.test:80", "sidegate.test@evil.test", "evil.test/", "sidegate.test, evil.test", ""];
    let fields = hosts.map(|host| (format!("host `{host}`"), request("POST", CHAT, &format!("Host: {host}\r\n"), &body())));
    let targets = ["http://evil.test", "https://evil.test", "http://evil.test:80"];
    let targets = targets.map(|site| {
        let target = format!("{site}{CHAT}");
        (target.clone(), request("POST", &target, "Host: sidegate.test\r\n", &body()))
    });
    let paths = PATHS.map(|path| (path.to_owned(), request("POST", path, "Host: sidegate.test\r\n", &body())));
    paths.into_iter().chain(fields).chain(targets).collect()
}
