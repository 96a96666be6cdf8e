//! No token and no key set makes their reader fail, and what nobody signed never holds.
//!
//! `cargo +nightly fuzz run jwt`

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sidegate::{
    config::{Jwt, KeySet, JwtKey},
    policy::jwt::{Rules, Verifier},
    types::Secret,
};

/// The rules of a config that takes everything that a key fits.
fn rules() -> Rules {
    let section: Jwt = serde_json::from_str(r#"{"audience":"a","require_exp":false,"secret":{"value":"as below"}}"#).expect("a section");
    Rules::from(&section)
}

/// Nothing that comes from elsewhere was signed with it.
static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let secret = Secret::new("nobody signs with this one, not even the fuzzer".to_owned());
    Verifier::new(rules(), vec![JwtKey::of_secret(&secret)], None)
});

fuzz_target!(|bytes: &[u8]| {
    assert!(!matches!(VERIFIER.examine(bytes, 0), Some(Ok(_))));
    // The first line as a key set, the rest as a token: the keys may be anybody's, so it may even hold.
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    if let Ok(set) = KeySet::read(parts.next().unwrap_or_default()) {
        assert!(!set.keys.is_empty());
        drop(Verifier::new(rules(), set.keys, None).examine(parts.next().unwrap_or_default(), 0));
    }
});
