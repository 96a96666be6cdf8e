use proptest::prelude::*;

use super::*;

/// The events of bytes that come in these parts.
fn split<'b>(parts: impl IntoIterator<Item = &'b [u8]>) -> Vec<Vec<u8>> {
    let (mut splitter, mut events) = (Splitter::default(), Vec::new());
    for part in parts {
        splitter.push(part, |event| events.push(event.to_vec()));
        assert!(splitter.held.len() <= LONGEST);
    }
    events
}

fn data_of(stream: &[u8]) -> Vec<String> {
    split([stream]).iter().filter_map(|event| data(event)).map(|data| String::from_utf8_lossy(&data).into_owned()).collect()
}

/// The standard's own words, over the whole text at once.
fn by_the_standard(stream: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(stream);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n").replace('\r', "\n");
    // What follows the last line end is no line yet.
    let Some((lines, _)) = text.rsplit_once('\n') else { return Vec::new() };
    let (mut events, mut data) = (Vec::new(), Vec::new());
    for line in lines.split('\n') {
        if line.is_empty() {
            if !data.is_empty() {
                events.push(std::mem::take(&mut data).join("\n"));
            }
        } else if let Some(value) = line.strip_prefix("data:") {
            data.push(value.strip_prefix(' ').unwrap_or(value).to_owned());
        } else if line == "data" {
            data.push(String::new());
        }
    }
    events
}

#[test]
fn every_way_to_end_a_line_ends_one() {
    for stream in ["data: a\n\ndata: b\n\n", "data: a\r\n\r\ndata: b\r\n\r\n", "data: a\r\rdata: b\r\r", "data: a\n\r\ndata: b\r\n\n"] {
        assert_eq!(data_of(stream.as_bytes()), ["a", "b"], "{stream:?}");
    }
}

#[test]
fn the_data_is_what_the_standard_says_it_is() {
    for (stream, events) in [
        ("data: {\"a\":1}\n\n", &["{\"a\":1}"][..]),
        ("event: x\ndata:a\ndata:  b\nid: 1\ndata\n\n", &["a\n b\n"]),
        (": a comment\n\n\n\ndata: x\n\n", &["x"]),
        ("\u{feff}data: x\n\n", &["x"]),
        ("\n\u{feff}data: x\n\n", &[]),
        ("datax: a\ndat: b\n data: c\n\n", &[]),
        ("data: never ended\n", &[]),
        ("data: [DONE]\n\ndata: cut o", &["[DONE]"]),
    ] {
        assert_eq!(data_of(stream.as_bytes()), events, "{stream:?}");
        assert_eq!(by_the_standard(stream.as_bytes()).iter().filter(|data| !data.is_empty()).count(), events.len(), "{stream:?}");
    }
}

#[test]
fn an_event_that_is_too_long_is_stepped_over_without_being_held() {
    let long = |length: usize| format!("data: a\n\ndata: {}\n\ndata: b\n\n", "x".repeat(length));
    for (length, told) in [(LONGEST - 7, 3), (LONGEST - 6, 2), (10 << 20, 2)] {
        let stream = long(length);
        assert_eq!(split([stream.as_bytes()]).len(), told, "{length}");
        assert_eq!(split(stream.as_bytes().chunks(16 << 10)).len(), told, "{length}, in parts");
    }
    let mut splitter = Splitter::default();
    (0..100).for_each(|_| splitter.push(&[b'x'; LONGEST], |_| panic!("it has not ended")));
    assert_eq!(splitter.held.capacity(), 0);
}

#[test]
fn it_knows_when_it_stands_between_two_events() {
    let mut splitter = Splitter::default();
    for (part, between) in [("", false), ("data: a\n", false), ("\n", true), ("data: b\r\n\r", false), ("\n", true), ("d", false)] {
        splitter.push(part.as_bytes(), |_| {});
        assert_eq!(splitter.is_between_events(), between, "{part:?}");
    }
}

/// Bytes that are made of what matters to the splitter.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let word =
        prop::sample::select(vec!["\n", "\r", "\r\n", "data", ":", " ", "data: ", "x", "{\"usage\":1}", "event: y", "\u{feff}", "é"]);
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_split_tells_the_same_events(stream in stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let whole = split([&stream[..]]);
        prop_assert_eq!(&split(stream.chunks(1)), &whole, "byte by byte");
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        let mut rest = &stream[..];
        let mut parts = Vec::new();
        for cut in cuts.iter().rev() {
            let (before, part) = rest.split_at(*cut);
            parts.push(part);
            rest = before;
        }
        parts.push(rest);
        prop_assert_eq!(split(parts.into_iter().rev()), whole);
    }

    #[test]
    fn it_reads_what_the_standard_reads(stream in stream()) {
        let told: Vec<_> = data_of(&stream);
        prop_assert_eq!(told, by_the_standard(&stream));
    }

    #[test]
    fn between_events_the_next_bytes_begin_one(stream in stream()) {
        let (mut splitter, mut events) = (Splitter::default(), 0);
        splitter.push(&stream, |_| events += 1);
        if splitter.is_between_events() {
            let after = events;
            splitter.push(b"data: x\n\n", |event| { assert_eq!(event, b"data: x\n"); events += 1; });
            prop_assert_eq!(events, after + 1);
        }
    }
}

#[test]
fn the_last_name_of_an_event_is_its_name() {
    for (event, named) in [
        ("event: message_stop\ndata: {}", Some("message_stop")),
        ("data: {}\r\nevent:error", Some("error")),
        ("event: a\nevent: b", Some("b")),
        ("event", Some("")),
        ("data: event: a", None),
        (": event: a", None),
        ("", None),
    ] {
        assert_eq!(name(event.as_bytes()), named.map(str::as_bytes), "{event}");
    }
}

#[test]
fn what_was_stepped_over_is_told() {
    let long = format!("data: {}\n\n", "x".repeat(LONGEST));
    for size in [1 << 10, 1 << 20] {
        let mut splitter = Splitter::default();
        splitter.push(b"data: x\n\n", |_| {});
        assert!(!splitter.has_skipped());
        long.as_bytes().chunks(size).for_each(|part| splitter.push(part, |_| panic!("it is too long")));
        splitter.push(b"data: x\n\n", |_| {});
        assert!(splitter.has_skipped(), "in parts of {size}");
    }
}
