//! The config in the form in which requests use it: everything looked up, parsed and prepared beforehand.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use http::{HeaderName, HeaderValue};

use super::{ClientKeys, Guard, JwtIdentity, Limits, Queue, Regions, Waiting};
use crate::{
    config::{Annotate, Body, ClientKey, Config, Credentials, LastResort, Listen, ModelPattern, Mtls, Order, Trust},
    policy::{
        cache,
        key_pool::{
            self, Asked, Choice, Lease, Slot, Turn, Unavailable,
            homes::{Homes, MakerId, Whose},
        },
        pace::Pace,
        prices::{self, Prices, Tariff},
        retry::{self, Budget, When},
    },
    provider::Credential,
    telemetry::{KeyRecord, ProviderRecord, TargetMetrics},
    types::{ClientName, Dialect, Fingerprint, Moment, Money, ProviderName, RequestFormat, Tier, Usage},
    upstream::Endpoint,
};

/// One generation of the config. Immutable; a request in flight keeps its generation alive.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts up from 1 with every config that is put in force.
    pub generation: u64,
    /// Bounds on request heads.
    pub listen: Arc<Listen>,
    /// Bounds on request bodies.
    pub body: Body,
    /// What is added to replies.
    pub annotate: Annotate,
    /// Whose word about a request's origin counts.
    pub trust: Trust,
    /// Which region a request comes from.
    pub regions: Regions,
    /// Who may call.
    pub clients: Clients,
    /// Whether a route passes on the callers' own credentials.
    pub passes_credentials: bool,
    /// How much each caller may have.
    pub limits: Limits,
    /// What tokens cost.
    pub prices: Arc<Prices>,
    /// How often a request is tried again.
    pub retry: retry::Spec,
    /// All providers, also those that no route names.
    pub providers: BTreeMap<ProviderName, Arc<Provider>>,
    /// Which requests go where; the first that fits is taken.
    pub routes: Vec<Route>,
    /// The config that this was made from; it prints without secrets.
    pub config: Config,
}

/// How clients are known.
#[derive(Debug, Default)]
pub struct Clients {
    /// Clients by the hash of their key.
    pub by_hash: ClientKeys,
    /// What tokens are verified with, if they count.
    pub jwt: Option<JwtIdentity>,
    /// Which certificates name their clients, if any do.
    pub mtls: Option<Mtls>,
    /// What a caller is that has proved no name.
    pub anonymous: Stranger,
    /// Where a request names its session, if it may.
    pub session: Option<SessionIn>,
}

/// Where a request names its session.
#[derive(Clone, Debug)]
pub enum SessionIn {
    /// In a field of this name.
    Header(HeaderName),
    /// In a cookie of this name.
    Cookie(Box<str>),
}

/// A client with a key of its own.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its name.
    pub name: ClientName,
    /// Its tier.
    pub tier: Tier,
}

impl From<ClientKey> for Known {
    fn from(key: ClientKey) -> Self {
        Self { name: key.name, tier: key.tier }
    }
}

/// What a caller is that has proved no name.
#[derive(Clone, Debug, Default)]
pub enum Stranger {
    /// Let in without a tier: nobody said who may call, and only this machine can.
    #[default]
    Local,
    /// Let in with this tier.
    Tier(Tier),
    /// Refused.
    Denied,
}

/// One rule, prepared.
#[derive(Debug)]
pub struct Route {
    /// The path prefix, without a slash at its end.
    pub path: Arc<str>,
    /// The models it serves; empty for all.
    pub models: Vec<ModelPattern>,
    /// The format of its request bodies.
    pub format: RequestFormat,
    /// Whose credentials the provider sees.
    pub credentials: Credentials,
    /// Where its requests go.
    pub targets: Vec<Target>,
    /// Which of them comes first.
    pub order: Order,
    /// Whether any of them knows how many tokens its accounts may use.
    pub weighs: bool,
    /// Whether it matters to any of them how a prompt begins.
    pub has_affinity: bool,
    /// What is answered when none could.
    pub last_resort: Option<Arc<LastResort>>,
    /// What its first target is, apart from all others: whose answers are kept.
    pub identity: Box<[u8]>,
    /// How its replies are kept, if they are.
    pub cache: Option<Arc<cache::Spec>>,
}

impl Route {
    /// What stands behind this route's prefix in `path`, if the path is under it by whole segments.
    #[must_use]
    pub fn rest<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(&*self.path).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// What a request of so many tokens is to hold before it is sent to one of the targets; nothing where nobody asks for prices,
    /// `None` where the model may not be used for want of one.
    #[must_use]
    pub fn reserve(&self, model: Option<&str>, prompt: u64, output: u64) -> Option<Money> {
        prices::reserve(self.targets.iter().filter_map(|target| target.provider.tariff.as_ref()), model, prompt, output)
    }

    /// Whether it serves this model.
    #[must_use]
    pub fn serves(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|pattern| pattern.matches(model))
    }
}

/// One provider of a route.
#[derive(Debug)]
pub struct Target {
    /// The provider.
    pub provider: Arc<Provider>,
    /// Its own name for the model that it is asked for.
    pub model: Option<Arc<str>>,
    /// Whether it only stands in for others, so that no order puts it before them.
    pub stands_in: bool,
    /// When it takes over from one before it.
    pub when: When,
    /// How soon its first token came of late. It belongs to provider and model, not to this generation.
    pub pace: Arc<Pace>,
    /// It as a reply tells of it, where there are several.
    pub label: Option<HeaderValue>,
    /// The series of this route and provider.
    pub metrics: Arc<TargetMetrics>,
}

impl Target {
    /// What a thousand tokens each way cost there, by which the cheapest is found.
    #[must_use]
    pub fn price(&self, asked: Option<&str>) -> Option<Money> {
        const SAMPLE: Usage =
            Usage { input: Some(1_000), output: Some(1_000), cached: None, reasoning: None, stored: None, stored_long: None };
        let priced = self.provider.tariff.as_ref()?.price(self.model.as_deref().or(asked))?;
        priced.known.then(|| priced.price.cost(&SAMPLE))
    }
}

/// A provider, prepared.
#[derive(Debug)]
pub struct Provider {
    /// Its name.
    pub name: ProviderName,
    /// Its dialect.
    pub dialect: Dialect,
    /// Where it is.
    pub endpoint: Arc<Endpoint>,
    /// Its keys, in the order of `slots`.
    pub keys: Vec<Arc<PoolKey>>,
    /// The pool's view of the same keys.
    pub slots: Vec<Slot>,
    /// Whose turn it is among equals.
    pub turn: Arc<Turn>,
    /// Which of its accounts made what is stored there. It belongs to the provider's name, not to this generation.
    pub homes: Arc<Homes>,
    /// What is counted of it. It belongs to the provider's name, not to this generation.
    pub record: Arc<ProviderRecord>,
    /// What tokens cost there, if anybody asks.
    pub tariff: Option<Tariff>,
    /// Its breakers, unless it has none.
    pub breaker: Option<Guard>,
    /// Its places for requests at the same time, if they are bounded.
    pub queue: Option<Queue>,
    /// Where requests wait for a key.
    pub waiting: Arc<Waiting>,
    /// What retries are measured against.
    pub budget: Arc<Budget>,
    /// Whether it matters to its keys how a prompt begins.
    pub has_affinity: bool,
    /// Whether it is known how many tokens its accounts may use, so that a request is weighed.
    pub weighs: bool,
}

impl Provider {
    /// Leases the key that serves the request best.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if none can serve it now.
    pub fn lease(&self, asked: &Asked<'_>, now: Moment) -> Result<(&Arc<PoolKey>, Lease), Unavailable> {
        let lease = key_pool::acquire(&self.slots, &self.turn, asked, now)?;
        Ok((&self.keys[lease.index], lease))
    }

    /// Whether [`Self::lease`] would lease one. Takes nothing.
    #[must_use]
    pub fn could_lease(&self, asked: &Asked<'_>, now: Moment) -> bool {
        key_pool::could_acquire(&self.slots, &self.turn, asked, now)
    }

    /// Among which of its keys to choose. An object whose account has left the config is looked for as if nobody knew its
    /// maker, so that the client hears from the provider that it is not there.
    #[must_use]
    pub fn choice(&self, whose: &Whose) -> Choice {
        match whose {
            Whose::Any => Choice::Any,
            Whose::Home => Choice::Home,
            Whose::Maker(ids) => {
                let maker = |id| self.homes.find(id).and_then(|account| self.keys.iter().position(|key| key.owner == account));
                ids.iter().find_map(maker).map_or(Choice::Home, |at| Choice::Of(self.slots[at].spec.account))
            }
        }
    }

    /// Whether a key could be leased now.
    #[must_use]
    pub fn has_key(&self) -> bool {
        key_pool::is_usable(&self.slots)
    }
}

/// One key of a pool, ready for the wire.
#[derive(Debug)]
pub struct PoolKey {
    /// Its name in logs.
    pub name: Arc<str>,
    /// Its fingerprint, which tells it from others of the same provider through all generations.
    pub id: Fingerprint,
    /// The fingerprint as text and header value in one.
    pub fingerprint: HeaderValue,
    /// The account that it shares with others of its provider, by the name of the config.
    pub account: Option<Box<str>>,
    /// The account, as it is told from others of its provider through all generations.
    pub owner: MakerId,
    /// What is put on the request.
    pub credential: Credential,
    /// What it has lived through. It belongs to the key, not to this generation.
    pub record: Arc<KeyRecord>,
    /// The file that it was read from.
    pub file: Option<PathBuf>,
}
