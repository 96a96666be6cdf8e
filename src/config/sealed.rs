//! Sealed texts: a secret encrypted under a master key, fit to stand in a config that others may read.
//!
//! `sealed:<id>:<payload>`. The id names the master key. The payload is base64url without padding (RFC 4648 §5) of a version
//! byte, a nonce of 96 bits, the ciphertext and the tag of 128 bits, by AES-256-GCM (NIST SP 800-38D). Version and id are
//! authenticated with it, so that neither can be exchanged. The provider is not: whoever may write the config may also give
//! a provider another `base_url`, so it would protect nothing, and a text could no longer be renamed, moved or mounted.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    rand,
};
use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, Encoding, HEXLOWER, HEXLOWER_PERMISSIVE};
use secrecy::zeroize::Zeroizing;

use crate::types::{MasterKeyId, Secret};

/// How every sealed text begins. No provider's key does.
const PREFIX: &str = "sealed:";

/// The one format there is.
const VERSION: u8 = 1;

/// The bytes of an AES-256 key.
const KEY_LENGTH: usize = 32;

/// Version, nonce and tag: what a payload has beside the secret.
const OVERHEAD: usize = 1 + NONCE_LEN + 16;

/// What a master key must be, in words for operators.
pub(super) const MASTER_KEY_FORM: &str = "give 32 random bytes as hex or base64, as `sidegate key master FILE` makes them";

/// The key that seals and opens. It is wiped on drop, and nothing prints it.
///
/// Nonces are random, which is safe for 2³² texts under one key (NIST SP 800-38D §8.3): nobody has that many.
pub struct MasterKey(Zeroizing<[u8; KEY_LENGTH]>);

impl MasterKey {
    /// A new one, from the system's source of randomness.
    ///
    /// # Errors
    ///
    /// If the system gives no randomness.
    pub fn random() -> Result<Self, String> {
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        rand::fill(&mut *key).map_err(|_| "the system gives no random bytes".to_owned())?;
        Ok(Self(key))
    }

    /// Reads it from hex or base64 (either alphabet, with or without padding); white space at the ends does not count.
    ///
    /// # Errors
    ///
    /// What is wrong, in words that hold no part of the text.
    pub fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("it is empty".to_owned());
        }
        let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit()) && text.len() != BASE64_NOPAD.encode_len(KEY_LENGTH);
        let (encoding, digits) = match hex {
            true => (HEXLOWER_PERMISSIVE, text),
            false => (base64_of(text), text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text)),
        };
        let unreadable = || "it is neither hex nor base64 text".to_owned();
        let length = encoding.decode_len(digits.len()).map_err(|_| unreadable())?;
        let mut bytes = Zeroizing::new(vec![0; length]);
        encoding.decode_mut(digits.as_bytes(), &mut bytes).map_err(|_| unreadable())?;
        let key = <[u8; KEY_LENGTH]>::try_from(bytes.as_slice()).map_err(|_| format!("it has {length} bytes, not {KEY_LENGTH}"))?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// The key as 64 hex digits.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(HEXLOWER.encode(&*self.0))
    }

    /// Encrypts `secret`; `id` is the name by which whoever opens it finds this key. No two results are alike.
    ///
    /// # Errors
    ///
    /// If the system gives no randomness, or the secret is longer than the cipher takes.
    pub fn seal(&self, id: &MasterKeyId, secret: &Secret) -> Result<String, String> {
        let mut text = Zeroizing::new(secret.expose().as_bytes().to_vec());
        let sealed = self.cipher().and_then(|cipher| cipher.seal_in_place_separate_tag(bound(VERSION, id), &mut text).ok());
        let (nonce, tag) = sealed.ok_or("the key can't be encrypted")?;
        let payload = [[VERSION].as_slice(), nonce.as_ref(), &text, tag.as_ref()].concat();
        Ok(format!("{PREFIX}{id}:{}", BASE64URL_NOPAD.encode(&payload)))
    }

    fn cipher(&self) -> Option<RandomizedNonceKey> {
        RandomizedNonceKey::new(&AES_256_GCM, &*self.0).ok()
    }
}

impl PartialEq for MasterKey {
    fn eq(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&*self.0, &*other.0).is_ok()
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// The alphabet that this text is written in.
fn base64_of(text: &str) -> Encoding {
    if text.contains(['+', '/']) { BASE64_NOPAD } else { BASE64URL_NOPAD }
}

/// What the tag vouches for beside the ciphertext.
fn bound(version: u8, id: &MasterKeyId) -> Aad<Vec<u8>> {
    Aad::from([b"sidegate sealed text\0".as_slice(), &[version], id.as_str().as_bytes()].concat())
}

/// A sealed text, read but not opened: its form is right, and who made it is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    id: MasterKeyId,
    payload: Vec<u8>,
}

/// Why a sealed text can't be opened. None of them says anything about the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unopened {
    /// It is cut off, or a character was changed: not even its form is right.
    Damaged,
    /// Its format is one that this version does not know.
    Version(u8),
    /// The tag does not fit: another master key sealed it, or a part was changed. The two can't be told apart.
    Refused,
    /// It opens, and what it holds is sealed again.
    Twice,
}

impl Sealed {
    /// Whether this text is meant to be a sealed one.
    #[must_use]
    pub fn is_sealed(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Reads a text that [`Self::is_sealed`].
    ///
    /// # Errors
    ///
    /// [`Unopened::Damaged`] or [`Unopened::Version`].
    pub fn parse(text: &str) -> Result<Self, Unopened> {
        let (id, payload) = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once(':')).ok_or(Unopened::Damaged)?;
        let id = id.parse().map_err(|_| Unopened::Damaged)?;
        let payload = BASE64URL_NOPAD.decode(payload.as_bytes()).map_err(|_| Unopened::Damaged)?;
        match payload.first() {
            // An empty secret is never sealed.
            Some(&VERSION) if payload.len() > OVERHEAD => Ok(Self { id, payload }),
            Some(&VERSION) | None => Err(Unopened::Damaged),
            Some(&version) => Err(Unopened::Version(version)),
        }
    }

    /// The name of the master key that sealed it.
    #[must_use]
    pub fn id(&self) -> &MasterKeyId {
        &self.id
    }

    /// The secret in it.
    ///
    /// # Errors
    ///
    /// [`Unopened::Refused`] or [`Unopened::Twice`].
    pub fn open(&self, key: &MasterKey) -> Result<Secret, Unopened> {
        // invariant: `parse` takes no payload that is shorter than this.
        let (nonce, text) = self.payload[1..].split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unopened::Refused)?;
        let mut text = Zeroizing::new(text.to_vec());
        let cipher = key.cipher().ok_or(Unopened::Refused)?;
        let opened = cipher.open_in_place(nonce, bound(VERSION, &self.id), &mut text).map_err(|_| Unopened::Refused)?;
        let opened = std::str::from_utf8(opened).map_err(|_| Unopened::Refused)?;
        if Self::is_sealed(opened) {
            return Err(Unopened::Twice);
        }
        // A copy of just this length: to shorten a longer one would leave another behind, unwiped.
        Ok(Secret::new(opened.to_owned()))
    }
}

#[cfg(test)]
mod tests;
