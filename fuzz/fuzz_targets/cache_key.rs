//! Any body has a key or a reason why not, and one that is JSON has the same key with blanks and escapes wherever they may
//! stand, and another with one value more.
//!
//! `cargo +nightly fuzz run cache_key`

#![no_main]

use libfuzzer_sys::fuzz_target;
use sidegate::{
    config::Determinism,
    policy::cache::{Bypass, Facts, Key, Secret, key},
    types::Question,
};

fuzz_target!(|input: (u8, &[u8])| {
    let (choice, body) = input;
    let question = Question::ALL[usize::from(choice) % Question::ALL.len()];
    let determinism = if choice & 0x80 == 0 { Determinism::Any } else { Determinism::Strict };
    let key_of = |body: &[u8]| -> Result<Key, Bypass> {
        let facts = Facts { scope: b"client", question, target: b"openai", path: "/", body };
        key(&Secret::from_bytes([7; 32]), &facts, std::iter::empty(), determinism)
    };
    let Ok(known) = key_of(body) else { return };
    assert!(serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok());

    let other = rewritten(body);
    assert!(other.len() > 1 << 20 || key_of(&other) == Ok(known), "{}", other.escape_ascii());

    // It is an object: one member more, of a name that it has not.
    let mut longer = b"{\"".to_vec();
    longer.extend(std::iter::repeat_n(b'~', body.len()));
    let rest = &body.trim_ascii_start()[1..];
    let is_empty = rest.trim_ascii_start().first() == Some(&b'}');
    longer.extend_from_slice(if is_empty { b"\":0" } else { b"\":0," });
    longer.extend_from_slice(rest);
    assert_ne!(key_of(&longer), Ok(known), "{}", longer.escape_ascii());
});

/// The same JSON with blanks around every token and an escape for every plain ASCII letter of a string.
fn rewritten(body: &[u8]) -> Vec<u8> {
    let (mut other, mut in_string, mut bytes) = (Vec::new(), false, body.iter().copied());
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                in_string = !in_string;
                other.push(byte);
            }
            b'\\' => {
                let letter = bytes.next();
                let digits = if letter == Some(b'u') { 4 } else { 0 };
                other.extend([byte].into_iter().chain(letter).chain(bytes.by_ref().take(digits)));
            }
            b' '..=b'~' if in_string => other.extend(format!("\\u{byte:04X}").into_bytes()),
            b'{' | b'}' | b'[' | b']' | b',' | b':' if !in_string => other.extend([b'\n', byte, b'\t']),
            _ => other.push(byte),
        }
    }
    other
}
