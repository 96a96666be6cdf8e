//! The limits of a generation: which apply to whom, with their numbers, over counters that outlive it.

mod label;
mod view;

use std::{
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    net::IpAddr,
    sync::Arc,
};

use ipnet::IpNet;

use super::Registry;
use crate::{
    config::{self, Few, Per, When},
    policy::limits::{Check, Counters, Counting, Spec, State, Subject},
    telemetry::LimitRecord,
    types::{LimitName, Region, Subnet, Tier, Unit, subnet},
};

/// The networks around an IPv6 address that are counted with it, and how many times as much they may have: a site has a /56 or
/// a /48 (RFC 6177), and all of its /64.
const AROUND: [(u8, u64); 2] = [(56, 4), (48, 16)];

/// What makes counters the same through all generations.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LimitId {
    name: LimitName,
    unit: Unit,
    per: Box<[Per]>,
    counting: Counting,
    /// Of an IPv6 network around the subject, its prefix.
    around: Option<u8>,
}

/// One limit and one thing that it counts.
#[derive(Debug)]
pub struct Rule {
    /// The limit's name.
    pub name: LimitName,
    /// Which requests it is for.
    pub when: When,
    /// Whose requests are counted together.
    pub per: Few<Per>,
    /// Its numbers.
    pub spec: Spec,
    /// Whether it refuses nobody.
    pub shadow: bool,
    /// Whether it is only for operations that have a model.
    pub turns_on_model: bool,
    /// Its counters.
    pub state: Arc<State>,
    /// Where they stand among those of all limits.
    place: usize,
    /// Those of the networks around an IPv6 address.
    pub around: Vec<Around>,
    /// What came of its checks.
    pub record: Arc<LimitRecord>,
}

/// The networks of one size around IPv6 addresses.
#[derive(Debug)]
pub struct Around {
    prefix: u8,
    spec: Spec,
    state: Arc<State>,
}

impl Rule {
    /// Its counters, and behind them those of the networks around.
    fn states(&self) -> impl Iterator<Item = &Arc<State>> {
        std::iter::once(&self.state).chain(self.around.iter().map(|around| &around.state))
    }

    /// Whether it is for this caller's requests for this model. Where it turns on a model that nobody could read, it is: or else
    /// who hides it would be free.
    #[must_use]
    pub fn fits(&self, caller: &Caller<'_>) -> bool {
        let among = |few: &Option<Few<Tier>>| few.as_ref().is_none_or(|few| caller.tier.is_some_and(|tier| few.contains(tier)));
        among(&self.when.tier)
            && self.when.region.as_ref().is_none_or(|few| caller.region.is_some_and(|region| few.contains(region)))
            && self.when.client.as_ref().is_none_or(|few| caller.name.is_some_and(|name| few.iter().any(|one| one.as_str() == name)))
            && self.when.model.as_ref().is_none_or(|few| caller.model.is_none_or(|model| few.iter().any(|one| one.matches(model))))
    }
}

/// Who makes a request, as limits tell callers apart.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'c> {
    /// The name, of who has one.
    pub name: Option<&'c str>,
    /// Who it is, as a hash by [`Hasher::hash`].
    pub client: u64,
    /// Whether it is who it is by a provider's key that it brings.
    pub holds_key: bool,
    /// The tier.
    pub tier: Option<&'c Tier>,
    /// The region.
    pub region: Option<&'c Region>,
    /// The address.
    pub ip: Option<IpAddr>,
    /// The address or the /64 that it is in, as a hash by [`Hasher::hash`].
    pub subnet: Option<u64>,
    /// Those who are likely to be of the same network, as a hash by [`Hasher::hash`].
    pub group: u64,
    /// The session, as a hash by [`Hasher::hash`].
    pub session: Option<u64>,
    /// The model, as far as it could be read.
    pub model: Option<&'c str>,
}

/// All limits of a generation.
#[derive(Debug, Default)]
pub struct Limits {
    /// Those that are asked before a body is read.
    pub first: Vec<Rule>,
    /// Those that are asked once it is known what is asked for.
    pub second: Vec<Rule>,
    /// Those that count credentials that do not hold.
    pub failed_auth: Vec<Rule>,
    /// Whether any turns on the model.
    pub turn_on_model: bool,
    /// Whether any counts tokens or money.
    pub count_usage: bool,
    /// Those of all of them.
    pub counters: Counters,
    hasher: Hasher,
}

impl Limits {
    /// Prepares `limits`, over the counters that `registry` keeps.
    #[must_use]
    pub fn new(limits: Vec<config::Limit>, registry: &Registry) -> Self {
        let mut made = Self { hasher: registry.hasher.clone(), ..Self::default() };
        let mut counters = Vec::new();
        for limit in limits {
            for (unit, spec) in specs(&limit) {
                let rule = Rule { place: counters.len(), ..rule(&limit, spec, registry) };
                counters.extend(rule.states().cloned());
                let late = limit.turns_on_model() || matches!(unit, Unit::Tokens | Unit::Cost);
                made.turn_on_model |= limit.turns_on_model();
                made.count_usage |= matches!(unit, Unit::Tokens | Unit::Cost);
                match unit {
                    Unit::FailedAuth => made.failed_auth.push(rule),
                    _ if late => made.second.push(rule),
                    _ => made.first.push(rule),
                }
            }
        }
        made.counters = counters.into();
        made
    }

    /// All of them.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.first.iter().chain(&self.second).chain(&self.failed_auth)
    }

    /// Hashes whatever tells callers apart.
    #[must_use]
    pub fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// The checks of a rule for this caller: none where it lacks what is counted by.
    pub fn checks<'l>(&'l self, (tag, rule): (usize, &'l Rule), caller: &Caller<'_>, amount: u64, mut add: impl FnMut(Check<'l>)) {
        if !rule.fits(caller) {
            return;
        }
        let Some(subject) = self.subject(&rule.per, caller) else { return };
        let check = |beside: usize, spec, state, subject| {
            let place = Some(rule.place + beside);
            Check { shadow: rule.shadow, tag, place, ..Check::new(spec, state, subject, amount) }
        };
        add(check(0, &rule.spec, &rule.state, subject));
        if rule.around.is_empty() {
            return;
        }
        let subnet = caller.ip.map(Subnet::from);
        for (at, around) in rule.around.iter().enumerate() {
            if let Some(wider) = subnet.and_then(|subnet| subnet.wider(around.prefix)) {
                let key = self.hasher.hash(wider);
                add(check(1 + at, &around.spec, &around.state, Subject { key, group: key }));
            }
        }
    }

    /// Whose counter it is.
    #[must_use]
    pub fn subject(&self, per: &[Per], caller: &Caller<'_>) -> Option<Subject> {
        let one = |per: Per| match per {
            Per::Ip => caller.subnet,
            Per::Client => Some(caller.client),
            Per::Tier => caller.tier.map(|tier| self.hasher.hash(tier)),
            Per::Region => caller.region.map(|region| self.hasher.hash(region)),
            Per::Model => Some(self.hasher.hash(caller.model)),
            Per::Session => caller.session,
            Per::All => Some(self.hasher.hash(())),
        };
        let key = match per {
            [per] => one(*per)?,
            several => several.iter().try_fold(0, |before, per| Some(self.hasher.hash((before, one(*per)?))))?,
        };
        Some(Subject { key, group: caller.group })
    }
}

fn specs(limit: &config::Limit) -> impl Iterator<Item = (Unit, Spec)> {
    let burst = limit.burst.and_then(|burst| u64::try_from(burst.get()).ok()?.try_into().ok());
    let rate = move |unit, rate: Option<_>, burst| rate.map(|rate| (unit, Spec::rate(unit, rate, burst)));
    let permits = |most: std::num::NonZeroUsize| (Unit::Concurrent, Spec::permits(most.get() as u64));
    [
        rate(Unit::Requests, limit.requests, burst),
        rate(Unit::Tokens, limit.tokens, burst),
        limit.concurrent.map(permits),
        limit.cost.map(|cost| (Unit::Cost, Spec::cost(cost))),
        rate(Unit::FailedAuth, limit.failed_auth, None),
    ]
    .into_iter()
    .flatten()
}

fn rule(limit: &config::Limit, spec: Spec, registry: &Registry) -> Rule {
    let (unit, counting) = (spec.unit(), spec.counting());
    let id = |around| LimitId { name: limit.name.clone(), unit, per: limit.per[..].into(), counting, around };
    let counters = |spec: &Spec, around| registry.limit(id(around), spec);
    let Kept { state, record, .. } = counters(&spec, None);
    let around = |(prefix, times): (u8, u64)| {
        let spec = spec.times(times);
        Around { prefix, spec, state: counters(&spec, Some(prefix)).state }
    };
    Rule {
        name: limit.name.clone(),
        when: limit.when.clone(),
        per: limit.per.clone(),
        shadow: limit.shadow,
        turns_on_model: limit.turns_on_model(),
        state,
        place: 0,
        around: if *limit.per == [Per::Ip] { AROUND.into_iter().map(around).collect() } else { Vec::new() },
        record,
        spec,
    }
}

/// The states of a generation, for the registry.
pub(super) fn states(limits: &Limits) -> impl Iterator<Item = &Arc<State>> {
    limits.counters.iter()
}

/// The addresses that are likely to be one network's: a /24, or a /48.
pub(crate) fn neighbourhood(ip: IpAddr) -> IpAddr {
    let prefix = |ip: &IpAddr| if ip.is_ipv4() { 24 } else { 48 };
    let ip = subnet::plain(ip);
    // invariant: neither prefix is longer than its address.
    IpNet::new(ip, prefix(&ip)).map_or(ip, |net| net.network())
}

/// Hashes with a key of this process, so that nobody outside can choose whose counter he shares.
#[derive(Clone, Default)]
pub struct Hasher(RandomState);

impl Hasher {
    /// A hash of 64 bits (SipHash-1-3): among a million subjects two share one with a chance of 1 to 37 million.
    #[must_use]
    pub fn hash(&self, what: impl Hash) -> u64 {
        self.0.hash_one(what)
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

/// Counters that outlive generations, and the numbers that they were last used with.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) state: Arc<State>,
    pub(super) record: Arc<LimitRecord>,
    pub(super) spec: Spec,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn neighbours_share_a_network() {
        assert_eq!(neighbourhood(ip("203.0.113.7")), ip("203.0.113.0"));
        assert_eq!(neighbourhood(ip("::ffff:203.0.113.7")), ip("203.0.113.0"));
        assert_eq!(neighbourhood(ip("64:ff9b::203.0.113.7")), ip("203.0.113.0"));
        assert_eq!(neighbourhood(ip("2001:db8:1:2::3")), ip("2001:db8:1::"));
    }
}
