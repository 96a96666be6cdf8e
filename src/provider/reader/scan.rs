//! A first look at a body that is as bodies are: a JSON object of plain names.
//!
//! It takes a third of the time that a parser takes which also builds what it reads. Whatever it does not know for certain,
//! an escaped name, a member twice, anything that is no JSON, it leaves to that parser: what it does say, the parser says too.

use std::borrow::Cow;

use memchr::memchr2;

use super::{Members, is_like_model};

/// Deeper than any request; beyond it the parser decides.
const DEEPEST: u32 = 64;

/// Up to here a string is looked at byte by byte: most are shorter, and a call costs more.
const SHORT: usize = 16;

/// What may stand in a string of ASCII as it is.
static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        plain[byte as usize] = byte != b'"' && byte != b'\\';
        byte += 1;
    }
    plain
};

/// The members of a whole body, if it is as expected.
pub(super) fn scan(body: &[u8]) -> Option<Members<'_>> {
    let mut text = Text { bytes: body, at: 0 };
    let mut members = Members::default();
    text.skip_blanks();
    text.take(b'{')?;
    text.skip_blanks();
    if !text.takes(b'}') {
        loop {
            text.take(b'"')?;
            let name = text.plain_string()?;
            text.colon()?;
            member(&mut members, name, &mut text)?;
            text.skip_blanks();
            match text.next()? {
                b',' => text.skip_blanks(),
                b'}' => break,
                _ => return None,
            }
        }
    }
    text.skip_blanks();
    (text.at == body.len()).then_some(members)
}

fn member<'b>(members: &mut Members<'b>, name: &[u8], text: &mut Text<'b>) -> Option<()> {
    let flag = |text: &mut Text<'b>| match text.known_value()? {
        "true" => Some(Some(true)),
        "false" => Some(Some(false)),
        _ => Some(None),
    };
    let number = |text: &mut Text<'b>| Some(text.known_value()?.parse().ok());
    /// Fills a place that must be empty.
    fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
        place.replace(value).is_none().then_some(())
    }
    match name {
        b"model" => {
            let value = text.known_value()?;
            members.model_value = Some(value.as_bytes());
            let plain = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            if plain.is_some_and(|plain| plain.contains('\\')) {
                return None;
            }
            let model = plain.map(Cow::Borrowed);
            once(&mut members.model, model)
        }
        b"stream" => once(&mut members.stream, flag(text)? == Some(true)),
        b"store" => once(&mut members.store, flag(text)?),
        b"previous_response_id" => once(&mut members.earlier, text.known_value()?),
        b"conversation" => once(&mut members.conversation, text.known_value()?),
        b"container" => once(&mut members.container, text.known_value()?),
        b"max_tokens" => once(&mut members.max_tokens, number(text)?),
        b"max_completion_tokens" => once(&mut members.max_completion_tokens, number(text)?),
        b"max_output_tokens" => once(&mut members.max_output_tokens, number(text)?),
        b"background" => once(&mut members.background, flag(text)? == Some(true)),
        b"n" => once(&mut members.choices, number(text)?),
        b"stream_options" => once(&mut members.stream_options, text.known_value()?.as_bytes()),
        // The parser knows what to make of it.
        _ if is_like_model(name) => None,
        _ => text.value().map(drop),
    }
}

struct Text<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Text<'b> {
    fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn takes(&mut self, byte: u8) -> bool {
        let there = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(there);
        there
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.takes(byte).then_some(())
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn colon(&mut self) -> Option<()> {
        self.skip_blanks();
        self.take(b':')?;
        self.skip_blanks();
        Some(())
    }

    /// The rest of a string without escapes and of ASCII alone, behind its opening quotation mark.
    fn plain_string(&mut self) -> Option<&'b [u8]> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| !PLAIN[usize::from(*byte)])?;
        self.at += length;
        self.take(b'"')?;
        Some(&rest[..length])
    }

    /// Steps over the rest of a string, behind its opening quotation mark.
    fn string(&mut self) -> Option<()> {
        loop {
            let rest = &self.bytes[self.at..];
            let short = rest.iter().take(SHORT).position(|byte| !PLAIN[usize::from(*byte)]);
            let plain = match short {
                Some(plain) => plain,
                None => {
                    let plain = memchr2(b'"', b'\\', rest)?;
                    // Without an early end, so that it is done many bytes at a time.
                    if rest[..plain].iter().fold(false, |control, byte| control | (*byte < b' ')) {
                        return None;
                    }
                    plain
                }
            };
            self.at += plain;
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                byte if byte < b' ' => return None,
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.bytes.get(self.at..self.at + 4)?;
                self.at += 4;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    /// A value that is acted on, which is text.
    fn known_value(&mut self) -> Option<&'b str> {
        std::str::from_utf8(self.value()?).ok()
    }

    /// Steps over one value and whatever is in it.
    fn value(&mut self) -> Option<&'b [u8]> {
        let start = self.at;
        // One bit for each open container: whether it is an object.
        let (mut open, mut depth) = (0_u64, 0);
        loop {
            match self.next()? {
                b'"' => self.string()?,
                b'{' => {
                    self.skip_blanks();
                    if !self.takes(b'}') {
                        (open, depth) = (open << 1 | 1, depth + 1);
                        self.name()?;
                        continue;
                    }
                }
                b'[' => {
                    self.skip_blanks();
                    if !self.takes(b']') {
                        (open, depth) = (open << 1, depth + 1);
                        if depth >= DEEPEST {
                            return None;
                        }
                        continue;
                    }
                }
                b't' => self.literal(b"rue")?,
                b'f' => self.literal(b"alse")?,
                b'n' => self.literal(b"ull")?,
                first @ (b'-' | b'0'..=b'9') => self.number(first)?,
                _ => return None,
            }
            // Behind a value: the next one of its container, or the end of as many as end here.
            loop {
                if depth == 0 {
                    return Some(&self.bytes[start..self.at]);
                }
                self.skip_blanks();
                match (self.next()?, open & 1 == 1) {
                    (b',', true) => {
                        self.skip_blanks();
                        self.name()?;
                        break;
                    }
                    (b',', false) => {
                        self.skip_blanks();
                        break;
                    }
                    (b'}', true) | (b']', false) => (open, depth) = (open >> 1, depth - 1),
                    _ => return None,
                }
            }
            if depth >= DEEPEST {
                return None;
            }
        }
    }

    /// A member's name and what leads to its value.
    fn name(&mut self) -> Option<()> {
        self.take(b'"')?;
        self.plain_string()?;
        self.colon()
    }

    fn literal(&mut self, rest: &[u8]) -> Option<()> {
        let there = self.bytes[self.at..].starts_with(rest);
        self.at += rest.len();
        there.then_some(())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        self.at - start
    }

    /// The rest of a number (RFC 8259 §6). One that is too large for a parser is left to it.
    fn number(&mut self, first: u8) -> Option<()> {
        let start = self.at;
        let first = if first == b'-' { self.next().filter(u8::is_ascii_digit)? } else { first };
        if first != b'0' {
            self.digits();
        }
        if self.takes(b'.') && self.digits() == 0 {
            return None;
        }
        if self.takes(b'e') || self.takes(b'E') {
            let _signed = self.takes(b'+') || self.takes(b'-');
            if self.digits() == 0 {
                return None;
            }
        }
        (self.at - start < SHORT).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::provider::reader::parsed;

    /// What the scan says, the parser must say too; whether the scan said anything.
    fn agrees(body: &[u8]) -> bool {
        let Some(members) = scan(body) else { return false };
        assert_eq!(Ok(members.into_ask(body)), parsed(body), "{}", body.escape_ascii());
        true
    }

    #[test]
    fn plain_bodies_are_known_at_once() {
        for body in [
            r#"{"model":"gpt-4o","stream":true}"#,
            r#" { "messages" : [ { "role" : "user" , "content" : "a \"quoted\" \u00e9 word \\ and more of it" } ] , "model" : "gpt-4o" } "#,
            r#"{"temperature":0.7,"n":1,"x":-1.5e-3,"y":[],"z":{},"t":[[1,2],[null,true,false]],"store":false,"model":null}"#,
            "{}",
            r#"{"conversation":{"id":"c"},"previous_response_id":null,"stream":"yes","model":"modèle"}"#,
        ] {
            assert!(agrees(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn what_is_no_json_or_not_plain_is_left_to_the_parser() {
        for body in [
            "",
            "{",
            "[]",
            "null",
            "{}x",
            "{,}",
            r#"{"a":1,}"#,
            r#"{"a" 1}"#,
            r#"{"a":}"#,
            r#"{"a":01}"#,
            r#"{"a":1.}"#,
            r#"{"a":-}"#,
            r#"{"a":1e}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":[1}}"#,
            r#"{"a":{"b":1]}"#,
            r#"{"a":tru}"#,
            r#"{"a":'x'}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":"\x"}"#,
            r#"{"a":"\u12g4"}"#,
            r#"{"model":"a","model":"b"}"#,
            r#"{"mod\u0065l":"a"}"#,
            r#"{"Model":"a"}"#,
            r#"{"model":"\u0061"}"#,
            r#"{"modèle":1}"#,
            r#"{"a":NaN}"#,
            r#"{"a":1/**/}"#,
            "{\"a\":\"a string that is long enough for the other way \n to look\"}",
            r#"{"a":123456789012345678901234567890}"#,
        ] {
            assert!(scan(body.as_bytes()).is_none(), "{body}");
        }
        let deep = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(agrees(deep(60).as_bytes()));
        assert!(scan(deep(70).as_bytes()).is_none());
    }

    /// JSON, and what is nearly JSON.
    fn nearly_json() -> impl Strategy<Value = String> {
        let word = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"model\"",
            "\"Model\"",
            "\"stream\"",
            "\"store\"",
            "\"conversation\"",
            "\"container\"",
            "\"file_ids\"",
            "\"max_tokens\"",
            "\"stream_options\"",
            "\"n\"",
            "\"a\"",
            "\"\\u0061\"",
            "\"ü\"",
            "true",
            "false",
            "null",
            "1",
            "-0",
            "1.5e3",
            "01",
            "\"",
            "\\",
            " ",
            "\n",
            "\"x\":",
            "\"model\":\"m\"",
            "\"a string that is longer than sixteen bytes\"",
        ]);
        prop::collection::vec(word, 0..24).prop_map(|words| format!("{{{}}}", words.concat()))
    }

    fn json(depth: u32) -> BoxedStrategy<serde_json::Value> {
        use serde_json::Value;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from)
        ];
        leaf.prop_recursive(depth, 32, 5, |inner| {
            let name = prop_oneof![
                Just("model".to_owned()),
                Just("stream".to_owned()),
                Just("store".to_owned()),
                Just("conversation".to_owned()),
                Just("max_tokens".to_owned()),
                Just("max_output_tokens".to_owned()),
                Just("n".to_owned()),
                Just("stream_options".to_owned()),
                "[a-z]{0,5}",
                any::<String>()
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(name, inner, 0..5).prop_map(|members| Value::Object(members.into_iter().collect()))
            ]
        })
        .boxed()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn it_never_says_other_than_the_parser_about_json(value in json(4)) {
            agrees(value.to_string().as_bytes());
            agrees(serde_json::to_string_pretty(&value).unwrap().as_bytes());
        }

        #[test]
        fn it_never_says_other_than_the_parser_about_what_is_nearly_json(text in nearly_json()) {
            agrees(text.as_bytes());
        }

        #[test]
        fn it_never_says_other_than_the_parser_about_broken_json(value in json(3), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = value.to_string().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            agrees(&bytes);
            agrees(&bytes[..at]);
        }
    }
}
