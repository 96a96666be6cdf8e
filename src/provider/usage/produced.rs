//! How much a stream has said so far, for as long as its provider has not said what that was: the lengths of the texts in its
//! events, which are neither kept nor taken for more than they are.

use std::sync::LazyLock;

use memchr::{memchr3, memmem::Finder};

use crate::{provider::reader::weight::string_length, types::RequestFormat};

/// Bytes of a token of a reply, about.
pub const BYTES_OF_A_TOKEN: u64 = 4;

/// Members of a delta whose texts a model has not written.
const NO_WORDS: [&[u8]; 7] = [b"type", b"role", b"id", b"signature", b"name", b"object", b"finish_reason"];

/// What was said until now.
#[derive(Debug)]
pub struct Produced {
    /// Finds where an event has what a model says.
    finder: &'static Finder<'static>,
    events: u64,
    bytes: u64,
}

impl Produced {
    /// For a stream in this format.
    #[must_use]
    pub fn new(format: RequestFormat) -> Self {
        static DELTA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"delta\""));
        static TEXT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"text\""));
        let finder = match format {
            RequestFormat::Openai | RequestFormat::Anthropic => &*DELTA,
            RequestFormat::Gemini => &*TEXT,
        };
        Self { finder, events: 0, bytes: 0 }
    }

    /// Takes whole events.
    pub fn events(&mut self, events: &[u8]) {
        let mut rest = events;
        while let Some(at) = self.finder.find(rest) {
            rest = &rest[at + self.finder.needle().len()..];
            let Some(value) = rest.trim_ascii_start().strip_prefix(b":") else { continue };
            let (said, behind) = said(value.trim_ascii_start());
            if said > 0 {
                self.events += 1;
                self.bytes += said;
            }
            rest = behind;
        }
    }

    /// Tokens, about. A model says at least one with each event, and as many as its texts are long.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.events.max(self.bytes.div_ceil(BYTES_OF_A_TOKEN))
    }
}

/// How many bytes of text stand in this value, and what is behind it.
fn said(value: &[u8]) -> (u64, &[u8]) {
    if !matches!(value.first(), Some(b'"' | b'{')) {
        return (0, value);
    }
    let (mut at, mut depth, mut bytes) = (0, 0_u32, 0);
    let mut name: &[u8] = b"";
    while let Some(found) = memchr3(b'"', b'{', b'}', &value[at..]) {
        at += found + 1;
        match value[at - 1] {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    break;
                }
            }
            _ => {
                let length = string_length(&value[at..]);
                let string = &value[at..at + length];
                at = (at + length + 1).min(value.len());
                if value[at..].trim_ascii_start().first() == Some(&b':') && depth > 0 {
                    name = string;
                } else if !NO_WORDS.contains(&name) {
                    bytes += length as u64;
                }
                if depth == 0 {
                    break;
                }
            }
        }
    }
    (bytes, &value[at..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use RequestFormat::{Anthropic, Gemini, Openai};

    fn tokens(format: RequestFormat, events: &[&str]) -> u64 {
        let mut produced = Produced::new(format);
        events.iter().for_each(|event| produced.events(event.as_bytes()));
        produced.tokens()
    }

    #[test]
    fn what_a_model_has_said_is_counted_and_nothing_else() {
        let chat = |delta: &str| {
            format!(
                "data: {{\"id\":\"chatcmpl-123456789\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":null}}],\"obfuscation\":\"xxxxxxxxxxxxxxxxxxxx\"}}\n\n"
            )
        };
        assert_eq!(tokens(Openai, &[&chat(r#"{"role":"assistant","content":"","refusal":null}"#)]), 0);
        assert_eq!(tokens(Openai, &[&chat(r#"{"content":"a"}"#), &chat(r#"{"content":" word"}"#), &chat("{}")]), 2);
        assert_eq!(tokens(Openai, &[&(chat(r#"{"content":"a"}"#) + &chat(r#"{"content":"b"}"#))]), 2, "two in one frame");
        assert_eq!(tokens(Openai, &[&chat(r#"{"content":"forty letters of text in only one event"}"#)]), 10);
        let call = r#"{"tool_calls":[{"index":0,"id":"call_123456","type":"function","function":{"name":"look_up_all","arguments":"{\"a\":\"b\"}"}}]}"#;
        assert_eq!(tokens(Openai, &[&chat(call)]), 4);
        let response =
            |kind: &str| format!("event: x\ndata: {{\"type\":\"response.{kind}.delta\",\"item_id\":\"msg_1\",\"delta\":\"word\"}}\n\n");
        assert_eq!(tokens(Openai, &[&response("output_text"), &response("output_text")]), 2);
        let anthropic = |delta: &str| {
            format!("event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{delta}}}\n\n")
        };
        assert_eq!(
            tokens(Anthropic, &[&anthropic(r#"{"type":"text_delta","text":"word"}"#), "event: ping\ndata: {\"type\":\"ping\"}\n\n"]),
            1
        );
        assert_eq!(tokens(Anthropic, &[&anthropic(r#"{"type":"signature_delta","signature":"EqQBCgIYAhIM1gbcDa9GJwZA"}"#)]), 0);
        let gemini = r#"data: {"candidates":[{"content":{"parts":[{"text":"eight letters in here"}],"role":"model"}}],"modelVersion":"x"}"#;
        assert_eq!(tokens(Gemini, &[gemini]), 6);
    }

    #[test]
    fn what_is_no_delta_counts_nothing() {
        for event in [
            "data: {\"delta\":null}\n\n",
            "data: {\"delta\":7,\"x\":\"long text long text\"}",
            "data: \"delta\"",
            "\"delta\":",
            "\"delta\":{",
            "\"delta\":\"",
        ] {
            assert_eq!(tokens(Openai, &[event]), 0, "{event}");
        }
    }

    proptest! {
        #[test]
        fn it_never_counts_more_than_came(words in prop::collection::vec(prop::sample::select(vec!["\"delta\"", "\"", ":", "{", "}", "\\", "text", " ", "\"content\":"]), 0..60)) {
            let event = words.concat();
            let mut produced = Produced::new(Openai);
            produced.events(event.as_bytes());
            prop_assert!(produced.bytes <= event.len() as u64 && produced.tokens() <= event.len() as u64);
        }
    }
}
