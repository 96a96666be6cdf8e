//! A public key as a JWK writes it (RFC 7517, RFC 7518 §6, RFC 8037 §2), and the key itself.

use std::fmt;

use aws_lc_rs::{
    digest::{Context, SHA256},
    hmac,
    signature::{self, EcdsaVerificationAlgorithm, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents},
};
use data_encoding::BASE64URL_NOPAD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::jwt::Algorithm;
use crate::types::Secret;

/// The sizes of RSA modulus that are taken, in bits. Below, RFC 7518 §3.3 forbids it; above, verifying costs an attacker's price.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A public key. Members that are not named here say nothing about how it verifies.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
pub struct Jwk {
    /// The kind: `RSA`, `EC` or `OKP`.
    pub kty: String,
    /// The name by which tokens ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The one algorithm that it is for; without it, every one that fits its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// What it is for: `sig`, where it is said.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// What may be done with it: `verify` among others, where it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_ops: Option<Vec<String>>,
    /// The curve: `P-256`, `P-384`, `P-521` or `Ed25519`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// The modulus of an RSA key, in base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// The exponent of an RSA key, in base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// The first coordinate of a point, or an Ed25519 key, in base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// The second coordinate of a point, in base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// Never: it is the private part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d: Option<PrivatePart>,
    /// Never: it is a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k: Option<PrivatePart>,
}

/// What a public key has not: there is no value of this type.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum PrivatePart {}

impl<'de> Deserialize<'de> for PrivatePart {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(de::Error::custom("this is a secret, not a part of a public key; write the public key alone, and take the other one back"))
    }
}

impl JsonSchema for PrivatePart {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PrivatePart".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "not": {} })
    }
}

/// A key that verifies tokens: for each algorithm that it may be used with, the key made ready. So the algorithm is the key's to
/// say, and never a token's alone.
#[derive(Clone)]
pub struct JwtKey {
    kid: Option<Box<str>>,
    /// Tells keys apart: a hash of all that counts of it.
    id: [u8; 32],
    ways: Vec<(Algorithm, Way)>,
}

#[derive(Clone)]
enum Way {
    Public(ParsedPublicKey),
    Secret(Box<hmac::Key>),
}

impl JwtKey {
    /// The key that verifies what was signed with this secret.
    #[must_use]
    pub fn of_secret(secret: &Secret) -> Self {
        let bytes = secret.expose().as_bytes();
        let ways = [(Algorithm::HS256, hmac::HMAC_SHA256), (Algorithm::HS384, hmac::HMAC_SHA384), (Algorithm::HS512, hmac::HMAC_SHA512)];
        let ways = ways.map(|(algorithm, hash)| (algorithm, Way::Secret(Box::new(hmac::Key::new(hash, bytes))))).into();
        Self { kid: None, id: id_of(&[b"secret", bytes]), ways }
    }

    /// The key of a JWK.
    ///
    /// # Errors
    ///
    /// If it is of another kind, for another purpose, too short, or no key at all: what is wrong; and behind a semicolon, what to write.
    pub fn of(jwk: &Jwk) -> Result<Self, String> {
        let for_signatures = jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
            && jwk.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        if !for_signatures {
            return Err("this key is not for signatures; write one whose `use` is `sig`".to_owned());
        }
        let mut ways = match jwk.kty.as_str() {
            "RSA" => rsa(jwk)?,
            "EC" => elliptic(jwk)?,
            "OKP" => edwards(jwk)?,
            "oct" => return Err("a secret is not a public key; write it below `secret`".to_owned()),
            _ => return Err("keys of this kind are not known; write one whose `kty` is `RSA`, `EC` or `OKP`".to_owned()),
        };
        if let Some(alg) = &jwk.alg {
            let only = Algorithm::named(alg);
            ways.retain(|(algorithm, _)| Some(*algorithm) == only);
            if ways.is_empty() {
                return Err("its `alg` does not go with this kind of key; correct it, or leave it out".to_owned());
            }
        }
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        let parts = [&jwk.kid, &jwk.alg, &jwk.crv, &jwk.n, &jwk.e, &jwk.x, &jwk.y].map(part);
        let parts: Vec<&[u8]> = [jwk.kty.as_bytes()].into_iter().chain(parts.iter().map(String::as_bytes)).collect();
        Ok(Self { kid: jwk.kid.as_deref().map(Into::into), id: id_of(&parts), ways })
    }

    /// The name by which tokens ask for it.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether it may be used with this algorithm.
    #[must_use]
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        self.ways.iter().any(|(way, _)| *way == algorithm)
    }

    /// Whether `signature` is this key's, by this algorithm, over `message`. A secret compares in constant time.
    #[must_use]
    pub fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.ways.iter().any(|(way, key)| {
            *way == algorithm
                && match key {
                    Way::Public(key) => key.verify_sig(message, signature).is_ok(),
                    Way::Secret(key) => hmac::verify(key, message, signature).is_ok(),
                }
        })
    }
}

impl PartialEq for JwtKey {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwtKey({:?})", self.kid)
    }
}

/// Each part with its length before it, so that no two lists make one text.
fn id_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    for part in parts {
        hash.update(&part.len().to_be_bytes());
        hash.update(part);
    }
    let mut id = [0; 32];
    id.copy_from_slice(hash.finish().as_ref());
    id
}

fn member(text: Option<&String>, name: &str) -> Result<Vec<u8>, String> {
    let text = text.ok_or_else(|| format!("this key has no `{name}`; copy the whole key"))?;
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| format!("`{name}` is not base64url; copy the whole key"))
}

fn rsa(jwk: &Jwk) -> Result<Vec<(Algorithm, Way)>, String> {
    const WAYS: [(Algorithm, &RsaParameters); 6] = [
        (Algorithm::RS256, &signature::RSA_PKCS1_2048_8192_SHA256),
        (Algorithm::RS384, &signature::RSA_PKCS1_2048_8192_SHA384),
        (Algorithm::RS512, &signature::RSA_PKCS1_2048_8192_SHA512),
        (Algorithm::PS256, &signature::RSA_PSS_2048_8192_SHA256),
        (Algorithm::PS384, &signature::RSA_PSS_2048_8192_SHA384),
        (Algorithm::PS512, &signature::RSA_PSS_2048_8192_SHA512),
    ];
    let without_zeros = |bytes: Vec<u8>| bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
    let (n, e) = (without_zeros(member(jwk.n.as_ref(), "n")?), without_zeros(member(jwk.e.as_ref(), "e")?));
    let bits = n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
    if !RSA_BITS.contains(&bits) {
        return Err(format!("an RSA key of {bits} bits is not taken; use one of {} to {} bits", RSA_BITS.start(), RSA_BITS.end()));
    }
    let parts = RsaPublicKeyComponents { n: &n, e: &e };
    let way = |(algorithm, parameters): (Algorithm, &'static RsaParameters)| {
        Some((algorithm, Way::Public(parts.to_parsed_public_key(parameters).ok()?)))
    };
    WAYS.into_iter().map(way).collect::<Option<_>>().ok_or_else(|| "`n` and `e` are no RSA key; copy the whole key".to_owned())
}

fn elliptic(jwk: &Jwk) -> Result<Vec<(Algorithm, Way)>, String> {
    let (algorithm, curve, length): (_, &EcdsaVerificationAlgorithm, _) = match jwk.crv.as_deref() {
        Some("P-256") => (Algorithm::ES256, &signature::ECDSA_P256_SHA256_FIXED, 32),
        Some("P-384") => (Algorithm::ES384, &signature::ECDSA_P384_SHA384_FIXED, 48),
        Some("P-521") => (Algorithm::ES512, &signature::ECDSA_P521_SHA512_FIXED, 66),
        _ => return Err("keys on this curve are not known; write one whose `crv` is `P-256`, `P-384` or `P-521`".to_owned()),
    };
    let (x, y) = (member(jwk.x.as_ref(), "x")?, member(jwk.y.as_ref(), "y")?);
    // Uncompressed (SEC 1 §2.3.3); each coordinate in full length (RFC 7518 §6.2.1.2).
    let point = [&[4], x.as_slice(), &y].concat();
    let whole = x.len() == length && y.len() == length;
    let key = whole.then(|| ParsedPublicKey::new(curve, point).ok()).flatten();
    let key = key.ok_or_else(|| "`x` and `y` are no point of this curve; copy the whole key".to_owned())?;
    Ok(vec![(algorithm, Way::Public(key))])
}

fn edwards(jwk: &Jwk) -> Result<Vec<(Algorithm, Way)>, String> {
    if jwk.crv.as_deref() != Some("Ed25519") {
        return Err("keys on this curve are not known; write one whose `crv` is `Ed25519`".to_owned());
    }
    let key = ParsedPublicKey::new(&signature::ED25519, member(jwk.x.as_ref(), "x")?);
    let key = key.map_err(|_| "`x` is no Ed25519 key; copy the whole key".to_owned())?;
    Ok(vec![(Algorithm::EdDSA, Way::Public(key))])
}
