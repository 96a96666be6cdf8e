//! However a stream is split, the same events are told, and none is longer than the bound.
//!
//! `cargo +nightly fuzz run sse`

#![no_main]

use libfuzzer_sys::fuzz_target;
use sidegate::provider::sse::{LONGEST, Splitter, data};

fn events<'b>(parts: impl Iterator<Item = &'b [u8]>) -> Vec<Vec<u8>> {
    let (mut splitter, mut events) = (Splitter::default(), Vec::new());
    for part in parts {
        splitter.push(part, |event| events.push(event.to_vec()));
    }
    events
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = (usize::from(input.0) + 1, input.1);
    let whole = events(std::iter::once(bytes));
    assert_eq!(events(bytes.chunks(size)), whole);
    for event in whole {
        assert!(event.len() <= LONGEST);
        let _ = data(&event);
    }
});
