//! `clients.jwt` made live: what verifies tokens, and where the rest of its keys comes from.

use std::{fmt, sync::Arc};

use super::compile::Ground;
use crate::{
    config::{
        Jwt, LoadedJwt, Proxy, Roots,
        jwt::{KeySetPlace, KeySetUrl},
    },
    policy::jwt::{Rules, Verifier},
    types::{Period, Tier},
};

/// What tokens are verified with.
#[derive(Clone, Debug)]
pub struct JwtIdentity {
    /// Verifies them. It is the same in the next generation if nothing about it changes, and with it what it remembers.
    pub verifier: Arc<Verifier>,
    /// Where the issuer's key set is fetched, if it is.
    pub source: Option<Source>,
    /// The tier where neither the token nor a trusted proxy names one.
    pub tier: Option<Tier>,
}

/// Where a key set is fetched, and how often.
#[derive(Clone, PartialEq)]
pub struct Source {
    /// Its URL.
    pub url: KeySetUrl,
    /// The egress proxy on the way.
    pub proxy: Option<Proxy>,
    /// Whom to trust there.
    pub roots: Roots,
    /// How old it may get.
    pub refresh: Period,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.url)
    }
}

impl JwtIdentity {
    /// The tokens of this section. The keys of an issuer that was known before are here at once.
    #[must_use]
    pub fn new(jwt: &Jwt, loaded: LoadedJwt, ground: Ground<'_>) -> Self {
        let LoadedJwt { keys, proxy } = loaded;
        let source = match &jwt.jwks {
            Some(KeySetPlace::Url(url)) => Some(Source { url: url.clone(), proxy, roots: jwt.roots.clone(), refresh: jwt.refresh }),
            Some(KeySetPlace::File(_)) | None => None,
        };
        let issuer = source.as_ref().map(|source| ground.registry.issuer(&source.url, &source.roots));
        let rules = Rules::from(jwt);
        let before = ground.before.and_then(|before| before.clients.jwt.as_ref()).map(|before| &before.verifier);
        let verifier = match before.filter(|before| before.is_like(&rules, &keys, issuer.as_ref())) {
            Some(kept) => Arc::clone(kept),
            None => Arc::new(Verifier::new(rules, keys, issuer)),
        };
        Self { verifier, source, tier: jwt.tier.clone() }
    }
}
