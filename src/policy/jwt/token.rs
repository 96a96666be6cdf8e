//! A token in the compact form (RFC 7515 §7.1): header, claims and signature, each in base64url, with dots between.

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Refused, unique};
use crate::config::Algorithm;

/// The most bytes of a header that is looked at to tell a token from something else with two dots.
const LONGEST_HEADER: usize = 2 << 10;

/// The most bytes of a `kid`.
const LONGEST_KID: usize = 255;

/// A token whose signature was not looked at.
#[derive(Debug)]
pub(super) struct Token<'t> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    /// What the signature is over.
    pub(super) signed: &'t [u8],
    pub(super) signature: Vec<u8>,
    claims: &'t [u8],
}

/// Whether these bytes claim to be a token, well made or not: three parts in the letters of base64url, the first of them a JSON
/// object with `alg`.
pub(super) fn has_the_form(text: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Header {
        #[serde(rename = "alg")]
        _alg: serde::de::IgnoredAny,
    }

    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let Some([header, claims, signature]) = parts(text) else { return false };
    let header_fits = (1..=LONGEST_HEADER).contains(&header.len());
    if !header_fits || claims.is_empty() || ![header, claims, signature].into_iter().flatten().all(is_letter) {
        return false;
    }
    let Ok(header) = BASE64URL_NOPAD.decode(header) else { return false };
    // A member that stands twice makes it a token all the same, and one that is refused.
    match serde_json::from_slice::<Header>(&header) {
        Ok(_) => true,
        Err(_) => serde_json::from_slice::<Map<String, Value>>(&header).is_ok_and(|header| header.contains_key("alg")),
    }
}

fn parts(text: &[u8]) -> Option<[&[u8]; 3]> {
    let mut parts = text.split(|byte| *byte == b'.');
    let all = [parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(all)
}

impl<'t> Token<'t> {
    /// Reads the header. All of it may be a lie.
    ///
    /// # Errors
    ///
    /// If it is malformed, or asks for what is not understood.
    pub(super) fn read(text: &'t [u8]) -> Result<Self, Refused> {
        let [header, claims, signature] = parts(text).ok_or(Refused::Malformed)?;
        let header = object(header)?;
        if header.contains_key("crit") {
            return Err(Refused::Critical);
        }
        let algorithm = header.get("alg").and_then(Value::as_str).ok_or(Refused::Malformed)?;
        let algorithm = Algorithm::named(algorithm).ok_or(Refused::Algorithm)?;
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) if kid.len() <= LONGEST_KID => Some(kid.clone()),
            Some(_) => return Err(Refused::Malformed),
        };
        let signature = BASE64URL_NOPAD.decode(signature).map_err(|_| Refused::Malformed)?;
        let length = text.len() - text.rsplit(|byte| *byte == b'.').next().map_or(0, |part| part.len() + 1);
        Ok(Self { algorithm, kid, signed: &text[..length], signature, claims })
    }

    /// What it claims. Believe it only if the signature holds.
    ///
    /// # Errors
    ///
    /// If that is no JSON object, or one with a member twice.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, Refused> {
        object(self.claims)
    }
}

fn object(part: &[u8]) -> Result<Map<String, Value>, Refused> {
    let json = BASE64URL_NOPAD.decode(part).map_err(|_| Refused::Malformed)?;
    unique::object(&json).ok_or(Refused::Malformed)
}
