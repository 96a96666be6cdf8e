//! Malformed replies. The caller sees an error or a reply that breaks off, never something that looks whole, and no
//! byte of it ever becomes a part of somebody else's reply.

use crate::support::{Client, Provider, Script, Sidegate, show};

/// What the caller may see.
#[derive(Clone, Copy, Debug)]
enum Seen {
    /// 502, or a reply that visibly breaks off.
    Failure,
    /// The reply, whole, with this body.
    Whole(&'static str),
    /// Either is right.
    Any,
}

const POISON: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON";

fn head(lines: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n")
}

fn malformed_heads() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("nothing", Vec::new()),
        ("garbage", text("this is no reply at all\r\n\r\n")),
        ("HTTP/0.9", text("<html>hello</html>")),
        ("bytes", (128..=255).cycle().take(5000).collect()),
        ("a status line of HTTP/2", text("HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n")),
        ("the preface of HTTP/2", text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")),
        ("a TLS alert", b"\x15\x03\x01\x00\x02\x02\x46".to_vec()),
        ("half a head", text("HTTP/1.1 200 OK\r\nContent-Le")),
        ("a status of two digits", text("HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n")),
        ("a status of four digits", text("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n")),
        ("a status below 100", text("HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n")),
        ("a status of letters", text("HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n")),
        ("no status", text("HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n")),
        ("a megabyte of one field", text(&head(&format!("Content-Length: 0\r\nX-Long: {}", "v".repeat(1 << 20))))),
        ("ten thousand fields", text(&head(&format!("Content-Length: 0{}", "\r\nX-Many: 1".repeat(10_000))))),
        ("a NUL in a value", text(&head("Content-Length: 0\r\nX-Nul: a\0b"))),
        ("a bare carriage return in a value", text(&head("Content-Length: 0\r\nX-Cr: a\rb"))),
        ("no colon", text(&head("Content-Length: 0\r\nnonsense"))),
        ("an empty name", text(&head("Content-Length: 0\r\n: a"))),
        ("two lengths", text(&format!("{}{}", head("Content-Length: 3\r\nContent-Length: 5"), "abcde"))),
        ("a list of lengths", text(&format!("{}{}", head("Content-Length: 3, 5"), "abcde"))),
        ("a negative length", text(&head("Content-Length: -1"))),
        ("a length with a plus", text(&format!("{}abc", head("Content-Length: +3")))),
        ("a length that is no number", text(&head("Content-Length: three"))),
        ("a length beyond 64 bits", text(&head("Content-Length: 18446744073709551616"))),
        ("a length and chunks", text(&format!("{}3\r\nabc\r\n0\r\n\r\n{POISON}", head("Content-Length: 3\r\nTransfer-Encoding: chunked")))),
        (
            "chunks and a length",
            text(&format!("{}3\r\nabc\r\n0\r\n\r\n{POISON}", head("Transfer-Encoding: chunked\r\nContent-Length: 13"))),
        ),
        ("101 that nobody asked for", text("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")),
    ]
}

fn broken_bodies() -> Vec<(&'static str, String)> {
    let chunked = |body: &str| head("Transfer-Encoding: chunked") + body;
    vec![
        ("a size that is no number", chunked("3\r\nabc\r\nzz\r\nabc\r\n0\r\n\r\n")),
        ("a size beyond 64 bits", chunked("3\r\nabc\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n")),
        ("a chunk longer than its size", chunked("3\r\nabcde\r\n0\r\n\r\n")),
        ("an extension without end", chunked(&format!("3\r\nabc\r\n3;{}", "x".repeat(1 << 20)))),
        ("trailers without end", chunked(&format!("3\r\nabc\r\n0\r\n{}", "x-t: 1\r\n".repeat(100_000)))),
        ("a coding that nobody knows", head("Transfer-Encoding: cow") + "abc"),
        ("chunked twice", head("Transfer-Encoding: chunked, chunked") + "3\r\nabc\r\n0\r\n\r\n"),
        ("a length that is longer than the body", head("Content-Length: 10") + "abc"),
    ]
}

fn odd_replies() -> Vec<(&'static str, Seen, String)> {
    let hints = |count: usize| "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n".repeat(count);
    let fine = head("Content-Length: 4") + "fine";
    vec![
        ("an early hint", Seen::Whole("fine"), hints(1) + &fine),
        ("three early hints", Seen::Whole("fine"), hints(3) + &fine),
        ("a hundred early hints", Seen::Whole("fine"), hints(100) + &fine),
        ("a hundred and one", Seen::Failure, hints(101) + &fine),
        ("two thousand early hints", Seen::Failure, hints(2000) + &fine),
        ("100 Continue that nobody asked for", Seen::Whole("fine"), "HTTP/1.1 100 Continue\r\n\r\n".to_owned() + &fine),
        ("102 Processing", Seen::Whole("fine"), "HTTP/1.1 102 Processing\r\n\r\n".to_owned() + &fine),
        ("a reply behind the reply", Seen::Whole("fine"), fine.clone() + POISON),
        ("half a reply behind the reply", Seen::Whole("fine"), fine.clone() + "HTTP/1.1 200 OK\r\nX-"),
        ("garbage behind the reply", Seen::Whole("fine"), fine + "garbage"),
        ("a reply behind 204", Seen::Whole(""), format!("HTTP/1.1 204 No Content\r\n\r\n{POISON}")),
        ("a body behind 304", Seen::Whole(""), format!("HTTP/1.1 304 Not Modified\r\nContent-Length: {}\r\n\r\n{POISON}", POISON.len())),
        ("a reply behind chunks", Seen::Whole("abc"), head("Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n" + POISON),
        ("a blank before a colon", Seen::Any, head("Content-Length: 0\r\nX-Blank : a")),
        ("a folded value", Seen::Any, head("Content-Length: 0\r\nX-Fold: a\r\n b")),
        ("bare line feeds", Seen::Any, "HTTP/1.1 200 OK\nContent-Length: 4\n\nfine".to_owned()),
        ("a status beyond 599", Seen::Any, "HTTP/1.1 799 Odd\r\nContent-Length: 0\r\n\r\n".to_owned()),
        ("chunks in HTTP/1.0", Seen::Any, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_owned()),
    ]
}

#[tokio::test]
async fn a_malformed_reply_looks_like_a_failure_and_hurts_nobody_else() {
    let heads = malformed_heads().into_iter().map(|(name, bytes)| (name, Seen::Failure, bytes));
    let bodies = broken_bodies().into_iter().map(|(name, text)| (name, Seen::Failure, text.into_bytes()));
    let odd = odd_replies().into_iter().map(|(name, seen, text)| (name, seen, text.into_bytes()));
    let mut failures = Vec::new();
    for (name, seen, bytes) in heads.chain(bodies).chain(odd) {
        // With and without the provider closing behind it: it must not take the end to see what is wrong, but for
        // what is merely unfinished.
        failures.extend(problem(seen, Script::on_request().offer(bytes).close()).await.map(|what| format!("{name}: {what}")));
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// The connection stays open behind an odd reply: the next request may get that connection, and must get its own reply.
#[tokio::test]
async fn what_stands_behind_a_reply_is_nobodys_reply() {
    let mut failures = Vec::new();
    for (name, seen, text) in odd_replies().into_iter().filter(|(_, seen, _)| matches!(seen, Seen::Whole(_))) {
        failures.extend(problem(seen, Script::reply(text)).await.map(|what| format!("{name}: {what}")));
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

async fn problem(seen: Seen, script: Script) -> Option<String> {
    let provider = Provider::always(Script::ok("good")).await;
    let sidegate = Sidegate::before(provider.address).await;
    provider.script(script);
    let mut client = Client::connect(sidegate.address).await;
    client.post("/v1/chat/completions", "{}").await;
    let first = match (client.answer("POST").await, seen) {
        (Err(instead), _) => Some(instead),
        (Ok(reply), Seen::Failure) if reply.status() == 502 || !reply.is_complete() => None,
        (Ok(reply), Seen::Whole(body)) if reply.is_complete() && reply.text() == body => None,
        (Ok(reply), Seen::Any) if reply.status() == 502 || !show(&reply.body.bytes).contains("POISON") => None,
        (Ok(reply), _) => Some(format!("answered {} {}", show(&reply.head.line), show(&reply.body.bytes))),
    };
    if first.is_some() {
        return first;
    }
    for _ in 0..4 {
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", "{}").await;
        match client.answer("POST").await {
            Ok(reply) if reply.text() == "good" => {}
            Ok(reply) => return Some(format!("then somebody else got {}: {}", show(&reply.head.line), show(&reply.body.bytes))),
            Err(instead) => return Some(format!("then somebody else got {instead}")),
        }
    }
    None
}

#[tokio::test]
async fn an_early_refusal_reaches_a_client_that_still_uploads() {
    let refusal = "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 8\r\n\r\ntoo much";
    let provider = Provider::always(Script::on_head().write(refusal).until_left()).await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.send("POST /v1/files HTTP/1.1\r\nHost: sidegate.test\r\nContent-Length: 100000000\r\n\r\nsome").await;
    let reply = client.reply("POST").await;
    assert_eq!((reply.status(), reply.text().as_str()), (413, "too much"));
}
