//! What holds for every token: one that was changed anywhere does not hold, and nobody can fill the memory with such.

use std::sync::OnceLock;

use proptest::{prelude::*, sample::Index};
use serde_json::json;
use sidegate::{
    config::{Algorithm, Jwk, Jwt, JwtKey},
    policy::jwt::{LONGEST, Refused, Rules, Verifier},
};

use super::claims;
use crate::support::{Signer, signer::unix_now};

/// Keys of three kinds, made once, and what verifies by them.
fn issuer() -> &'static (Vec<Signer>, Verifier) {
    static ISSUER: OnceLock<(Vec<Signer>, Verifier)> = OnceLock::new();
    ISSUER.get_or_init(|| {
        let signers = vec![Signer::rsa("r"), Signer::ecdsa("p", "P-256"), Signer::edwards("e")];
        let keys = signers.iter().map(|signer| key(&signer.jwk())).collect();
        let verifier = Verifier::new(Rules::from(&section()), keys, None);
        (signers, verifier)
    })
}

fn section() -> Jwt {
    serde_json::from_value(json!({ "audience": "sidegate", "tier_claim": "tier" })).unwrap()
}

fn key(jwk: &serde_json::Value) -> JwtKey {
    JwtKey::of(&serde_json::from_value::<Jwk>(jwk.clone()).unwrap()).unwrap()
}

/// The letters of base64url and the dot.
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";

#[derive(Clone, Debug)]
enum Change {
    Replace(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Swap(Index, Index),
    Cut(Index),
    Flip(Index, u32),
}

fn change() -> impl Strategy<Value = Change> {
    let letter = || prop::sample::select(LETTERS);
    let at = any::<Index>;
    prop_oneof![
        (at(), letter()).prop_map(|(at, letter)| Change::Replace(at, letter)),
        (at(), letter()).prop_map(|(at, letter)| Change::Insert(at, letter)),
        at().prop_map(Change::Remove),
        (at(), at()).prop_map(|(one, other)| Change::Swap(one, other)),
        at().prop_map(Change::Cut),
        (at(), 0..8_u32).prop_map(|(at, bit)| Change::Flip(at, bit)),
    ]
}

fn changed(token: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut token = token.to_vec();
    for change in changes.iter().filter(|_| !token.is_empty()).cloned().collect::<Vec<_>>() {
        let at = |index: Index, token: &[u8]| index.index(token.len().max(1));
        match change {
            _ if token.is_empty() => {}
            Change::Replace(index, letter) => {
                let at = at(index, &token);
                token[at] = letter;
            }
            Change::Insert(index, letter) => token.insert(at(index, &token), letter),
            Change::Remove(index) => drop(token.remove(at(index, &token))),
            Change::Swap(one, other) => {
                let (one, other) = (at(one, &token), at(other, &token));
                token.swap(one, other);
            }
            Change::Cut(index) => token.truncate(at(index, &token)),
            Change::Flip(index, bit) => {
                let at = at(index, &token);
                token[at] ^= 1 << bit;
            }
        }
    }
    token
}

proptest! {
    #[test]
    fn a_token_that_was_changed_anywhere_does_not_hold(
        which in 0..3_usize, remembered: bool, changes in prop::collection::vec(change(), 1..4),
    ) {
        let (signers, verifier) = issuer();
        let token = signers[which].token(&claims(json!({ "tier": "gold" })));
        if remembered {
            prop_assert!(verifier.examine(token.as_bytes(), unix_now()).unwrap().is_ok());
        }
        let other = changed(token.as_bytes(), &changes);
        if other != token.as_bytes() {
            let examined = verifier.examine(&other, unix_now());
            prop_assert!(!matches!(examined, Some(Ok(_))), "{}", other.escape_ascii());
        }
    }

    #[test]
    fn no_bytes_make_it_fail(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (_, verifier) = issuer();
        prop_assert!(!matches!(verifier.examine(&bytes, 0), Some(Ok(_))));
    }
}

#[test]
fn what_fails_is_not_remembered_and_what_holds_is_bounded() {
    let (signer, stranger) = (Signer::edwards("e"), Signer::edwards("e"));
    let verifier = Verifier::new(Rules::from(&section()), vec![key(&signer.jwk())], None);
    let now = unix_now();
    for n in 0..500 {
        let token = stranger.token(&claims(json!({ "sub": n.to_string() })));
        assert_eq!(verifier.examine(token.as_bytes(), now), Some(Err(Refused::Signature)));
    }
    assert_eq!(verifier.remembered(), 0);
    for n in 0..12_000 {
        let token = signer.token(&claims(json!({ "sub": n.to_string() })));
        assert!(verifier.examine(token.as_bytes(), now).unwrap().is_ok());
    }
    assert!((5_000..=10_000).contains(&verifier.remembered()), "{}", verifier.remembered());
}

#[test]
fn what_is_remembered_ends_with_the_token() {
    let signer = Signer::edwards("e");
    let verifier = Verifier::new(Rules::from(&section()), vec![key(&signer.jwk())], None);
    let now = unix_now();
    let token = signer.token(&claims(json!({ "exp": now + 10 })));
    let at = |seconds: u64| verifier.examine(token.as_bytes(), now + seconds).unwrap();
    let first = at(0).unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &at(39).unwrap()), "within the leeway, and from memory");
    assert_eq!(at(40), Err(Refused::Expired));
}

#[test]
fn a_token_is_as_long_as_the_bound_and_no_longer() {
    let signer = Signer::edwards("e");
    let verifier = Verifier::new(Rules::from(&section()), vec![key(&signer.jwk())], None);
    let of_length = |padding: usize| signer.token(&claims(json!({ "padding": "x".repeat(padding) })));
    let mut padding = 0;
    while of_length(padding + 1).len() <= LONGEST {
        padding += if of_length(padding + 100).len() <= LONGEST { 100 } else { 1 };
    }
    let now = unix_now();
    assert!(verifier.examine(of_length(padding).as_bytes(), now).unwrap().is_ok());
    assert_eq!(verifier.examine(of_length(padding + 1).as_bytes(), now), Some(Err(Refused::TooLong)));
}

#[test]
fn every_algorithm_is_known_by_its_name_alone() {
    for algorithm in Algorithm::ALL {
        assert_eq!(Algorithm::named(algorithm.name()), Some(algorithm));
        assert_eq!(Algorithm::named(&algorithm.name().to_lowercase()), None);
        assert_eq!(serde_json::to_value(algorithm).unwrap(), algorithm.name());
    }
    assert_eq!(Algorithm::named("none"), None);
}
