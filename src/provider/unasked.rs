//! Takes the chunk that tells usage out of a stream again, for a client that did not ask for it.
//!
//! It is one whole event, whose chunk has no choices and says what was used; every other byte passes as it came. An event passes
//! as soon as it can't be that one. Only a part of one that may be is held until its end has come, at most [`LONGEST`] bytes.

use bytes::{Bytes, BytesMut};
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    sse::{self, Ends, LONGEST},
    usage::Meter,
};
use crate::types::RequestFormat;

/// Within its first bytes an event shows what it is, or is held to its end: looking again with each byte that comes has a bound.
const SHOWS: usize = 4 << 10;

/// What takes it out of one stream.
#[derive(Debug)]
pub struct Unasked {
    /// Tells at one look that no chunk says what was used.
    meter: Meter,
    /// What has come of an event that may be the one.
    held: Vec<u8>,
    /// Whether the event at hand is not the one, and passes.
    passes: bool,
    ends: Ends,
    /// Whether the last event was taken out, and with it a line feed that may belong to its end.
    taken: bool,
}

impl Default for Unasked {
    fn default() -> Self {
        Self { meter: Meter::new(RequestFormat::Openai), held: Vec::new(), passes: false, ends: Ends::default(), taken: false }
    }
}

impl Unasked {
    /// Takes the next bytes of the stream; returns what passes now, which may be nothing.
    #[must_use]
    pub fn push(&mut self, bytes: Bytes) -> Bytes {
        let begins = self.held.is_empty() && !self.passes && self.ends.is_between();
        // Nearly every frame is one whole event of a few words, and is not copied.
        if begins && (bytes.ends_with(b"\n\n") || bytes.ends_with(b"\r\n\r\n")) && !self.meter.is_named_in(&bytes) {
            return bytes;
        }
        let mut passed = BytesMut::with_capacity(self.held.len() + bytes.len());
        self.walk(&bytes, &mut passed);
        passed.freeze()
    }

    /// What is left at the end of the stream: an event that has none passes as it is.
    #[must_use]
    pub fn finish(&mut self) -> Bytes {
        std::mem::take(&mut self.held).into()
    }

    fn walk(&mut self, bytes: &[u8], passed: &mut BytesMut) {
        let mut at = self.ends.begin(bytes);
        let mut start = 0;
        // Behind a blank line it belongs to the event that has ended.
        if at > 0 && self.held.is_empty() && !self.passes {
            start = at;
            if !self.taken {
                passed.extend_from_slice(b"\n");
            }
        }
        while let Some((_, behind)) = self.ends.next(bytes, &mut at) {
            self.end(&bytes[start..behind], passed);
            start = behind;
        }
        self.rest(&bytes[start..], passed);
    }

    /// An event has ended with these bytes.
    fn end(&mut self, bytes: &[u8], passed: &mut BytesMut) {
        self.taken = false;
        if std::mem::take(&mut self.passes) {
            passed.extend_from_slice(bytes);
            return;
        }
        let event = if self.held.is_empty() {
            bytes
        } else {
            self.held.extend_from_slice(bytes);
            &self.held
        };
        self.taken = is_the_one(event);
        if !self.taken {
            passed.extend_from_slice(event);
        }
        self.held.clear();
    }

    /// These bytes begin an event, or go on with one.
    fn rest(&mut self, bytes: &[u8], passed: &mut BytesMut) {
        if self.passes {
            passed.extend_from_slice(bytes);
            return;
        }
        let before = self.held.len();
        self.held.extend_from_slice(bytes);
        if self.held.len() > LONGEST || before < SHOWS && !may_be_the_one(&self.held) {
            passed.extend_from_slice(&self.held);
            self.held = Vec::new();
            self.passes = true;
        }
    }
}

/// Whether this event says what was used, and nothing besides.
fn is_the_one(event: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Chunk<'c> {
        #[serde(borrow)]
        choices: &'c RawValue,
        #[serde(borrow)]
        usage: &'c RawValue,
    }
    if event.len() > LONGEST || !may_be_the_one(event) {
        return false;
    }
    let Some(json) = sse::data(event) else { return false };
    let Ok(Chunk { choices, usage }) = serde_json::from_slice(&json) else { return false };
    let is_empty = choices.get().strip_prefix('[').is_some_and(|rest| rest.trim_ascii_start() == "]");
    is_empty && usage.get().starts_with('{')
}

/// Whether an event may be the one, of which these are the first bytes. Its chunk is an object, and its choices are none.
fn may_be_the_one(first: &[u8]) -> bool {
    let line = first.trim_ascii_start();
    if let Some(json) = line.strip_prefix(b"data:")
        && json.trim_ascii_start().first().is_some_and(|byte| *byte != b'{')
    {
        return false;
    }
    let Some(at) = memmem::find(first, b"\"choices\"") else { return true };
    // Behind its name, as far as it has come: `:[]`.
    let mut rest = first[at + b"\"choices\"".len()..].iter().filter(|byte| !byte.is_ascii_whitespace());
    b":[]".iter().all(|expected| rest.next().is_none_or(|byte| byte == expected))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":["#;

    fn word(word: &str) -> String {
        format!("data: {HEAD}{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}}}}],\"usage\":null}}\n\n")
    }

    fn told() -> String {
        format!("data: {HEAD}],\"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":2}}}}\n\n")
    }

    /// What passes of these frames, one by one, with what is left at the end.
    fn pass<'f>(frames: impl IntoIterator<Item = &'f [u8]>) -> Vec<String> {
        let mut unasked = Unasked::default();
        let text = |bytes: Bytes| String::from_utf8_lossy(&bytes).into_owned();
        let mut passed: Vec<_> = frames.into_iter().map(|frame| text(unasked.push(Bytes::copy_from_slice(frame)))).collect();
        passed.push(text(unasked.finish()));
        passed
    }

    #[test]
    fn the_chunk_goes_and_all_else_stays() {
        let (first, last) = (word("a") + &word("\\\"usage\\\":{"), "data: [DONE]\n\n");
        assert_eq!(pass([format!("{first}{}{last}", told()).as_bytes()]), [first.clone() + last, String::new()]);
        let told = told();
        let frames = [first.as_bytes(), told.as_bytes(), last.as_bytes()];
        assert_eq!(pass(frames), [&first, "", last, ""]);
    }

    #[test]
    fn what_is_not_that_chunk_stays() {
        for event in [
            "data: [DONE]\n\n".to_owned(),
            ": ping\n\n".to_owned(),
            "\n\n\n".to_owned(),
            "\r\r\n\n\r".to_owned(),
            word("a"),
            // Azure begins with what it has found in the prompt.
            format!("data: {HEAD}],\"prompt_filter_results\":[]}}\n\n"),
            format!("data: {HEAD}],\"usage\":null}}\n\n"),
            // Some providers tell it with the last words.
            format!("data: {HEAD}{{\"delta\":{{}}}}],\"usage\":{{\"prompt_tokens\":1}}}}\n\n"),
            "data: {\"usage\":{\"prompt_tokens\":1}}\n\n".to_owned(),
            "data: {\"x\":{\"choices\":[],\"usage\":{}}}\n\n".to_owned(),
            "data: \"choices\":[],\"usage\":{}\n\n".to_owned(),
            format!("data: {HEAD}],\"usage\":{{}},\"x\":\"{}\"}}\n\n", "x".repeat(LONGEST)),
            // It has no end.
            told().trim_end().to_owned(),
        ] {
            assert_eq!(pass([event.as_bytes()]).concat(), event);
            assert_eq!(pass(event.as_bytes().chunks(7)).concat(), event);
        }
    }

    #[test]
    fn an_event_is_held_no_longer_than_it_may_be_that_chunk() {
        let mut unasked = Unasked::default();
        let mut push = |text: &str| String::from_utf8(unasked.push(Bytes::copy_from_slice(text.as_bytes())).to_vec()).unwrap();
        assert_eq!(push("data: {\"id\":1,\"choices\""), "", "nobody can say yet");
        assert_eq!(push(":[{\"de"), "data: {\"id\":1,\"choices\":[{\"de", "it has a choice");
        assert_eq!(push("lta\":1}]}"), "lta\":1}]}");
        assert_eq!(push("\n\ndata: [D"), "\n\ndata: [D");
        assert_eq!(push("ONE]\n"), "ONE]\n");
        assert_eq!(push("\n"), "\n");
        assert_eq!(push("data: {\"choices\":[],"), "");
        let long = "x".repeat(LONGEST);
        assert_eq!(push(&long), "data: {\"choices\":[],".to_owned() + &long, "more is not held");
        assert_eq!(push("\n\n"), "\n\n");
        assert_eq!(push("data: {\"choices\":[],\"usage\":{}}\r\n\r"), "");
        assert_eq!(push("\ndata"), "", "the line feed belonged to the event before");
        assert_eq!(push(": 1"), "data: 1");
    }

    #[test]
    fn a_frame_of_whole_events_is_not_copied() {
        let frame = Bytes::from(word("a"));
        assert_eq!(Unasked::default().push(frame.clone()).as_ptr(), frame.as_ptr());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn the_same_passes_however_the_stream_is_cut(
            events in prop::collection::vec(0..5_usize, 0..12),
            cuts in prop::collection::vec(1..60_usize, 1..30),
            end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        ) {
            let kinds = [word("a"), told(), ": ping\n\n".to_owned(), "event: x\ndata: {\"choices\":[]}\n\n".to_owned(), "data: [DONE]\n\n".to_owned()];
            let stream = |with_told: bool| -> String {
                events.iter().filter(|kind| with_told || **kind != 1).map(|kind| kinds[*kind].replace('\n', end)).collect()
            };
            let (whole, expected) = (stream(true), stream(false));
            let (mut rest, mut frames) = (whole.as_bytes(), Vec::new());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break }
                let (frame, behind) = rest.split_at((*cut).min(rest.len()));
                frames.push(frame);
                rest = behind;
            }
            prop_assert_eq!(pass(frames).concat(), expected);
        }

        #[test]
        fn no_input_makes_it_panic_or_grow(frames in prop::collection::vec(prop::collection::vec(prop::sample::select(b"\r\n:{}[]\",datchoiesug ".to_vec()), 0..40), 0..20)) {
            let mut unasked = Unasked::default();
            let mut passed = 0;
            for frame in &frames {
                passed += unasked.push(Bytes::copy_from_slice(frame)).len();
                prop_assert!(unasked.held.len() <= LONGEST);
            }
            prop_assert!(passed + unasked.finish().len() <= frames.iter().map(Vec::len).sum());
        }
    }
}
