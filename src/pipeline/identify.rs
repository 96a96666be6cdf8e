//! Step 2: who calls. [`identify`] reads top to bottom:
//!
//! 1. where the request comes from (`address.rs`, `region.rs`), and which session it belongs to (`session.rs`);
//! 2. the name, by the first proof there is: a client key, a token (`jwt.rs`), the certificate of the connection. A credential that claims to be
//!    ours and is not ends it here, whatever else there is;
//! 3. the tier, by the first that says one: that proof, a trusted proxy, `clients.anonymous`.
//!
//! Who has proved nothing is a stranger, known by address; or, once step 3 has shown that the provider sees it, by the
//! provider's key that it brings ([`as_holder`]).

mod address;
pub mod jwt;
pub mod region;
mod session;

use std::str::FromStr;

use super::{
    admit::Admitted,
    client::{Client, Name},
    fields::Present,
    reject::Reject,
};
use crate::{
    config::Trust,
    provider::auth,
    runtime::{
        Regions,
        snapshot::{Clients, Stranger},
    },
    types::{Dialect, Digest, ForeignName, Region, Tier},
};

/// Our own keys start with this, so one that is not known is an error and not a stranger's habit.
const OUR_PREFIX: &[u8] = b"sg-";

/// A caller that is not let in.
#[derive(Debug)]
pub struct Unproven {
    /// Where it is, by which failures are counted. It has neither name nor tier: nobody gave it one.
    pub client: Client,
    /// The answer. [`Reject::is_failed_proof`] tells whether it presented a credential that failed, or none.
    pub reject: Reject,
}

/// What a proof says of who bears it.
#[derive(Debug)]
struct Proof {
    name: Name,
    tier: Option<Tier>,
    region: Option<Region>,
    /// The tier where a trusted proxy names none either.
    otherwise: Option<Tier>,
}

/// Finds out who calls. `certified` is what the certificate of its connection says.
///
/// # Errors
///
/// 401 for a key that claims to be ours and is not, and for strangers where they are not let in.
pub fn identify(
    request: &Admitted,
    certified: Option<&ForeignName>,
    clients: &Clients,
    (trust, regions): (&Trust, &Regions),
) -> Result<Client, Box<Unproven>> {
    let ip = address::client_ip(request, trust);
    let region = region::of(&request.claims, ip, regions);
    let session = clients.session.as_ref().and_then(|place| session::of(place, &request.head.headers, request.present));
    let client = Client { ip, region, session, ..Client::default() };
    let tier = || claimed_tier(request).or_else(|| default_tier(clients));
    match prove(request, certified, clients) {
        Ok(Some(Proof { name, tier: proved, region: said, otherwise })) => {
            let key_is_ours = matches!(name, Name::Key(_) | Name::Token(_));
            let tier = proved.or_else(|| claimed_tier(request)).or(otherwise).or_else(|| default_tier(clients));
            let region = said.or_else(|| client.region.clone());
            Ok(Client { name: Some(name), tier, region, key_is_ours, ..client })
        }
        Ok(None) => Ok(Client { tier: tier(), ..client }),
        Err(reject) => Err(Box::new(Unproven { client, reject })),
    }
}

/// The first proof there is; `None` for a stranger who is let in.
fn prove(request: &Admitted, certified: Option<&ForeignName>, clients: &Clients) -> Result<Option<Proof>, Reject> {
    let presented = Presented(request);
    if let Some(proof) = by_key(&presented, clients)? {
        return Ok(Some(proof));
    }
    if let Some(proof) = jwt::by_jwt(&presented, clients)? {
        return Ok(Some(proof));
    }
    if let Some(proof) = certified.and_then(|shown| by_certificate(shown, clients)) {
        return Ok(Some(proof));
    }
    match &clients.anonymous {
        Stranger::Denied if presented.has(|_| true) => Err(Reject::WrongKey),
        Stranger::Denied => Err(Reject::Unauthenticated),
        Stranger::Local | Stranger::Tier(_) => Ok(None),
    }
}

/// A client key of ours. Beside one that is right nothing is wrong: an SDK may send a placeholder too.
fn by_key(presented: &Presented<'_>, clients: &Clients) -> Result<Option<Proof>, Reject> {
    // Hashing costs as much as the rest of this step: only where there is something to compare with.
    let known = if clients.by_hash.is_empty() { None } else { presented.find(|key| clients.by_hash.find(key)) };
    match known {
        Some(known) => {
            Ok(Some(Proof { name: Name::Key(known.name.clone()), tier: Some(known.tier.clone()), region: None, otherwise: None }))
        }
        None if presented.has(|key| key.starts_with(OUR_PREFIX)) => Err(Reject::WrongKey),
        None => Ok(None),
    }
}

/// The certificate of the connection, where the config gives it a say.
fn by_certificate(shown: &ForeignName, clients: &Clients) -> Option<Proof> {
    let mtls = clients.mtls.as_ref()?;
    let rule = mtls.rule(shown);
    let tier = rule.and_then(|rule| rule.tier.as_ref()).or(mtls.tier.as_ref()).cloned();
    let name = match rule {
        Some(rule) => rule.client.clone().map_or_else(|| Name::Certificate(shown.clone()), Name::Rule),
        None if tier.is_some() => Name::Certificate(shown.clone()),
        None => return None,
    };
    Some(Proof { name, tier, region: None, otherwise: None })
}

/// The tier that a trusted proxy says; from others none was taken.
fn claimed_tier(request: &Admitted) -> Option<Tier> {
    request.claims.tier.as_ref().and_then(|tier| Tier::from_str(tier.to_str().ok()?).ok())
}

fn default_tier(clients: &Clients) -> Option<Tier> {
    match &clients.anonymous {
        Stranger::Tier(tier) => Some(tier.clone()),
        Stranger::Local | Stranger::Denied => None,
    }
}

/// The credentials that a request presents, in whichever form.
struct Presented<'r>(&'r Admitted);

impl<'r> Presented<'r> {
    /// Looks through all of them until `look` finds something.
    fn find<T>(&self, look: impl FnMut(&'r [u8]) -> Option<T>) -> Option<T> {
        let (head, query) = (&self.0.head, self.0.head.uri.query());
        let may = self.0.present.has(Present::ANY_KEY) || query.is_some();
        if may { auth::find_presented(&head.headers, query, look) } else { None }
    }

    fn has(&self, is_it: impl Fn(&[u8]) -> bool) -> bool {
        self.find(|key| is_it(key).then_some(())).is_some()
    }
}

/// A stranger, known by the key that it brings for a provider of this dialect.
///
/// Only where that is what every provider of its path sees: where it may come to use a key of the pool, it could invent credentials
/// and be somebody else with each. Of several credentials the one counts that such a provider reads, so that none beside it makes a difference.
#[must_use]
pub fn as_holder(client: Client, request: &Admitted, dialect: Dialect) -> Client {
    if client.name.is_some() {
        return client;
    }
    let credential = auth::presented_to(dialect, &request.head.headers, request.head.uri.query()).map(Digest::of);
    Client { credential, ..client }
}

#[cfg(test)]
mod tests;
