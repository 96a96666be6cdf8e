//! A set of public keys as issuers publish it (RFC 7517 §5).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Jwk, JwtKey};

/// The most keys of a set. Issuers have two or three.
pub const MOST_KEYS: usize = 100;

/// A key set that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct KeySet {
    /// The keys that can be used.
    pub keys: Vec<JwtKey>,
    /// How many can't.
    pub skipped: usize,
}

impl KeySet {
    /// Reads a set. A key that can't be used is passed over, as RFC 7517 §5 asks for: an issuer may have others beside.
    ///
    /// # Errors
    ///
    /// If it is no set, has more than [`MOST_KEYS`], or none that can be used.
    pub fn read(json: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Written<'s> {
            #[serde(borrow)]
            keys: Vec<&'s RawValue>,
        }

        let written: Written<'_> =
            serde_json::from_slice(json).map_err(|error| format!("it is no JSON object with a list of `keys` (line {})", error.line()))?;
        let all = written.keys.len();
        if all > MOST_KEYS {
            return Err(format!("it has {all} keys, and more than {MOST_KEYS} are no issuer's"));
        }
        let (mut keys, mut first) = (Vec::new(), None);
        for text in written.keys {
            // What serde would say may repeat a member's value.
            let jwk = serde_json::from_str::<Jwk>(text.get()).map_err(|_| "a member is missing, of another type, written twice, or secret");
            match jwk.map_err(str::to_owned).and_then(|jwk| JwtKey::of(&jwk)) {
                Ok(key) => keys.push(key),
                Err(why) => first = first.or(Some(why)),
            }
        }
        match (keys.is_empty(), first) {
            (true, Some(why)) => Err(format!("it has no key that can be used: {}", why.split("; ").next().unwrap_or_default())),
            (true, None) => Err("it has no key".to_owned()),
            (false, _) => Ok(Self { skipped: all - keys.len(), keys }),
        }
    }
}
