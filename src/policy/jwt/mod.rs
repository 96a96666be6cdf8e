//! Who a signed token says the caller is (RFC 7519), and whether that may be believed.
//!
//! | what | file |
//! | --- | --- |
//! | from bytes to a header and what it signs | `token`; `unique` reads JSON without a member twice |
//! | what a token whose signature holds must say | `claims` |
//! | what was verified before | `memory` |
//! | the keys that an issuer publishes, and who may have them fetched | [`issuer`] |
//!
//! What RFC 8725 warns of can't happen: the algorithm must be one that the config allows and that the key is for, so that no token
//! can choose `none`, or take a public key for a secret; and a key comes from the config or the issuer's set, never from the token:
//! `jwk`, `jku`, `x5c` and `x5u` are not read.

mod claims;
pub mod issuer;
mod memory;
mod token;
mod unique;

use std::{fmt, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};

pub use claims::{Rules, Verified};

use self::{
    issuer::Issuer,
    memory::{Known, Memory},
    token::Token,
};
use crate::config::JwtKey;

/// The most bytes of a token. Header sections are bounded as well, by more.
pub const LONGEST: usize = 8 << 10;

/// The most keys that one token is tried with.
const MOST_TRIES: usize = 4;

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is longer than [`LONGEST`].
    TooLong,
    /// It is not what RFC 7515 and RFC 7519 describe, or can be read in two ways.
    Malformed,
    /// Its algorithm is not known, not allowed, or not what its key is for.
    Algorithm,
    /// It has extensions that have to be understood, and are not (RFC 7515 §4.1.11).
    Critical,
    /// No key has its `kid`, or fits its algorithm.
    UnknownKey,
    /// It names no key, and several could be it.
    WhichKey,
    /// The issuer's keys have never been there.
    NoKeys,
    /// Its signature does not hold.
    Signature,
    /// It does not say when it ends.
    NoExpiry,
    /// It has ended.
    Expired,
    /// It has not begun.
    NotYetValid,
    /// It is by another issuer.
    Issuer,
    /// It is for somebody else.
    Audience,
    /// It names no client.
    Client,
}

impl Refused {
    /// The word for it in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TooLong => "jwt_too_long",
            Self::Malformed => "jwt_malformed",
            Self::Algorithm => "jwt_algorithm",
            Self::Critical => "jwt_critical",
            Self::UnknownKey => "jwt_unknown_key",
            Self::WhichKey => "jwt_without_kid",
            Self::NoKeys => "jwt_no_keys",
            Self::Signature => "jwt_signature",
            Self::NoExpiry => "jwt_without_exp",
            Self::Expired => "jwt_expired",
            Self::NotYetValid => "jwt_not_yet_valid",
            Self::Issuer => "jwt_issuer",
            Self::Audience => "jwt_audience",
            Self::Client => "jwt_client",
        }
    }

    /// What its bearer is told of it, behind "This token ".
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "is longer than 8 KiB",
            Self::Malformed => "is malformed",
            Self::Algorithm => "is signed in a way that is not accepted",
            Self::Critical => "has critical extensions that are not supported",
            Self::UnknownKey => "is signed with a key that is not known",
            Self::WhichKey => "does not say which key it is signed with",
            Self::NoKeys => "can't be verified now: the keys of its issuer can't be had",
            Self::Signature => "has a signature that does not hold",
            Self::NoExpiry => "does not say when it expires",
            Self::Expired => "has expired",
            Self::NotYetValid => "is not valid yet",
            Self::Issuer => "is by another issuer",
            Self::Audience => "is for another audience",
            Self::Client => "names no client",
        }
    }
}

/// Verifies tokens by one config and remembers those that held. It is shared by all workers: what one has verified none has to
/// verify again, and the memory is bounded once. One of sixteen locks is held for a look-up.
pub struct Verifier {
    rules: Rules,
    own: Vec<Arc<JwtKey>>,
    issuer: Option<Arc<Issuer>>,
    memory: Memory,
}

impl Verifier {
    /// By these rules, with these keys and those of the issuer.
    #[must_use]
    pub fn new(rules: Rules, own: Vec<JwtKey>, issuer: Option<Arc<Issuer>>) -> Self {
        Self { rules, own: own.into_iter().map(Arc::new).collect(), issuer, memory: Memory::default() }
    }

    /// Whether it was made so. Then what it remembers still holds.
    #[must_use]
    pub fn is_like(&self, rules: &Rules, own: &[JwtKey], issuer: Option<&Arc<Issuer>>) -> bool {
        let same_issuer = match (&self.issuer, issuer) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        same_issuer && self.rules == *rules && self.own.iter().map(|key| &**key).eq(own)
    }

    /// The issuer whose key set is fetched.
    #[must_use]
    pub fn issuer(&self) -> Option<&Arc<Issuer>> {
        self.issuer.as_ref()
    }

    /// What a credential says, if it has the form of a token; `now` is in seconds of Unix time. Nothing is remembered of one that
    /// does not hold, so nobody can fill the memory with those.
    #[must_use]
    pub fn examine(&self, credential: &[u8], now: u64) -> Option<Result<Arc<Verified>, Refused>> {
        let dots = memchr::memchr_iter(b'.', credential).take(3).count();
        if dots != 2 {
            return None;
        }
        if credential.len() > LONGEST {
            return token::has_the_form(credential).then_some(Err(Refused::TooLong));
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, credential).as_ref());
        if let Some(known) = self.memory.get(&hash, now).filter(|known| self.has(&known.key)) {
            return Some(Ok(known.verified));
        }
        if !token::has_the_form(credential) {
            return None;
        }
        Some(self.verify(credential, now).map(|(key, verified)| {
            let verified = Arc::new(verified);
            let until = self.rules.last_second(&verified);
            self.memory.put(hash, Known { key, verified: Arc::clone(&verified), until });
            verified
        }))
    }

    fn verify(&self, text: &[u8], now: u64) -> Result<(Arc<JwtKey>, Verified), Refused> {
        let token = Token::read(text)?;
        if !self.rules.allows(token.algorithm) {
            return Err(Refused::Algorithm);
        }
        let published = self.issuer.as_ref().and_then(|issuer| issuer.keys());
        let keys = || self.own.iter().chain(published.iter().flat_map(|keys| keys.iter()));
        let candidates = self.candidates(&token, published.is_some(), &keys)?;
        let mut tried = candidates.into_iter().take(MOST_TRIES);
        let key = tried.find(|key| key.verifies(token.algorithm, token.signed, &token.signature)).ok_or(Refused::Signature)?;
        Ok((Arc::clone(key), self.rules.read(&token.claims()?, now)?))
    }

    /// The keys that may have signed it: those of its `kid`, else those without one, which a token need not know by name.
    fn candidates<'k, I: Iterator<Item = &'k Arc<JwtKey>>>(
        &self,
        token: &Token<'_>,
        published: bool,
        keys: &impl Fn() -> I,
    ) -> Result<Vec<&'k Arc<JwtKey>>, Refused> {
        let fitting = || keys().filter(|key| key.fits(token.algorithm));
        let found: Vec<_> = match token.kid.as_deref() {
            // OpenID Connect Core 1.0 §10.1: with several keys, the token has to name one.
            None => {
                let found: Vec<_> = fitting().take(2).collect();
                if found.len() > 1 {
                    return Err(Refused::WhichKey);
                }
                found
            }
            Some(kid) => {
                let named: Vec<_> = fitting().filter(|key| key.kid() == Some(kid)).collect();
                if named.is_empty() { fitting().filter(|key| key.kid().is_none()).collect() } else { named }
            }
        };
        if !found.is_empty() {
            return Ok(found);
        }
        let is_known = |kid| keys().any(|key| key.kid() == Some(kid));
        Err(match token.kid.as_deref() {
            Some(kid) if is_known(kid) => Refused::Algorithm,
            _ if self.issuer.is_some() && !published => Refused::NoKeys,
            _ => Refused::UnknownKey,
        })
    }

    /// Whether a key counts still.
    fn has(&self, key: &JwtKey) -> bool {
        let published = self.issuer.as_ref().and_then(|issuer| issuer.keys());
        self.own.iter().chain(published.iter().flat_map(|keys| keys.iter())).any(|held| **held == *key)
    }

    /// How many tokens are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.memory.len()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("rules", &self.rules).field("own", &self.own).finish_non_exhaustive()
    }
}
