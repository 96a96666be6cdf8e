//! What a token says, once its signature holds, and what it has to say (RFC 7519 §4.1).

use std::str::FromStr;

use serde_json::{Map, Value};

use super::Refused;
use crate::{
    config::{Algorithm, Jwt},
    types::{ForeignName, Region, Tier},
};

/// What tokens have to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    issuers: Vec<String>,
    audiences: Vec<String>,
    algorithms: Vec<Algorithm>,
    client: String,
    tier: Option<String>,
    region: Option<String>,
    require_exp: bool,
    /// Seconds.
    leeway: u64,
}

impl From<&Jwt> for Rules {
    fn from(jwt: &Jwt) -> Self {
        Self {
            issuers: jwt.issuer.as_ref().map(|issuers| issuers.to_vec()).unwrap_or_default(),
            audiences: jwt.audience.to_vec(),
            algorithms: jwt.algorithms(),
            client: jwt.client_claim.clone(),
            tier: jwt.tier_claim.clone(),
            region: jwt.region_claim.clone(),
            require_exp: jwt.require_exp,
            leeway: jwt.leeway.0.as_secs(),
        }
    }
}

/// What a token that holds says of the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Who it is. Where several issuers count, `subject@issuer`: the same subject of another is somebody else.
    pub name: ForeignName,
    /// The tier that the claim names; `None` where it names none that is one.
    pub tier: Option<Tier>,
    /// The region that the claim names.
    pub region: Option<Region>,
    /// When it ends, in seconds of Unix time; `None` for never.
    pub expires: Option<u64>,
}

impl Rules {
    /// Whether tokens may be signed so.
    pub(super) fn allows(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// The first second in which it does not hold any more.
    pub(super) fn last_second(&self, verified: &Verified) -> u64 {
        verified.expires.map_or(u64::MAX, |expires| expires.saturating_add(self.leeway))
    }

    /// Reads the claims of a token whose signature holds.
    pub(super) fn read(&self, claims: &Map<String, Value>, now: u64) -> Result<Verified, Refused> {
        let expires = claims.get("exp").map(seconds).transpose()?;
        if expires.is_none() && self.require_exp {
            return Err(Refused::NoExpiry);
        }
        if expires.is_some_and(|expires| now >= expires.saturating_add(self.leeway)) {
            return Err(Refused::Expired);
        }
        let begins = claims.get("nbf").map(seconds).transpose()?;
        if begins.is_some_and(|begins| begins > now.saturating_add(self.leeway)) {
            return Err(Refused::NotYetValid);
        }
        let issuer = claims.get("iss").and_then(Value::as_str);
        if !self.issuers.is_empty() && !issuer.is_some_and(|issuer| self.issuers.iter().any(|known| known == issuer)) {
            return Err(Refused::Issuer);
        }
        if !self.is_for_us(claims.get("aud")) {
            return Err(Refused::Audience);
        }
        let named = |claim: &Option<String>| find(claims, claim.as_deref()?)?.as_str();
        Ok(Verified {
            name: self.name(claims, issuer)?,
            tier: named(&self.tier).and_then(|tier| Tier::from_str(tier).ok()),
            region: named(&self.region).and_then(|region| Region::from_str(region).ok()),
            expires,
        })
    }

    fn is_for_us(&self, audience: Option<&Value>) -> bool {
        let ours = |value: &Value| value.as_str().is_some_and(|audience| self.audiences.iter().any(|known| known == audience));
        match audience {
            Some(Value::Array(several)) => several.iter().any(ours),
            Some(one) => ours(one),
            None => false,
        }
    }

    fn name(&self, claims: &Map<String, Value>, issuer: Option<&str>) -> Result<ForeignName, Refused> {
        let client = match find(claims, &self.client) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) if !number.is_f64() => number.to_string(),
            _ => return Err(Refused::Client),
        };
        let name = match issuer.filter(|_| self.issuers.len() > 1) {
            Some(issuer) if !client.is_empty() => format!("{client}@{issuer}"),
            _ => client,
        };
        ForeignName::new(&name).ok_or(Refused::Client)
    }
}

/// A claim by its whole name, else by the path that its dots make of it.
fn find<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    claims.get(name).or_else(|| {
        let mut steps = name.split('.');
        let first = claims.get(steps.next()?)?;
        steps.try_fold(first, |value, step| value.get(step))
    })
}

/// A `NumericDate` (RFC 7519 §2), which may have a fraction.
fn seconds(value: &Value) -> Result<u64, Refused> {
    match (value.as_u64(), value.as_f64()) {
        (Some(seconds), _) => Ok(seconds),
        // What is negative or too large ends at the ends of what a `u64` can say.
        (None, Some(seconds)) => Ok(seconds as u64),
        (None, None) => Err(Refused::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_000_000;

    fn rules() -> Rules {
        Rules {
            issuers: Vec::new(),
            audiences: vec!["sidegate".to_owned(), "proxy".to_owned()],
            algorithms: Algorithm::ALL.into(),
            client: "sub".to_owned(),
            tier: Some("plan.tier".to_owned()),
            region: Some("https://example.com/region".to_owned()),
            require_exp: true,
            leeway: 30,
        }
    }

    /// A good token's claims, with some of them changed; `null` takes one out.
    fn read(rules: &Rules, changes: Value) -> Result<Verified, Refused> {
        let mut claims = json!({ "sub": "anna", "aud": "sidegate", "exp": NOW + 60, "iss": "https://a.example" });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let mut claims = claims.as_object().unwrap().clone();
        claims.retain(|_, value| !value.is_null());
        rules.read(&claims, NOW)
    }

    #[test]
    fn a_token_counts_from_its_beginning_to_its_end_give_or_take_the_leeway() {
        for (changes, refused) in [
            (json!({}), None),
            (json!({ "exp": NOW - 29 }), None),
            (json!({ "exp": NOW - 30 }), Some(Refused::Expired)),
            (json!({ "exp": NOW as f64 - 29.5 }), Some(Refused::Expired)),
            (json!({ "exp": 0 }), Some(Refused::Expired)),
            (json!({ "exp": -1 }), Some(Refused::Expired)),
            (json!({ "exp": 1e300 }), None),
            (json!({ "exp": null }), Some(Refused::NoExpiry)),
            (json!({ "exp": "9999999999" }), Some(Refused::Malformed)),
            (json!({ "exp": [NOW + 60] }), Some(Refused::Malformed)),
            (json!({ "nbf": NOW + 30 }), None),
            (json!({ "nbf": NOW + 31 }), Some(Refused::NotYetValid)),
            (json!({ "nbf": "soon" }), Some(Refused::Malformed)),
        ] {
            assert_eq!(read(&rules(), changes.clone()).err(), refused, "{changes}");
        }
        let lax = Rules { require_exp: false, ..rules() };
        assert_eq!(read(&lax, json!({ "exp": null })).unwrap().expires, None);
        assert_eq!(read(&lax, json!({ "exp": 1 })).err(), Some(Refused::Expired));
    }

    #[test]
    fn a_token_must_be_for_us_and_by_whom_the_config_names() {
        for (audience, fine) in [
            (json!("proxy"), true),
            (json!(["other", "sidegate"]), true),
            (json!(["other"]), false),
            (json!([]), false),
            (json!("Sidegate"), false),
            (json!({ "sidegate": true }), false),
            (json!([["sidegate"]]), false),
            (json!(null), false),
        ] {
            let read = read(&rules(), json!({ "aud": audience }));
            assert_eq!(read.err(), if fine { None } else { Some(Refused::Audience) }, "{audience}");
        }
        let strict = Rules { issuers: vec!["https://a.example".to_owned()], ..rules() };
        assert!(read(&strict, json!({})).is_ok());
        for issuer in [json!("https://a.example/"), json!(null), json!(["https://a.example"])] {
            assert_eq!(read(&strict, json!({ "iss": issuer })).err(), Some(Refused::Issuer), "{issuer}");
        }
    }

    #[test]
    fn client_tier_and_region_are_found_by_name_or_by_path() {
        let said = json!({ "plan": { "tier": "gold" }, "https://example.com/region": "eu" });
        let verified = read(&rules(), said).unwrap();
        assert_eq!((verified.tier.unwrap().as_str(), verified.region.unwrap().as_str()), ("gold", "eu"));
        let literal = json!({ "plan.tier": "silver", "plan": { "tier": "gold" } });
        assert_eq!(read(&rules(), literal).unwrap().tier.unwrap().as_str(), "silver");
        for odd in [json!({ "plan": "gold" }), json!({ "plan": { "tier": "not a tier" } }), json!({ "plan": { "tier": 7 } }), json!({})] {
            assert_eq!(read(&rules(), odd.clone()).unwrap().tier, None, "{odd}");
        }
        assert_eq!(read(&rules(), json!({ "sub": 7 })).unwrap().name.as_str(), "7");
        for odd in [json!(null), json!(""), json!(7.5), json!(["anna"]), json!("a\nb"), json!("x".repeat(2_049))] {
            assert_eq!(read(&rules(), json!({ "sub": odd })).err(), Some(Refused::Client), "{odd}");
        }
    }

    #[test]
    fn the_same_subject_of_another_issuer_is_somebody_else() {
        let two = Rules { issuers: vec!["https://a.example".to_owned(), "https://b.example".to_owned()], ..rules() };
        let name = |issuer: &str| read(&two, json!({ "iss": issuer })).unwrap().name.to_string();
        assert_eq!(name("https://a.example"), "anna@https://a.example");
        assert_eq!(name("https://b.example"), "anna@https://b.example");
    }
}
