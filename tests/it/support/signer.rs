//! Whoever signs tokens: an issuer with keys of every kind, or an attacker with none but his own.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{
    encoding::AsDer,
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair},
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

/// A private key and what it is called.
pub(crate) struct Signer {
    kid: Option<String>,
    key: Key,
}

enum Key {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair, &'static str),
    Edwards(Ed25519KeyPair),
    Secret(Vec<u8>),
}

impl Signer {
    pub(crate) fn rsa(kid: &str) -> Self {
        Self::called(kid, Key::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    pub(crate) fn ecdsa(kid: &str, curve: &'static str) -> Self {
        let algorithm: &'static EcdsaSigningAlgorithm = match curve {
            "P-256" => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            "P-384" => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
            "P-521" => &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
            other => panic!("{other}"),
        };
        Self::called(kid, Key::Ecdsa(EcdsaKeyPair::generate(algorithm).unwrap(), curve))
    }

    /// The quickest to make.
    pub(crate) fn edwards(kid: &str) -> Self {
        Self::called(kid, Key::Edwards(Ed25519KeyPair::generate().unwrap()))
    }

    pub(crate) fn secret(bytes: impl Into<Vec<u8>>) -> Self {
        Self { kid: None, key: Key::Secret(bytes.into()) }
    }

    fn called(kid: &str, key: Key) -> Self {
        Self { kid: Some(kid.to_owned()), key }
    }

    /// The same key under another name, or none.
    pub(crate) fn named(self, kid: Option<&str>) -> Self {
        Self { kid: kid.map(str::to_owned), ..self }
    }

    /// Its public key as a JWK.
    pub(crate) fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let mut jwk = match &self.key {
            Key::Rsa(key) => {
                let [n, e] = rsa_parts(key.public_key().as_ref());
                json!({ "kty": "RSA", "n": text(&n), "e": text(&e) })
            }
            Key::Ecdsa(key, curve) => {
                let point = &key.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({ "kty": "EC", "crv": curve, "x": text(x), "y": text(y) })
            }
            Key::Edwards(key) => json!({ "kty": "OKP", "crv": "Ed25519", "x": text(key.public_key().as_ref()) }),
            Key::Secret(_) => panic!("a secret is not published"),
        };
        jwk["use"] = "sig".into();
        if let Some(kid) = &self.kid {
            jwk["kid"] = kid.as_str().into();
        }
        jwk
    }

    /// Its public key in DER and in PEM: what an attacker may take for a secret.
    pub(crate) fn public_bytes(&self) -> Vec<Vec<u8>> {
        let Key::Rsa(key) = &self.key else { panic!("no RSA key") };
        let der = key.public_key().as_der().unwrap().as_ref().to_vec();
        let base64 = data_encoding::BASE64.encode(&der);
        let lines: Vec<_> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
        let trimmed = pem.trim_end().as_bytes().to_vec();
        vec![der, key.public_key().as_ref().to_vec(), pem.into_bytes(), trimmed, self.jwk()["n"].as_str().unwrap().into()]
    }

    /// How it signs unless it is told otherwise.
    pub(crate) fn algorithm(&self) -> &'static str {
        match &self.key {
            Key::Rsa(_) => "RS256",
            Key::Ecdsa(_, "P-256") => "ES256",
            Key::Ecdsa(_, "P-384") => "ES384",
            Key::Ecdsa(..) => "ES512",
            Key::Edwards(_) => "EdDSA",
            Key::Secret(_) => "HS256",
        }
    }

    /// A token with these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_by(self.algorithm(), claims)
    }

    pub(crate) fn token_by(&self, algorithm: &str, claims: &Value) -> String {
        let mut header = json!({ "alg": algorithm, "typ": "JWT" });
        if let Some(kid) = &self.kid {
            header["kid"] = kid.as_str().into();
        }
        self.sign(algorithm, &header.to_string(), &claims.to_string())
    }

    /// A token of exactly these texts, signed by this algorithm, whatever the header says of it.
    pub(crate) fn sign(&self, algorithm: &str, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", BASE64URL_NOPAD.encode(header.as_bytes()), BASE64URL_NOPAD.encode(claims.as_bytes()));
        let signature = self.signature(algorithm, signed.as_bytes());
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
    }

    fn signature(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Rsa(key) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "RS256" => &signature::RSA_PKCS1_SHA256,
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    other => panic!("{other}"),
                };
                let mut bytes = vec![0; key.public_modulus_len()];
                key.sign(encoding, &random, message, &mut bytes).unwrap();
                bytes
            }
            Key::Ecdsa(key, _) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Key::Edwards(key) => key.sign(message).as_ref().to_vec(),
            Key::Secret(bytes) => {
                let hash = match algorithm {
                    "HS256" => hmac::HMAC_SHA256,
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    other => panic!("{other}"),
                };
                hmac::sign(&hmac::Key::new(hash, bytes), message).as_ref().to_vec()
            }
        }
    }
}

/// The two numbers of an `RSAPublicKey` (RFC 8017 §A.1.1), without the zero before a high bit.
fn rsa_parts(der: &[u8]) -> [Vec<u8>; 2] {
    let mut rest = content(der, 0x30).0;
    [(); 2].map(|()| {
        let (number, behind) = content(rest, 0x02);
        rest = behind;
        number.iter().copied().skip_while(|byte| *byte == 0).collect()
    })
}

/// What stands in a DER element with this tag, and what behind it.
fn content(der: &[u8], tag: u8) -> (&[u8], &[u8]) {
    assert_eq!(der[0], tag);
    let (length, start) = match der[1] {
        short @ 0..=127 => (usize::from(short), 2),
        long => {
            let digits = usize::from(long & 0x7f);
            (der[2..2 + digits].iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), 2 + digits)
        }
    };
    (&der[start..start + length], &der[start + length..])
}

/// The key set of these, as an issuer publishes it.
pub(crate) fn key_set(signers: &[&Signer]) -> String {
    json!({ "keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>() }).to_string()
}

/// Seconds of Unix time.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What a good token says, with these claims changed or, by `null`, taken out.
pub(crate) fn claims(changes: Value) -> Value {
    let mut claims = json!({ "sub": "anna", "aud": "sidegate", "exp": unix_now() + 600 });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}
