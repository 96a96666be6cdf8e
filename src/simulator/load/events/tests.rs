use proptest::prelude::*;

use super::*;

const STREAM: &str = "\
: a comment\r
data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":null}\n\n\
data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\r\n\r\n\
data: {\"choices\": [{\"delta\": {\"content\" : \"\\\"\"}, \"finish_reason\": null}]}\n\n\
data:{\"choices\":[{\"delta\":{\"content\":null,\"reasoning_content\":\"é\"}}]}\n\n\
data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":\"{\"}}]}}]}\n\n\
data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
data: {\"choices\":[],\"usage\":{\"prompt_tokens\":16,\"completion_tokens\":4,\"total_tokens\":20}}\n\n\
data: [DONE]\n\n";

fn seen(pieces: &[&[u8]]) -> Seen {
    let mut scanner = Scanner::new();
    for piece in pieces {
        scanner.take(piece);
    }
    scanner.seen
}

fn whole() -> Seen {
    Seen { tokens: 4, usage: Some(Usage { input_tokens: 16, output_tokens: 4 }), finished: true, error: None }
}

#[test]
fn a_stream_is_the_same_cut_at_any_byte_and_byte_by_byte() {
    let bytes = STREAM.as_bytes();
    for at in 0..=bytes.len() {
        assert_eq!(seen(&[&bytes[..at], &bytes[at..]]), whole(), "cut at {at}");
    }
    let single: Vec<_> = bytes.chunks(1).collect();
    assert_eq!(seen(&single), whole());
}

#[test]
fn a_finish_reason_is_an_end_and_text_alone_is_none() {
    for (line, finished) in [
        ("data: [DONE]\n", true),
        ("data: {\"finish_reason\":\"length\"}\n", true),
        ("data: {\"finish_reason\":null}\n", false),
        ("data: {\"choices\":[{\"delta\":{\"content\":\"[DONE]\"}}]}\n", false),
        ("event: [DONE]\n", false),
        ("data: [DONE]", false),
    ] {
        assert_eq!(seen(&[line.as_bytes()]).finished, finished, "{line:?}");
    }
}

#[test]
fn an_error_is_an_event_that_is_called_so_or_begins_with_one() {
    for (text, error) in [
        ("data: {\"error\":{\"message\":\"x\"}}\n\n", true),
        ("data: { \"error\" : \"x\"}\n\n", true),
        ("event: error\ndata: {\"message\":\"x\"}\n\n", true),
        ("data: {\"error\":null,\"choices\":[]}\n\n", false),
        ("event: error\n\ndata: {\"choices\":[]}\n\n", false),
        ("data: {\"choices\":[{\"delta\":{\"content\":\"{\\\"error\\\":1}\"}}]}\n\n", false),
    ] {
        assert_eq!(seen(&[text.as_bytes()]).error.is_some(), error, "{text:?}");
    }
}

#[test]
fn a_line_without_an_end_is_kept_in_bounded_memory() {
    let mut scanner = Scanner::new();
    for _ in 0..64 {
        scanner.take(&[b'x'; 64 << 10]);
    }
    assert_eq!(scanner.begun.len(), LONGEST_LINE);
    scanner.take(b"\ndata: [DONE]\n");
    assert!(scanner.seen.finished, "the line behind it is read");
}

#[test]
fn a_reset_scanner_knows_nothing_of_the_stream_before() {
    let mut scanner = Scanner::new();
    scanner.take(STREAM.as_bytes());
    scanner.take(b"event: error\ndata: {\"half");
    scanner.reset();
    scanner.take(b"data: {}\n");
    assert_eq!(scanner.seen, Seen::default());
}

proptest! {
    #[test]
    fn cuts_anywhere_change_nothing(mut cuts in proptest::collection::vec(0..STREAM.len(), 0..20)) {
        cuts.extend([0, STREAM.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|cut| &STREAM.as_bytes()[cut[0]..cut[1]]).collect();
        prop_assert_eq!(seen(&pieces), whole());
    }
}
