use proptest::prelude::*;

use super::*;

/// What a reply comes to, read in these pieces; the connection is closed behind the last one if it is not over before.
fn read(pieces: &[&[u8]]) -> Result<(Answer, bool), Kind> {
    let mut reply = Reply::new();
    for piece in pieces {
        if reply.take(piece, Instant::now()).map_err(|failure| failure.kind)? {
            let answer = reply.answer().map_err(|failure| failure.kind)?;
            return Ok((answer, reply.keeps_the_connection()));
        }
    }
    reply.closed().map(|answer| (answer, false)).map_err(|failure| failure.kind)
}

fn failure(text: &str) -> Kind {
    read(&[text.as_bytes()]).unwrap_err()
}

/// A chunked stream behind an interim reply, with an extension and a trailer.
fn stream() -> String {
    let body = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":9}}\n\ndata: [DONE]\n\n";
    let chunks: String =
        body.as_bytes().chunks(20).map(|chunk| format!("{:x};a=b\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk))).collect();
    format!(
        "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\
         Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\nA: b\r\n\r\n"
    )
}

#[test]
fn a_streamed_reply_is_the_same_cut_at_any_byte_and_byte_by_byte() {
    let text = stream();
    let bytes = text.as_bytes();
    let check = |pieces: &[&[u8]]| {
        let (answer, keep) = read(pieces).unwrap();
        assert_eq!((answer.usage, answer.events, keep), (Some(Usage { input_tokens: 3, output_tokens: 9 }), 1, true));
        assert!(answer.first_token.is_some());
    };
    for at in 0..=bytes.len() {
        check(&[&bytes[..at], &bytes[at..]]);
    }
    check(&bytes.chunks(1).collect::<Vec<_>>());
}

#[test]
fn a_stream_that_is_cut_anywhere_is_truncated() {
    let text = stream();
    assert_eq!(failure(""), Kind::NoReply);
    for at in 1..text.len() {
        assert_eq!(failure(&text[..at]), Kind::Truncated, "cut at {at}");
    }
    let unfinished = text.replace("[DONE]", "[NONE]");
    assert_eq!(failure(&unfinished), Kind::Truncated);
}

#[test]
fn the_first_token_is_timed_by_the_piece_that_brought_it() {
    let text = stream();
    let (before, behind) = text.split_at(text.find("content\":\"a").unwrap());
    let (early, late) = (Instant::now(), Instant::now() + std::time::Duration::from_secs(9));
    let mut reply = Reply::new();
    assert!(!reply.take(before.as_bytes(), early).unwrap());
    assert!(reply.take(behind.as_bytes(), late).unwrap());
    assert_eq!(reply.answer().unwrap().first_token, Some(late));
}

#[test]
fn a_whole_reply_ends_by_its_length_or_with_the_connection() {
    let body = r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    for (head, kept) in [
        (format!("HTTP/1.1 200 OK\r\nContent-Length: {}", body.len()), true),
        (format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: Close", body.len()), false),
        (format!("HTTP/1.0 200 OK\r\nContent-Length: {}", body.len()), false),
        (format!("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: {}", body.len()), true),
        ("HTTP/1.1 200 OK".to_owned(), false),
    ] {
        let (answer, keep) = read(&[format!("{head}\r\n\r\n{body}").as_bytes()]).unwrap();
        assert_eq!((answer.usage, keep), (Some(Usage { input_tokens: 1, output_tokens: 2 }), kept), "{head}");
    }
}

#[test]
fn bytes_that_nobody_asked_for_cost_the_connection() {
    let (_, keep) = read(&[b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 400"]).unwrap();
    assert!(!keep);
}

#[test]
fn what_goes_wrong_has_its_kind_and_says_what_the_provider_said() {
    let whole = |status: &str, body: &str| format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert_eq!(failure(&whole("429 Too Many Requests", "{}")), Kind::Status(StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(failure(&whole("204 No Content", "")), Kind::Malformed);
    assert_eq!(failure(&whole("200 OK", "not json")), Kind::Malformed);
    assert_eq!(failure(&whole("200 OK", r#"{"error":{"message":"x"}}"#)), Kind::ErrorEvent);
    for text in [
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    ] {
        assert_eq!(failure(text), Kind::Malformed, "{text}");
    }
    for chunk in ["x\r\n", "\r\n", "11111111111111111\r\n", "1\r\nab\r\n"] {
        assert_eq!(failure(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}")), Kind::Malformed, "{chunk}");
    }

    let mut reply = Reply::new();
    let refused = whole("401 Unauthorized", r#"{"error":{"message":"no such key","code":1}}"#);
    assert!(reply.take(refused.as_bytes(), Instant::now()).unwrap());
    assert_eq!(reply.answer().unwrap_err().said, "no such key");
}

#[test]
fn a_head_without_an_end_is_given_up() {
    let mut reply = Reply::new();
    let line = [b'x'; 16 << 10];
    let pieces = (0..100).find(|_| reply.take(&line, Instant::now()).is_err());
    assert_eq!(pieces, Some(4));
}

#[test]
fn a_long_body_is_kept_in_bounded_memory_and_counts_without_usage() {
    let mut reply = Reply::new();
    let length = LONGEST_BODY + 10;
    reply.take(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes(), Instant::now()).unwrap();
    assert!(reply.take(&vec![b' '; length], Instant::now()).unwrap());
    assert_eq!(reply.body.len(), LONGEST_BODY);
    assert_eq!(reply.answer().unwrap().usage, None);
}

proptest! {
    #[test]
    fn whatever_comes_it_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), at in 0usize..400) {
        let at = at.min(bytes.len());
        let _ = read(&[&bytes[..at], &bytes[at..]]);
        let _ = read(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &bytes]);
    }
}
