//! Which questions share an answer, which never do, and which have none to share.

mod bypasses;
mod near_misses;
mod spellings;

use std::iter;

use super::*;

/// A key as a route makes it for somebody.
fn key_of(question: Question, body: impl AsRef<[u8]>) -> Result<Key, Bypass> {
    judged(question, body, Determinism::Any)
}

fn judged(question: Question, body: impl AsRef<[u8]>, determinism: Determinism) -> Result<Key, Bypass> {
    let facts = Facts { scope: b"client web", question, target: b"openai", path: "/chat/completions", body: body.as_ref() };
    key(&Secret::from_bytes([7; 32]), &facts, iter::empty(), determinism)
}

/// The key of a body that has one.
fn chat(body: impl AsRef<[u8]>) -> Key {
    let body = body.as_ref();
    key_of(Question::Chat, body).unwrap_or_else(|bypass| panic!("{bypass:?}: {}", body.escape_ascii()))
}

const BODY: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"Hello"}]}"#;

const FACTS: Facts<'static> =
    Facts { scope: b"client web", question: Question::Chat, target: b"openai", path: "/chat/completions", body: BODY.as_bytes() };

fn with(facts: Facts<'_>, fields: &[(&'static str, &'static str)]) -> Key {
    let fields = fields.iter().map(|(name, value)| (*name, value.as_bytes()));
    key(&Secret::from_bytes([7; 32]), &facts, fields, Determinism::Any).unwrap()
}

#[test]
fn whatever_is_known_of_a_request_makes_a_difference() {
    let keys = [
        with(FACTS, &[]),
        with(Facts { scope: b"client app", ..FACTS }, &[]),
        with(Facts { scope: b"", ..FACTS }, &[]),
        with(Facts { target: b"azure", ..FACTS }, &[]),
        with(Facts { path: "/chat/completions?x=1", ..FACTS }, &[]),
        with(Facts { path: "/chat//completions", ..FACTS }, &[]),
        with(Facts { question: Question::Completion, ..FACTS }, &[]),
        with(Facts { body: b"{}", ..FACTS }, &[]),
        with(FACTS, &[("accept", "a")]),
        with(FACTS, &[("accept", "A")]),
        with(FACTS, &[("accept", "")]),
        with(FACTS, &[("accept-encoding", "a")]),
        with(FACTS, &[("accept", "a"), ("accept-encoding", "a")]),
        with(FACTS, &[("accept", "a"), ("accept", "a")]),
        key(&Secret::from_bytes([8; 32]), &FACTS, iter::empty(), Determinism::Any).unwrap(),
    ];
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[..at].contains(key), "the one at {at} is the same as one before it");
    }
    assert_eq!(with(FACTS, &[]), keys[0]);
}

#[test]
fn nothing_moves_from_one_fact_to_the_next() {
    let same = [
        with(Facts { scope: b"ab", target: b"c", ..FACTS }, &[]),
        with(Facts { scope: b"a", target: b"bc", ..FACTS }, &[]),
        with(Facts { scope: b"abc", target: b"", ..FACTS }, &[]),
        with(Facts { scope: b"", target: b"abc", ..FACTS }, &[]),
        with(Facts { target: b"open", path: "ai/chat/completions", ..FACTS }, &[]),
        with(Facts { path: "/chat/completionsaccept", ..FACTS }, &[("", "a")]),
        with(FACTS, &[("accept", "a"), ("x", "b")]),
        with(FACTS, &[("accept", "ax"), ("", "b")]),
        with(FACTS, &[("accep", "ta"), ("x", "b")]),
        with(FACTS, &[("accept", ""), ("ax", "b")]),
    ];
    for (at, key) in same.iter().enumerate() {
        assert!(!same[..at].contains(key), "the one at {at} is the same as one before it");
    }
}

#[test]
fn each_operation_has_keys_of_its_own() {
    let keys: Vec<Key> = Question::ALL.into_iter().map(|question| key_of(question, r#"{"store":false}"#).unwrap()).collect();
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[..at].contains(key), "{:?}", Question::ALL[at]);
    }
}

#[test]
fn a_random_secret_is_another_each_time() {
    let key = |secret: &Secret| key(secret, &FACTS, iter::empty(), Determinism::Any).unwrap();
    let secret = Secret::random();
    assert_eq!(key(&secret), key(&secret));
    assert_ne!(key(&secret), key(&Secret::random()));
}

#[test]
fn neither_a_secret_nor_a_whole_key_is_printed() {
    assert_eq!(format!("{:?}", Secret::from_bytes([7; 32])), "[secret]");
    let key = Key::from_bytes([0xab; 32]);
    assert_eq!(format!("{key:?}"), "Key(abababab…)");
    assert_eq!(Key::from_bytes(*key.as_bytes()), key);
}

#[test]
fn a_key_is_the_same_in_every_build() {
    let hex: String = chat(BODY).as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "b7a449c9e8e222af4d2b2b1cb79a2cf9502f8d92cbeba551b2078e9495ffb852");
}

#[test]
fn fields_are_lowercase_and_in_order() {
    assert!(FIELDS.is_sorted());
    assert!(FIELDS.iter().all(|name| name.bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'-')));
}
