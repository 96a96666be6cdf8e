//! A question letter by letter.
//!
//! Most that is asked again is asked in the same words: the same program sends it. Then its key need not be made anew, which takes
//! many times as long as a look at the bytes.

use siphasher::sip128::{Hasher128 as _, SipHasher24};
use std::hash::Hasher as _;

use super::key::{Facts, Secret};
use crate::config::Determinism;

/// What one spelling of a question is known by. It is a code of 128 bits with a secret of its own (SipHash-2-4,
/// <https://eprint.iacr.org/2012/351>): who does not know that can't look for two questions that share one, and by chance none do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Spelling(u128);

impl Spelling {
    /// Of this question, to a route that keeps such answers: of all that its key is made of, as it stands there.
    #[must_use]
    pub fn of<'a>(secret: &Secret, facts: &Facts<'a>, fields: impl Iterator<Item = (&'a str, &'a [u8])>, determinism: Determinism) -> Self {
        let Facts { scope, question, target, path, body } = *facts;
        let mut hasher = SipHasher24::new_with_key(&secret.spellings);
        // Every part says how long it is, so that none can pass for the end of one and the beginning of the next.
        let mut tell = |part: &[u8]| {
            hasher.write(&(part.len() as u64).to_le_bytes());
            hasher.write(part);
        };
        tell(&[question as u8, determinism as u8]);
        [scope, target, path.as_bytes(), body].into_iter().for_each(&mut tell);
        for (name, value) in fields {
            tell(name.as_bytes());
            tell(value);
        }
        Self(hasher.finish128().as_u128())
    }

    /// Its bytes, as good as random.
    pub(super) const fn bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::types::Question;

    #[test]
    fn whatever_differs_in_a_byte_or_in_a_place_is_another_spelling() {
        let secret = Secret::from_bytes([7; 32]);
        let facts = Facts { scope: b"ka", question: Question::Chat, target: b"t", path: "/v1", body: b"{}" };
        let fields: &[(&str, &[u8])] = &[("accept", b"a"), ("accept", b"b")];
        let of =
            |facts: &Facts<'_>, fields: &[(&str, &[u8])], determinism| Spelling::of(&secret, facts, fields.iter().copied(), determinism);
        let first = of(&facts, fields, Determinism::Any);
        assert_eq!(first, of(&facts, fields, Determinism::Any));
        assert_ne!(first, Spelling::of(&Secret::from_bytes([8; 32]), &facts, fields.iter().copied(), Determinism::Any));
        let others = [
            of(&Facts { scope: b"kb", ..facts }, fields, Determinism::Any),
            of(&Facts { scope: b"kat", target: b"", ..facts }, fields, Determinism::Any),
            of(&Facts { question: Question::Completion, ..facts }, fields, Determinism::Any),
            of(&Facts { path: "/v", body: b"1{}", ..facts }, fields, Determinism::Any),
            of(&Facts { body: b"{} ", ..facts }, fields, Determinism::Any),
            of(&facts, &fields[..1], Determinism::Any),
            of(&facts, &[("accept", b"b"), ("accept", b"a")], Determinism::Any),
            of(&facts, &[("accept", b"aaccept"), ("b", b"")], Determinism::Any),
            of(&facts, fields, Determinism::Strict),
        ];
        let all: HashSet<_> = others.into_iter().chain([first]).collect();
        assert_eq!(all.len(), others.len() + 1);
    }
}
