use http::header::{CONTENT_TYPE, SET_COOKIE};

use super::*;

const DATES: Dates = Dates { stored: 0, until: 0, jitter: 0, negative: false };

fn entry(headers: HeaderMap, body: &[u8]) -> Entry {
    Entry {
        status: StatusCode::OK,
        headers,
        body: Pieces::of(&[Bytes::copy_from_slice(body)]),
        pauses: Box::default(),
        dates: DATES,
        usage: Usage::default(),
        cost: None,
        client: None,
        model: None,
    }
}

#[test]
fn an_entry_without_content_weighs_its_bookkeeping() {
    let empty = entry(HeaderMap::new(), b"").weight();
    assert!(empty >= PLACE + size_of::<Entry>() as u64 && empty < PLACE + size_of::<Entry>() as u64 + 64, "{empty}");
}

#[test]
fn everything_that_an_entry_holds_adds_to_its_weight() {
    let bare = entry(HeaderMap::new(), b"");
    let at_least = |more: Entry, bytes: u64| assert!(more.weight() >= bare.weight() + bytes, "{} {bytes}", more.weight());
    at_least(entry(HeaderMap::new(), &[0; 5_000]), 5_000);
    at_least(entry(HeaderMap::new(), &[0; 200_000]), 200_000);
    // What the allocator loses between them, too.
    at_least(entry(HeaderMap::new(), &[0; 64_000]), 68_000);
    at_least(Entry { pauses: [Pause { at: 1, after_ms: 1 }; 100].into(), ..bare.clone() }, 800);
    at_least(Entry { client: Some("a".repeat(50).into()), ..bare.clone() }, 50);
    at_least(Entry { model: Some("a".repeat(50).into()), ..bare.clone() }, 50);
    let mut headers = HeaderMap::new();
    headers.insert("x-long", HeaderValue::from_str(&"v".repeat(300)).unwrap());
    at_least(entry(headers, b""), 300 + 6);
}

#[test]
fn the_allocator_takes_a_word_and_rounds_up() {
    assert_eq!([0, 1, 24, 25, 1_000].map(allocation), [0, 32, 32, 48, 1_008]);
    assert_eq!(allocation(128 << 10), (128 << 10) + 4_096);
}

#[test]
fn fields_of_ones_own_are_the_same_fields_in_memory_of_their_own() {
    let read = Bytes::from_static(b"text/event-stream; charset=utf-8 and all else that came with it");
    let mut theirs = HeaderMap::new();
    theirs.insert(CONTENT_TYPE, HeaderValue::from_maybe_shared(read.slice(..17)).unwrap());
    theirs.append(SET_COOKIE, HeaderValue::from_static("a=1"));
    theirs.append(SET_COOKIE, HeaderValue::from_bytes(b"b=\xff").unwrap());
    theirs.insert("openai-version", HeaderValue::from_static(""));
    let ours = own(&theirs);
    assert_eq!(ours, theirs);
    for (name, value) in &ours {
        let their = &theirs.get_all(name).iter().map(|value| value.as_bytes().as_ptr()).collect::<Vec<_>>();
        assert!(value.is_empty() || !their.contains(&value.as_bytes().as_ptr()), "{name}");
    }
}

#[test]
fn what_an_entry_says_is_not_printed() {
    let printed = format!("{:?}", entry(HeaderMap::new(), b"a secret answer"));
    assert!(printed.contains("15") && !printed.contains("secret"), "{printed}");
}
