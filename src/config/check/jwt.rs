//! `clients.jwt`: something to verify with, somebody to verify for, and keys that are keys.

use super::{Review, keys};
use crate::{
    config::{
        Config, Jwt, JwtKey, JwtSecret, KeySet, LoadedJwt, Proxy,
        jwt::KeySetPlace,
        key_set::MOST_KEYS,
        path::{FieldPath, field},
        problem::Fault,
        proxy::{self, UnfitVariable},
    },
    types::{Period, Secret},
};

/// The least bytes of a secret: as many as the hash has (RFC 7518 §3.2).
const SHORTEST_SECRET: usize = 32;

/// With a longer one, what has expired goes on for too long.
const LONGEST_LEEWAY: Period = Period::secs(600);

/// How old a key set may get. More often nobody may ask an issuer; and a day is long for a key that was taken back.
const REFRESH: (Period, Period) = (Period::secs(30), Period::secs(24 * 60 * 60));

pub(super) fn check(review: &mut Review<'_>, config: &Config) -> LoadedJwt {
    let Some(jwt) = config.clients.as_ref().and_then(|clients| clients.jwt.as_ref()) else { return LoadedJwt::default() };
    let at = field!["clients", "jwt"];
    if jwt.jwks.is_none() && jwt.keys.is_empty() && jwt.secret.is_none() && review.intact(&at) {
        let fault = Fault::new(
            "there is nothing to verify a token with",
            "add `jwks:` with the URL of the issuer's key set, `keys:`, or `secret:`",
        );
        review.name(&at, fault);
    }
    words(review, &at, jwt);
    algorithms(review, &at, jwt);
    times(review, &at, jwt);
    let mut tokens = LoadedJwt::default();
    match &jwt.jwks {
        Some(KeySetPlace::Url(_)) => tokens.proxy = on_the_way(review, &at, jwt),
        Some(KeySetPlace::File(_)) => tokens.keys = from_file(review, &at, jwt),
        None => {}
    }
    for (i, jwk) in jwt.keys.iter().enumerate() {
        let at = at.then("keys").then(i);
        match JwtKey::of(jwk) {
            Ok(key) => tokens.keys.push(key),
            Err(why) if review.intact(&at) => {
                let (message, fix) = why.split_once("; ").unwrap_or((&why, "correct it"));
                review.name(&at, Fault::new(message, fix));
            }
            Err(_) => {}
        }
    }
    if tokens.keys.len() > MOST_KEYS {
        review.name(&at, Fault::new("so many keys are no issuer's", format!("write at most {MOST_KEYS}")));
    }
    if let Some(secret) = jwt.secret.as_ref().and_then(|secret| read_secret(review, &at.then("secret"), secret)) {
        tokens.keys.push(JwtKey::of_secret(&secret));
    }
    tokens
}

/// Names that nobody could have.
fn words(review: &mut Review<'_>, at: &FieldPath, jwt: &Jwt) {
    let issuers = jwt.issuer.as_deref().unwrap_or_default();
    let listed = [("audience", &*jwt.audience), ("issuer", issuers)];
    let empty = listed.into_iter().filter(|(_, texts)| texts.iter().any(String::is_empty)).map(|(name, _)| name);
    let claims =
        [("client_claim", Some(&jwt.client_claim)), ("tier_claim", jwt.tier_claim.as_ref()), ("region_claim", jwt.region_claim.as_ref())];
    let empty: Vec<_> =
        empty.chain(claims.iter().filter(|(_, claim)| claim.is_some_and(String::is_empty)).map(|(name, _)| *name)).collect();
    for name in empty {
        review.value(&at.then(name), Fault::new("an empty text names nothing", "write the name as the issuer writes it, or leave it out"));
    }
}

fn algorithms(review: &mut Review<'_>, at: &FieldPath, jwt: &Jwt) {
    let (Some(algorithms), at) = (&jwt.algorithms, at.then("algorithms")) else { return };
    if algorithms.is_empty() && review.intact(&at) {
        review
            .value(&at, Fault::new("without an algorithm no token holds", "write those of the issuer, such as `[RS256]`, or leave it out"));
    }
    for (i, algorithm) in algorithms.iter().enumerate() {
        if algorithm.is_symmetric() && jwt.secret.is_none() {
            let fault =
                Fault::new(format!("`{}` needs the secret of the issuer", algorithm.name()), "add `secret:`, or remove this algorithm");
            review.value(&at.then(i), fault);
        }
    }
}

fn times(review: &mut Review<'_>, at: &FieldPath, jwt: &Jwt) {
    if jwt.leeway > LONGEST_LEEWAY {
        let fault = Fault::new("so far off is no clock that is looked after", format!("write at most `{LONGEST_LEEWAY}`"));
        review.value(&at.then("leeway"), fault);
    }
    let (least, most) = REFRESH;
    if !(least..=most).contains(&jwt.refresh) {
        let fault = Fault::new("a key set is fetched neither so often nor so seldom", format!("write a time from `{least}` to `{most}`"));
        review.value(&at.then("refresh"), fault);
    }
}

/// The proxy on the way to the key set; and that way must be one on which nobody can change a key.
fn on_the_way(review: &mut Review<'_>, at: &FieldPath, jwt: &Jwt) -> Option<Proxy> {
    let Some(KeySetPlace::Url(url)) = &jwt.jwks else { return None };
    let (base, at) = (&url.base, at.then("jwks"));
    if !base.tls() && base.socket().is_none() && !is_loopback(base.host()) {
        let fault = Fault::new(
            "over plain HTTP anybody on the way could put in keys of his own",
            "begin with `https://`; `http://` is for this machine alone",
        );
        review.value(&at, fault);
    }
    match proxy::from_environment(review.environment, base) {
        Ok(proxy) => proxy,
        Err(UnfitVariable { name, problem }) => {
            let (problem, fix) = problem.split_once("; ").unwrap_or((&problem, "correct it"));
            review.value(&at, Fault::new(format!("the environment variable `{name}` can't be followed: {problem}"), fix));
            None
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn from_file(review: &mut Review<'_>, at: &FieldPath, jwt: &Jwt) -> Vec<JwtKey> {
    let Some(KeySetPlace::File(path)) = &jwt.jwks else { return Vec::new() };
    let at = at.then("jwks");
    let Some(text) = keys::from_file(review, &at, path) else { return Vec::new() };
    match KeySet::read(text.as_bytes()) {
        Ok(set) => set.keys,
        Err(why) => {
            let fault =
                Fault::new(format!("the file `{}` is no key set: {why}", path.display()), "write `{\"keys\": […]}` with public keys");
            review.value(&at, fault);
            Vec::new()
        }
    }
}

fn read_secret(review: &mut Review<'_>, at: &FieldPath, source: &JwtSecret) -> Option<Secret> {
    if !review.intact(at) {
        return None;
    }
    let (field, text) = match (&source.env, &source.file, &source.value) {
        (Some(name), None, None) => ("env", keys::variable(review, &at.then("env"), name)?),
        (None, Some(file), None) => ("file", keys::from_file(review, &at.then("file"), file)?),
        (None, None, Some(value)) => ("value", value.0.expose().to_owned().into()),
        (None, None, None) => {
            review.name(at, Fault::new("this secret has no source", "add one of `env:`, `file:` and `value:`"));
            return None;
        }
        _ => {
            review.name(at, Fault::new("this secret has more than one source", "keep one of `env`, `file` and `value`"));
            return None;
        }
    };
    let at = at.then(field);
    let secret = keys::opened(review, &at, field, ("secret", text))?;
    if secret.expose().len() < SHORTEST_SECRET {
        let fault = Fault::new(
            format!("a secret of fewer than {SHORTEST_SECRET} bytes can be found by trying, given one token"),
            "let the issuer sign with a longer one, such as `openssl rand -base64 48` makes",
        );
        review.value(&at, fault);
        return None;
    }
    Some(secret)
}
