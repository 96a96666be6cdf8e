use proptest::prelude::*;

use super::*;

/// Whether something was refused, and where the first byte was overwritten, if one was.
fn verdict(text: &[u8], splits: &[usize]) -> (bool, Option<usize>) {
    let mut bytes = text.to_vec();
    let mut guard = Guard::default();
    let mut from = 0;
    for end in splits.iter().copied().chain([bytes.len()]) {
        let end = end.clamp(from, bytes.len());
        while from < end {
            from += guard.inspect(&mut bytes[from..end]);
            // Every upgrade is refused here, so that what follows is looked at.
            if guard.holds() {
                guard.resume();
            }
        }
    }
    (guard.has_refused(), (0..text.len()).find(|at| bytes[*at] != text[*at]))
}

const PLAIN: &str = "GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn what_is_well_framed_passes_untouched() {
    for text in [
        PLAIN,
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na#\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n\n\n\n\r\n0A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nX-Color: #fff\r\n\r\n",
    ] {
        assert_eq!(verdict(text.as_bytes(), &[]), (false, None), "{text:?}");
    }
}

#[test]
fn what_two_servers_could_read_in_two_ways_is_refused() {
    for (text, line) in [
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", 0),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", 1),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", 2),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0),
        ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 0),
        ("POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 2),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\ncontent-length: 5\r\n\r\n", 3),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: x\r\nContent-Length: 5\r\n\r\n", 2),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n 3\r\nabc\r\n0\r\n\r\n", 3),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", 3),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n", 3),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", 3),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;a\0b\r\nabc\r\n0\r\n\r\n", 3),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 4),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n", 4),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n", 4),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n", 3),
    ] {
        let end = text.match_indices('\n').nth(line).unwrap().0;
        assert_eq!(verdict(text.as_bytes(), &[]), (true, Some(end)), "{text:?}");
    }
}

#[test]
fn a_bare_line_feed_in_a_chunks_head_is_left_for_hyper_to_refuse() {
    for size in ["3\n", "3;x\n", "3;x\ny\r\n"] {
        let text = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{size}abc\r\n0\r\n\r\n");
        assert_eq!(verdict(text.as_bytes(), &[]), (true, None), "{size:?}");
    }
}

#[test]
fn a_head_that_has_begun_is_known() {
    let mut guard = Guard::default();
    assert!(!guard.in_head());
    guard.inspect(&mut b"GE".to_vec());
    assert!(guard.in_head());
    guard.inspect(&mut b"T / HTTP/1.1\r\nHost".to_vec());
    assert!(guard.in_head());
    guard.inspect(&mut b": a\r\n\r\n".to_vec());
    assert!(!guard.in_head());
}

#[test]
fn behind_a_head_that_asks_for_an_upgrade_everything_waits() {
    let ask = |field: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
    for field in ["Upgrade: websocket", "upgrade:h2c", "UPGRADE: ", "Content-Length: 0\r\nUpgrade: x"] {
        let (mut guard, head) = (Guard::default(), ask(field));
        let mut bytes = [head.as_bytes(), b"\n\0GET"].concat();
        assert_eq!((guard.inspect(&mut bytes), guard.holds(), guard.in_head()), (head.len(), true, false), "{field}");
        assert_eq!(guard.inspect(&mut bytes), 0, "{field}");
        guard.resume();
        assert_eq!((guard.inspect(&mut b"\n".to_vec()), guard.has_refused()), (1, true), "{field}");
    }
    // With a body there is no upgrade, and the next head has an answer of its own.
    for field in
        ["Content-Length: 2\r\nUpgrade: x", "Upgrade: x\r\nTransfer-Encoding: chunked", "X-Upgrade: x", "Upgrades: x", "User-Agent: x"]
    {
        let mut guard = Guard::default();
        guard.inspect(&mut ask(field).into_bytes());
        assert!(!guard.holds(), "{field}");
    }
    let mut guard = Guard::default();
    guard.inspect(&mut ask("Upgrade: x").into_bytes());
    guard.resume();
    guard.inspect(&mut ask("X: y").into_bytes());
    assert!(!guard.holds());
}

fn message() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "GET / HTTP/1.1\r\n",
        "Host: a\r\n",
        "\r\n",
        "\n",
        "#",
        "Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "3\r\n",
        "abc",
        "0\r\n",
        ";x",
        "\r",
        "CONTENT-LENGTH:7\r\n",
        "Upgrade: websocket\r\n",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_verdict_does_not_depend_on_how_reads_split_the_bytes(text in message(), mut splits in prop::collection::vec(0_usize..200, 0..6)) {
        splits.sort_unstable();
        prop_assert_eq!(verdict(text.as_bytes(), &[]), verdict(text.as_bytes(), &splits));
    }

    #[test]
    fn no_input_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), mut splits in prop::collection::vec(0_usize..300, 0..6)) {
        splits.sort_unstable();
        verdict(&bytes, &splits);
    }
}
