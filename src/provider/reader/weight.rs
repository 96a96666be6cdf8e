//! What a body weighs: how much of it is text, which a model's tokens are made of, and how much is pictures, sound and
//! documents, whose bytes say nothing about tokens.

use memchr::memchr2;

/// A string of at least so many bytes may be an attachment. Below it makes no difference that matters.
const LONG: usize = 4 << 10;
/// By so many of its bytes a long string shows whether it is one.
const SHOWN: usize = 256;

/// The parts of a body that tell tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Bytes that are no attachment's.
    pub text: u64,
    /// How many attachments there are: strings in base64, with or without `data:…;base64,` before them.
    pub attachments: u64,
}

/// Weighs a JSON body. Of one that is no JSON it says something, too.
#[must_use]
pub fn weigh(body: &[u8]) -> Weight {
    let mut weight = Weight { text: body.len() as u64, attachments: 0 };
    let mut at = 0;
    // What is too short to hold a long string need not be looked at.
    while body.len() - at >= LONG
        && let Some(open) = memchr::memchr(b'"', &body[at..])
    {
        let string = &body[at + open + 1..];
        let length = string_length(string);
        if length >= LONG && is_attachment(&string[..length]) {
            weight.text -= length as u64;
            weight.attachments += 1;
        }
        at = (at + open + length + 2).min(body.len());
    }
    weight
}

/// The length of a string, behind its opening quotation mark; of one that does not end, up to where it breaks off.
pub(in crate::provider) fn string_length(string: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr2(b'"', b'\\', &string[at..]) {
        if string[at + found] == b'"' {
            return at + found;
        }
        at = (at + found + 2).min(string.len());
    }
    string.len()
}

/// Base64 has no blanks, and no text is so long without one.
fn is_attachment(string: &[u8]) -> bool {
    let encoded = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_' | b'\\');
    let (front, back) = (&string[LONG / 4..LONG / 4 + SHOWN], &string[string.len() - SHOWN..]);
    front.iter().all(encoded) && back.iter().all(encoded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn attachments_are_told_from_text() {
        let picture = "iVBORw0KGgo/+A9=".repeat(1_000);
        let words = "words and more words. ".repeat(1_000);
        let chinese = "一二三四五六七八九十".repeat(1_000);
        for (text, attachments) in [
            (r#"{"model":"m"}"#.to_owned(), 0),
            (format!(r#"{{"a":"{words}","b":"{words}"}}"#), 0),
            (format!(r#"{{"a":"{chinese}"}}"#), 0),
            (format!(r#"{{"url":"data:image/png;base64,{picture}"}}"#), 1),
            (format!(r#"{{"a":"\"{words}","data":"{picture}","b":["{picture}","{words}"]}}"#), 2),
        ] {
            let weight = weigh(text.as_bytes());
            assert_eq!(weight.attachments, attachments);
            assert!(weight.text >= text.len() as u64 - attachments * (picture.len() as u64 + 30));
        }
    }

    proptest! {
        #[test]
        fn it_never_weighs_more_than_there_is(parts in prop::collection::vec((prop::sample::select(vec!["\"", "\\", "a", " ", "\\\""]), 1..6_000usize), 0..6)) {
            let body: String = parts.iter().map(|(part, times)| part.repeat(*times)).collect();
            let weight = weigh(body.as_bytes());
            prop_assert!(weight.text + weight.attachments * LONG as u64 <= body.len() as u64);
        }
    }
}
