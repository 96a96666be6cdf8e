//! Steps 4 and 7: what the caller may still have.
//!
//! Step 4 asks the limits that need no body: it comes before a byte of it is read. Step 7 asks those that turn on the model, and
//! those that count tokens and money: the last gate before money. Each step charges all of its limits or none, and when step 7
//! refuses, what step 4 has charged is given back.
//!
//! Cancel: a charge that is dropped gives its permits back; what was counted stays counted.

use smallvec::SmallVec;

use super::{
    client::{Client, Identity},
    reject::{Limited, Reject},
    standing::{Left, Standings},
};
use crate::{
    policy::limits::{self, Charge, Check, Refusal},
    runtime::{
        Limits, Runtime,
        limits::{Caller, Hasher, Rule, neighbourhood},
    },
    types::{Ask, Moment, Subnet, Unit},
};

/// What a step has charged.
#[derive(Debug, Default)]
pub struct Granted {
    /// What is settled at the end.
    pub charge: Charge,
    /// What is left.
    pub standings: Standings,
}

/// What a request is expected to use, before anybody knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected {
    /// Tokens.
    pub tokens: u64,
    /// Pico-dollars.
    pub cost: u64,
}

/// What the limits of step 7 turn on.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// What is asked for.
    pub ask: &'a Ask,
    /// Whether the operation has a model.
    pub has_model: bool,
    /// Whether its reply may tell what it used.
    pub tells_usage: bool,
    /// What it is expected to use.
    pub expected: Expected,
}

/// Step 4: the limits that need no body.
///
/// # Errors
///
/// 429 if one of them has not enough left. Nothing was charged.
pub fn first(limits: &Limits, caller: Option<&Caller<'_>>, runtime: &Runtime) -> Result<Granted, Reject> {
    match caller.filter(|_| !limits.first.is_empty()) {
        Some(caller) => take(limits, &limits.first, caller, runtime.moment(), |_| Some(1)),
        None => Ok(Granted::default()),
    }
}

/// Step 7: the limits that turn on what is asked for.
///
/// # Errors
///
/// 429 if one of them has not enough left. Nothing was charged by this step.
pub fn second(limits: &Limits, caller: &Caller<'_>, asking: Asking<'_>, runtime: &Runtime) -> Result<Granted, Reject> {
    let Asking { ask, has_model, tells_usage, expected } = asking;
    let caller = Caller { model: ask.certain_model(), ..*caller };
    take(limits, &limits.second, &caller, runtime.moment(), |rule| match rule.spec.unit() {
        _ if rule.turns_on_model && !has_model => None,
        Unit::Tokens => tells_usage.then_some(expected.tokens),
        Unit::Cost => tells_usage.then_some(expected.cost),
        Unit::Requests | Unit::Concurrent | Unit::FailedAuth => Some(1),
    })
}

/// A credential did not hold: the answer that goes down, `reject` or that there were too many.
#[must_use]
pub fn failed_auth(limits: &Limits, client: &Client, reject: Reject, runtime: &Runtime) -> Reject {
    if limits.failed_auth.is_empty() || !reject.is_failed_proof() {
        return reject;
    }
    let caller = caller(client, None, limits.hasher());
    take(limits, &limits.failed_auth, &caller, runtime.moment(), |_| Some(1)).err().unwrap_or(reject)
}

/// The caller of a request that limits of either step may apply to.
#[must_use]
pub fn limited_caller<'c>(limits: &Limits, client: &'c Client) -> Option<Caller<'c>> {
    let applies = !(limits.first.is_empty() && limits.second.is_empty());
    applies.then(|| caller(client, None, limits.hasher()))
}

/// The caller as limits tell callers apart.
#[must_use]
pub fn caller<'c>(client: &'c Client, model: Option<&'c str>, hasher: &Hasher) -> Caller<'c> {
    let subnet = client.ip.map(|ip| hasher.hash(Subnet::from(ip)));
    let who = hasher.hash(client.identity());
    Caller {
        name: client.name.as_ref().map(|name| name.as_str()),
        client: who,
        holds_key: matches!(client.identity(), Identity::Holder(_)),
        tier: client.tier.as_ref(),
        region: client.region.as_ref(),
        ip: client.ip,
        subnet,
        group: client.ip.map_or(who, |ip| hasher.hash(neighbourhood(ip))),
        session: client.session.map(|session| hasher.hash(session)),
        model,
    }
}

fn take(
    limits: &Limits,
    rules: &[Rule],
    caller: &Caller<'_>,
    now: Moment,
    amount: impl Fn(&Rule) -> Option<u64>,
) -> Result<Granted, Reject> {
    let mut checks: SmallVec<[Check<'_>; 8]> = SmallVec::new();
    for (tag, rule) in rules.iter().enumerate() {
        if let Some(amount) = amount(rule) {
            limits.checks((tag, rule), caller, amount, |check| checks.push(check));
        }
    }
    if checks.is_empty() {
        return Ok(Granted::default());
    }
    let taken = limits::acquire_of(Some(&limits.counters), &mut checks, now);
    let mut standings = Standings::default();
    for check in [Unit::Requests, Unit::Tokens].into_iter().filter_map(|unit| Some(&checks[limits::tightest(&checks, unit)?])) {
        standings.add(Left { limit: rules[check.tag].name.clone(), spec: *check.spec, standing: check.outcome.standing });
    }
    match taken {
        Ok(charge) => {
            count(rules, &checks);
            for check in checks.iter().filter(|check| check.outcome.is_over | check.outcome.standing.is_scarce()) {
                rules[check.tag].note(check, caller, now);
            }
            Ok(Granted { charge, standings })
        }
        Err(Refusal { tag, wait }) => {
            let rule = &rules[tag];
            rule.record.refuse();
            checks.iter().filter(|check| check.tag == tag && check.outcome.is_over).for_each(|check| rule.note(check, caller, now));
            Err(Reject::Limited(Box::new(Limited { limit: rule.name.clone(), spec: rule.spec, wait, standings })))
        }
    }
}

/// A rule may have several checks; it counts once.
fn count(rules: &[Rule], checks: &[Check<'_>]) {
    for (at, check) in checks.iter().enumerate() {
        let is_its = |other: &Check<'_>| other.tag == check.tag;
        if checks[..at].iter().any(is_its) {
            continue;
        }
        let record = &rules[check.tag].record;
        if checks[at..].iter().any(|other| is_its(other) && other.outcome.is_over) {
            record.shadow();
        } else {
            record.allow();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Digest;

    #[test]
    fn where_a_table_is_full_neighbours_share_a_counter_whatever_they_call_themselves() {
        let hasher = Hasher::default();
        let group = |ip: &str, session: &[u8]| {
            let client = Client { ip: ip.parse().ok(), session: Some(Digest::of(session)), ..Client::default() };
            caller(&client, None, &hasher).group
        };
        assert_eq!(group("203.0.113.7", b"one"), group("203.0.113.8", b"two"));
        assert_ne!(group("203.0.113.7", b"one"), group("203.0.114.7", b"one"));
        assert_eq!(group("2001:db8:1:2::3", b"one"), group("2001:db8:1:ffff::4", b"one"));
    }
}
