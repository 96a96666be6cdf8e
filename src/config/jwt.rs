//! `clients.jwt`: callers for whom an issuer vouches with signed tokens (RFC 7519).

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use http::{Uri, uri::PathAndQuery};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BaseUrl, Few, Jwk, Roots, SecretText};
use crate::types::{Period, Tier, as_text};

/// Callers with a signed token. Where this is written, every credential that has the form of a token must be one that holds.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// The issuer's key set: a URL that is fetched and kept up to date, or `file:` and the path of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<KeySetPlace>,
    /// Public keys that are written here, each a JWK (RFC 7517).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Jwk>,
    /// The secret that the issuer signs with, for `HS256`, `HS384` and `HS512`: at least 32 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<JwtSecret>,
    /// Whose tokens count: one `iss`, or a list. Without it, everybody's whose key is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Few<String>>,
    /// For whom a token must be: one `aud`, or a list of which it has to name one.
    pub audience: Few<String>,
    /// The claim that names the client. Here and below, `a.b` is the member `b` of the claim `a`, unless a claim is called `a.b`.
    #[serde(default = "sub")]
    pub client_claim: String,
    /// The claim that names the tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier_claim: Option<String>,
    /// The claim that names the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region_claim: Option<String>,
    /// The tier where the claim names none; else it is that of `anonymous`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// How tokens may be signed. By default with every public key algorithm, and with `secret` where that is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithms: Option<Vec<Algorithm>>,
    /// Whether a token must say when it ends. One that does not is good for ever.
    #[serde(default = "yes")]
    pub require_exp: bool,
    /// How far the issuer's clock may be off.
    #[serde(default = "leeway")]
    pub leeway: Period,
    /// How old a key set that was fetched may get. A shorter `max-age` of the issuer's counts, down to 30 s.
    #[serde(default = "refresh")]
    pub refresh: Period,
    /// The certificates that are trusted when the key set is fetched: `bundled`, `system`, or the path of a PEM file.
    #[serde(default)]
    pub roots: Roots,
}

impl Jwt {
    /// How tokens may be signed.
    #[must_use]
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let fitting = |algorithm: &Algorithm| !algorithm.is_symmetric() || self.secret.is_some();
        let default = || Algorithm::ALL.into_iter().filter(fitting).collect();
        self.algorithms.clone().unwrap_or_else(default)
    }

    /// Makes every path independent of where the config stands.
    pub(super) fn start_paths_from(&mut self, directory: &Path) {
        let set = if let Some(KeySetPlace::File(path)) = &mut self.jwks { Some(path) } else { None };
        let secret = self.secret.as_mut().and_then(|secret| secret.file.as_mut());
        let roots = if let Roots::File(path) = &mut self.roots { Some(path) } else { None };
        [set, secret, roots].into_iter().flatten().for_each(|path| *path = directory.join(&*path));
    }
}

/// Where the issuer's secret comes from: one of `env`, `file` and `value`. Its bytes are taken as they are, less line ends behind them.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwtSecret {
    /// An environment variable that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// A file that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The secret itself, meant for `${VAR}`, or sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<SecretText>,
}

/// Where a key set is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySetPlace {
    /// At a URL.
    Url(KeySetUrl),
    /// In a file.
    File(PathBuf),
}

/// The URL of a key set. Unlike a [`BaseUrl`] it may have a query, and its path is sent as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeySetUrl {
    /// Scheme, host and port.
    pub base: BaseUrl,
    /// Path and query, byte for byte.
    pub path: PathAndQuery,
}

impl FromStr for KeySetPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("file:") {
            return match path {
                "" => Err("`file:` has no path behind it; write `file:keys.json`".to_owned()),
                path => Ok(Self::File(path.into())),
            };
        }
        if !text.contains(':') {
            return Err(format!("`{text}` is no place of a key set; write `https://…`, or `file:` before the path of a file"));
        }
        let base: BaseUrl = text.split(['?', '#']).next().unwrap_or_default().parse()?;
        let whole = || text.parse::<Uri>().ok().filter(|_| !text.contains('#'))?.into_parts().path_and_query;
        let path = match base.socket() {
            Some(_) => PathAndQuery::from_str(if base.path().is_empty() { "/" } else { base.path() }).ok(),
            None => whole(),
        };
        let path = path.ok_or("the path of this URL can't be sent; write one such as `https://issuer/.well-known/jwks.json`")?;
        Ok(Self::Url(KeySetUrl { base, path }))
    }
}

impl fmt::Display for KeySetPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Url(url) => fmt::Display::fmt(url, f),
        }
    }
}

impl fmt::Display for KeySetUrl {
    /// Without the value of a query: it may hold a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.base.socket(), self.path.query()) {
            (Some(_), _) => fmt::Display::fmt(&self.base, f),
            (None, query) => {
                let behind = if query.is_some() { "?…" } else { "" };
                write!(f, "{}://{}{}{behind}", self.base.scheme(), self.base.authority(), self.path.path())
            }
        }
    }
}

as_text!(KeySetPlace, "KeySetPlace", {
    "pattern": "^(https?://|unix:/|file:)", "examples": ["https://issuer.example.com/.well-known/jwks.json", "file:keys.json"]
});

/// An algorithm of RFC 7518 §3.1 or RFC 8037 §3.1, by its `alg`. `none` is none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are those of the standard")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    EdDSA,
    HS256,
    HS384,
    HS512,
}

impl Algorithm {
    /// All that can be verified.
    pub const ALL: [Self; 13] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::EdDSA,
        Self::HS256,
        Self::HS384,
        Self::HS512,
    ];

    /// The one that a token or key calls so; `Ed25519` is the name that RFC 9864 gives to EdDSA with that curve.
    #[must_use]
    pub fn named(alg: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == alg).or((alg == "Ed25519").then_some(Self::EdDSA))
    }

    /// Its `alg`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDSA => "EdDSA",
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
        }
    }

    /// Whether who verifies could sign as well.
    #[must_use]
    pub fn is_symmetric(self) -> bool {
        matches!(self, Self::HS256 | Self::HS384 | Self::HS512)
    }
}

fn sub() -> String {
    "sub".to_owned()
}

fn yes() -> bool {
    true
}

fn leeway() -> Period {
    Period::secs(30)
}

fn refresh() -> Period {
    Period::secs(600)
}
