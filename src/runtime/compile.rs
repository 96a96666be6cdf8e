//! From plain data to a [`Snapshot`]. Whatever can fail fails here, before anything is put in force.

use std::{collections::BTreeMap, fmt, sync::Arc};

use http::{HeaderName, HeaderValue};

use super::{
    Guard, JwtIdentity, Limits, Queue, Regions, Registry,
    registry::{AccountId, KeyStates, ProviderStates},
    resilience,
    snapshot::{Clients, Known, PoolKey, Provider, Route, SessionIn, Snapshot, Stranger, Target},
};
use crate::{
    config::{self, Affinity, Anonymous, Cache, Config, Credentials, Key, Loaded, LoadedJwt, Order, Proxy, SessionField},
    policy::{
        cache,
        key_pool::{self, Slot, homes::MakerId},
        prices::Prices,
        retry::When,
    },
    provider::Credential,
    telemetry::{Metrics, ModelLabels, ProviderRecord, metrics::ProviderMetrics},
    types::{ProviderName, Rate},
    upstream::{
        Endpoint,
        endpoint::{How, Observer},
        tls::EndpointTls,
    },
};

/// Why a config that reads well can't be put in force.
#[derive(Debug)]
pub struct CompileError {
    /// The field, as a path.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

impl std::error::Error for CompileError {}

/// What a generation is made with.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'g> {
    /// Where its series are.
    pub metrics: &'g Metrics,
    /// The states that outlive generations.
    pub registry: &'g Registry,
    /// The generation before, whose connections are kept where nothing about them has changed.
    pub before: Option<&'g Snapshot>,
}

/// Prepares a checked config for requests, as the generation after the one in `ground`. Nothing that is in force is touched.
///
/// # Errors
///
/// If roots can't be read, or a host or key can't be put on the wire.
pub fn compile(loaded: Loaded, ground: Ground<'_>) -> Result<Snapshot, CompileError> {
    let Loaded { config, mut keys, mut proxies, jwt, prices: file, files: _, origin: _ } = loaded;
    // Named one by one, so that a new section can't be forgotten here. Names are looked up for all generations alike; what is
    // told of requests, and where, is read from the config itself.
    let Config {
        require_end: _,
        listen,
        admin: _,
        autoscaling: _,
        trust,
        body,
        annotate,
        log: _,
        trace: _,
        dns: _,
        drain: _,
        sealing: _,
        metrics: _,
        prices,
        providers,
        routes,
        retry,
        regions,
        clients,
        limits,
        cache: _,
    } = config.clone();
    let listen = Arc::new(listen);
    let limited = limits.iter().any(|limit| limit.cost.is_some()) || routes.iter().any(|route| route.order == Order::Cheapest);
    let prices = Arc::new(Prices::new(prices.as_ref(), file, limited));
    let providers = providers
        .into_iter()
        .map(|(name, provider)| {
            let named = (keys.remove(&name).unwrap_or_default(), proxies.remove(&name));
            Ok((name.clone(), Arc::new(compile_provider(name, provider, named, (listen.keep_case, &prices, ground))?)))
        })
        .collect::<Result<BTreeMap<_, _>, CompileError>>()?;
    let routes = routes.into_iter().enumerate().map(|(at, route)| compile_route(at, route, &providers, (&config, ground)));
    let routes = routes.collect::<Result<Vec<_>, _>>()?;
    let passes_credentials = routes.iter().any(|route| route.credentials == Credentials::Client);
    let clients = clients.map(|clients| compile_clients(clients, jwt, ground)).transpose()?.unwrap_or_default();
    let regions = Regions::new(&regions, ground.before.map(|before| &before.regions), ground.metrics)
        .map_err(|problem| CompileError { field: "regions.geoip.database".to_owned(), problem })?;
    let limits = Limits::new(limits, ground.registry);
    let generation = ground.before.map_or(0, |before| before.generation) + 1;
    Ok(Snapshot {
        generation,
        listen,
        body,
        annotate,
        trust,
        regions,
        clients,
        passes_credentials,
        limits,
        prices,
        retry: resilience::retry(&retry),
        providers,
        routes,
        config,
    })
}

fn compile_provider(
    name: ProviderName,
    provider: config::Provider,
    (keys, proxy): (Vec<Key>, Option<Proxy>),
    (keep_case, prices, ground): (bool, &Arc<Prices>, Ground<'_>),
) -> Result<Provider, CompileError> {
    let error = |field: &str, problem: String| CompileError { field: format!("providers.{name}.{field}"), problem };
    let dialect = provider.dialect;
    let url = provider.base_url().ok_or_else(|| error("base_url", "missing".to_owned()))?;
    let tariff = prices.of_provider(dialect, url.host());
    let how = How { url, proxy, version: provider.http_version, timeouts: provider.timeouts, bounds: provider.connections, keep_case };
    let (breaker, queue, has_affinity) = (provider.breaker, provider.queue, provider.affinity == Affinity::Prompt);
    let ProviderStates { turn, homes, record, board, line, waiting, budget } = ground.registry.provider(&name);
    let kept = ground.before.and_then(|before| before.providers.get(&name)).map(|before| &before.endpoint);
    let endpoint = match kept.filter(|kept| kept.is_like(&how, &provider.tls)) {
        Some(kept) => Arc::clone(kept),
        None => {
            let tls = match how.url.tls() {
                true => Some(EndpointTls::new(provider.tls, how.version).map_err(|why| error("tls", why))?),
                false => None,
            };
            let observer = Arc::new(Watcher(ground.metrics.provider(name.as_str()), Arc::clone(&record)));
            let unfit = || error("base_url", "the host is not a valid name".to_owned());
            Arc::new(Endpoint::new(how, tls, observer).ok_or_else(unfit)?)
        }
    };
    let states: Vec<_> = keys.iter().map(|key| ground.registry.key(&name, key.secret.fingerprint())).collect();
    let slots = compile_slots((&name, has_affinity), &keys, &states, ground.registry);
    let keys = keys
        .into_iter()
        .zip(states)
        .map(|(key, states)| {
            let credential = Credential::new(dialect, &key.secret, key.organization.as_deref(), key.project.as_deref())
                .ok_or_else(|| error("keys", format!("`{}` holds bytes that no header may hold", key.name)))?;
            let id = key.secret.fingerprint();
            // invariant: a fingerprint is hex digits.
            let fingerprint = HeaderValue::from_str(&id.to_string()).map_err(|source| error("keys", source.to_string()))?;
            let record = Arc::clone(&states.record);
            let owner = key.account.as_deref().map_or_else(|| MakerId::of_key(id), MakerId::named);
            let (name, account) = (key.name.into(), key.account.map(Into::into));
            Ok(Arc::new(PoolKey { name, id, fingerprint, account, owner, credential, record, file: key.file }))
        })
        .collect::<Result<_, CompileError>>()?;
    let breaker = breaker.numbers().map(|numbers| Guard::new(numbers, board));
    let queue = queue.as_ref().map(|numbers| Queue::new(numbers, line));
    let weighs = slots.iter().any(|slot| slot.spec.tokens.is_some());
    Ok(Provider {
        dialect,
        endpoint,
        keys,
        slots,
        turn,
        homes,
        record,
        tariff,
        breaker,
        queue,
        waiting,
        budget,
        has_affinity,
        weighs,
        name,
    })
}

/// The pool's view of the keys. One that names no account is an account of its own.
fn compile_slots((provider, affinity): (&ProviderName, bool), keys: &[Key], states: &[KeyStates], registry: &Registry) -> Vec<Slot> {
    let account_of = |at: usize| {
        let account = keys[at].account.as_ref();
        let same = account.and_then(|account| keys.iter().position(|key| key.account.as_ref() == Some(account)));
        key_pool::Account(same.unwrap_or(at))
    };
    let slot = |(at, key): (usize, &Key)| {
        let owner = match &key.account {
            Some(name) => AccountId::Named(name.as_str().into()),
            None => AccountId::Key(key.secret.fingerprint()),
        };
        let account = account_of(at);
        // Keys of one account say it once, or say the same.
        let told = |rate: fn(&Key) -> Option<Rate>| {
            let same = keys.iter().enumerate().filter(|(at, _)| account_of(*at) == account).find_map(|(_, key)| rate(key));
            same.map(resilience::quota)
        };
        let (requests, tokens) = (told(|key| key.requests), told(|key| key.tokens));
        let spec = key_pool::Spec { weight: key.weight, account, requests, tokens, affinity };
        Slot { spec, state: Arc::clone(&states[at].pool), owner: registry.account(provider, owner) }
    };
    keys.iter().enumerate().map(slot).collect()
}

fn compile_route(
    at: usize,
    route: config::Route,
    providers: &BTreeMap<ProviderName, Arc<Provider>>,
    (config, ground): (&Config, Ground<'_>),
) -> Result<Route, CompileError> {
    let cache = config.cache_of(&route).map(|cache| Arc::new(compile_cache(cache)));
    let error = |problem: String| CompileError { field: format!("routes[{at}].targets"), problem };
    let path: Arc<str> = route.path.trim_end_matches('/').into();
    let labels = Arc::new(ModelLabels::new(config.metrics.models.iter().chain(&route.models)));
    let is_one_of_several = route.targets.len() > 1;
    let targets = route
        .targets
        .into_iter()
        .map(|target| {
            let provider = providers.get(&target.provider).ok_or_else(|| error(format!("no provider `{}`", target.provider)))?;
            let metrics = Arc::new(ground.metrics.target(&route.path, provider.name.as_str(), Arc::clone(&labels)));
            let stands_in = target.when.is_some();
            let when = match &target.when {
                None => When::default(),
                Some(conditions) => conditions.iter().copied().collect(),
            };
            let pace = ground.registry.pace(&provider.name, target.model.as_deref());
            let label = label(provider, target.model.as_deref()).filter(|_| is_one_of_several);
            let model = target.model.map(Into::into);
            Ok(Target { provider: Arc::clone(provider), model, stands_in, when, pace, label, metrics })
        })
        .collect::<Result<Vec<_>, CompileError>>()?;
    let format = targets.first().map(|target| target.provider.dialect.request_format()).ok_or_else(|| error("empty".to_owned()))?;
    let (order, last_resort) = (route.order, route.last_resort.map(Arc::new));
    let any = |is: fn(&Provider) -> bool| targets.iter().any(|target| is(&target.provider));
    let (weighs, has_affinity) = (any(|provider| provider.weighs), any(|provider| provider.has_affinity));
    let (models, credentials) = (route.models, route.credentials);
    let identity = identity(route.credentials, &targets);
    Ok(Route { path, models, format, credentials, targets, order, weighs, has_affinity, last_resort, identity, cache })
}

/// What tells the first target from all others, through all generations: where its answers come from.
fn identity(credentials: Credentials, targets: &[Target]) -> Box<[u8]> {
    let Some(Target { provider, model, .. }) = targets.first() else { return Box::default() };
    let whose = if credentials == Credentials::Client { "client" } else { "pool" };
    // None of them holds a line break but perhaps the last.
    let parts =
        [provider.name.as_str(), whose, provider.dialect.name(), &provider.endpoint.url.to_string(), model.as_deref().unwrap_or_default()];
    parts.join("\n").into_bytes().into()
}

/// A route's numbers. What its fields are called stands in one order and once, so that a config that says the same asks the same.
fn compile_cache(cache: Cache) -> cache::Spec {
    let mut headers: Vec<Box<str>> = cache.headers.iter().map(|name| name.to_ascii_lowercase().into()).collect();
    headers.sort_unstable();
    headers.dedup();
    cache::Spec {
        ttl: cache.ttl.0,
        negative_ttl: cache.negative_ttl.0,
        stale_if_error: cache.stale_if_error.0,
        max_entry: cache.max_entry.0,
        scope: cache.scope,
        determinism: cache.determinism,
        headers: headers.into(),
        collapse: cache.collapse,
        finish: cache.finish,
        replay: cache.replay,
        counts_hits: cache.count_hits,
    }
}

/// A target as replies tell of it: its provider, and its model where it has one of its own that a header can hold.
fn label(provider: &Provider, model: Option<&str>) -> Option<HeaderValue> {
    let named = model.and_then(|model| HeaderValue::from_str(&format!("{}/{model}", provider.name)).ok());
    named.or_else(|| HeaderValue::from_str(provider.name.as_str()).ok())
}

fn compile_clients(clients: config::Clients, jwt: LoadedJwt, ground: Ground<'_>) -> Result<Clients, CompileError> {
    let anonymous = match clients.anonymous {
        Anonymous::Deny => Stranger::Denied,
        Anonymous::Tier(tier) => Stranger::Tier(tier),
    };
    let session = clients.session.and_then(|SessionField { header, cookie }| match header {
        Some(name) => Some(HeaderName::from_bytes(name.as_bytes()).map(SessionIn::Header)),
        None => cookie.map(|name| Ok(SessionIn::Cookie(name.into()))),
    });
    let no_name = |_| CompileError { field: "clients.session.header".to_owned(), problem: "this is no name of a field".to_owned() };
    let session = session.transpose().map_err(no_name)?;
    let by_hash = clients.keys.into_iter().map(|key| (key.sha256, Known::from(key))).collect();
    let jwt = clients.jwt.map(|section| JwtIdentity::new(&section, jwt, ground));
    Ok(Clients { by_hash, jwt, mtls: clients.mtls, anonymous, session })
}

/// Counts a provider's connections.
struct Watcher(ProviderMetrics, Arc<ProviderRecord>);

impl Observer for Watcher {
    fn connected(&self) {
        self.0.connected.increment(1);
        self.0.connections.increment(1);
        self.1.connected();
    }

    fn disconnected(&self) {
        self.0.connections.decrement(1);
        self.1.disconnected();
    }

    fn failed(&self) {
        self.0.failed.increment(1);
    }

    fn resent(&self) {
        self.0.resends.increment(1);
    }
}
