//! A caller with a token, and the one wait that there is in this step: for a key that its issuer has only begun to use.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::time::timeout_at;

use super::{Presented, Proof, Unproven, identify};
use crate::{
    config::Trust,
    pipeline::{
        admit::Admitted,
        client::{Client, Name},
        reject::Reject,
    },
    policy::jwt::Refused,
    runtime::{Regions, snapshot::Clients},
    types::ForeignName,
};

/// How long a token waits for the fetch that may bring its key. An issuer answers in a fraction of that; and whoever makes a token
/// up holds a connection for as long, but for one fetch in a while and no longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A token, where they count. The first credential that has the form of one decides: a request that brings many costs no more than
/// one that brings one.
pub(super) fn by_jwt(presented: &Presented<'_>, clients: &Clients) -> Result<Option<Proof>, Reject> {
    let Some(tokens) = &clients.jwt else { return Ok(None) };
    let mut now = None;
    let examined = presented.find(|credential| {
        let now = *now.get_or_insert_with(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
        tokens.verifier.examine(credential, now)
    });
    let Some(verified) = examined.transpose().map_err(Reject::Jwt)? else { return Ok(None) };
    let (tier, region) = (verified.tier.clone(), verified.region.clone());
    Ok(Some(Proof { name: Name::Token(verified.name.clone()), tier, region, otherwise: tokens.tier.clone() }))
}

/// Whether a token was refused for a key that may be had by now, or soon.
#[must_use]
pub fn may_wait(unproven: &Unproven) -> bool {
    matches!(unproven.reject, Reject::Jwt(Refused::UnknownKey | Refused::NoKeys))
}

/// Finds out who calls once the issuer's keys were fetched, if they may be fetched now or are on their way; else it is refused at once.
///
/// # Errors
///
/// As [`identify`].
pub async fn identify_later(
    request: &Admitted,
    certified: Option<&ForeignName>,
    clients: &Clients,
    origin: (&Trust, &Regions),
    mut unproven: Box<Unproven>,
) -> Result<Client, Box<Unproven>> {
    let Some(issuer) = clients.jwt.as_ref().and_then(|tokens| tokens.verifier.issuer()) else { return Err(unproven) };
    let until = tokio::time::Instant::now() + PATIENCE;
    let mut may_come = true;
    while may_come && may_wait(&unproven) {
        may_come = match issuer.want(Instant::now()) {
            Some(mut fetch) => matches!(timeout_at(until, fetch.changed()).await, Ok(Ok(()))),
            None => false,
        };
        // Also where no fetch will come: another thread's may have ended since the token was looked at.
        match identify(request, certified, clients, origin) {
            Ok(client) => return Ok(client),
            Err(again) => unproven = again,
        }
    }
    Err(unproven)
}
