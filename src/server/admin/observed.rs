//! What is seen from outside of the hot path: seconds closed, processor time and providers looked at, and what follows from
//! it for the number of replicas.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    policy::autoscaling::{self, Advice, Readings, Spec},
    runtime::Runtime,
    telemetry::{
        CacheRecord, ProviderRecord,
        process::{self, Allowance},
        samples::Samples,
        window::Window,
    },
    types::{Cached, ProviderName, moment::nanos},
};

/// Over how long a rate is told.
pub const RECENT: Duration = Duration::from_secs(10);

/// Over how long a share of errors is told.
pub const WINDOW: Duration = Duration::from_secs(60);

/// How often counts of providers and of the cache are kept.
const LOOK: Duration = Duration::from_secs(5);

/// What was seen so far.
#[derive(Debug)]
pub struct Observed {
    /// When the proxy started.
    pub started: Instant,
    /// What the process may use.
    pub allowance: Allowance,
    /// The last minute of all traffic.
    pub window: Window,
    processors: Samples<1>,
    providers: BTreeMap<ProviderName, Samples<2>>,
    cache: Samples<{ Cached::ALL.len() }>,
    autoscaling: autoscaling::State,
}

/// What a provider did lately.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lately {
    /// Attempts that ended in the last minute.
    pub requests: u64,
    /// Those of them whose end speaks against the provider or a key.
    pub errors: u64,
    /// Attempts a second over the last ten.
    pub rate: f64,
}

impl Lately {
    /// The share of errors; `None` where nothing ended.
    #[must_use]
    pub fn error_rate(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.errors as f64 / self.requests as f64)
    }
}

impl Observed {
    /// The first look.
    #[must_use]
    pub fn new(runtime: &Runtime, now: Instant) -> Self {
        let mut observed = Self {
            started: now,
            allowance: Allowance::read(),
            window: Window::new(now),
            processors: Samples::new(Duration::from_secs(1), RECENT),
            providers: BTreeMap::new(),
            cache: Samples::new(LOOK, WINDOW),
            autoscaling: autoscaling::State::new(now),
        };
        observed.look(runtime, now);
        observed
    }

    /// Closes the seconds that are over, and looks at the rest when there was one.
    pub fn advance(&mut self, runtime: &Runtime, now: Instant) {
        if self.window.advance(&runtime.traffic, now) {
            self.look(runtime, now);
            self.advise(runtime, now);
        }
    }

    fn look(&mut self, runtime: &Runtime, now: Instant) {
        self.processors.look(now, [nanos(process::processor_time())]);
        self.cache.look(now, runtime.cache.record.outcomes());
        let providers = &runtime.snapshot.load().providers;
        self.providers.retain(|name, _| providers.contains_key(name));
        for (name, provider) in providers {
            let samples = self.providers.entry(name.clone()).or_insert_with(|| Samples::new(LOOK, WINDOW));
            samples.look(now, counts(&provider.record));
        }
    }

    /// Percent of the processor time that the process may use, over the last ten seconds.
    #[must_use]
    pub fn cpu_percent(&self, now: Instant) -> f64 {
        let grown = self.processors.growth(RECENT, now, [nanos(process::processor_time())]);
        grown.map_or(0.0, |(elapsed, [used])| used as f64 / elapsed.as_nanos() as f64 / self.allowance.processors * 100.0)
    }

    /// Percent of the memory that the process may use, if it occupies so many bytes.
    #[must_use]
    pub fn memory_percent(&self, resident: Option<u64>) -> Option<f64> {
        Some(resident? as f64 / self.allowance.memory? as f64 * 100.0)
    }

    /// Requests a second over the last ten.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.window.rate(RECENT)
    }

    /// What a provider did lately.
    #[must_use]
    pub fn lately(&self, provider: &ProviderRecord, now: Instant) -> Lately {
        let Some(samples) = self.providers.get(provider.name()) else { return Lately::default() };
        let counts = counts(provider);
        let rate = samples.growth(RECENT, now, counts).map_or(0.0, |(elapsed, [requests, _])| requests as f64 / elapsed.as_secs_f64());
        let [requests, errors] = samples.growth(WINDOW, now, counts).map_or([0; 2], |(_, grown)| grown);
        Lately { requests, errors, rate }
    }

    /// How the cache answered requests in the last minute, in the order of [`Cached::ALL`].
    #[must_use]
    pub fn cached(&self, record: &CacheRecord, now: Instant) -> [u64; Cached::ALL.len()] {
        self.cache.growth(WINDOW, now, record.outcomes()).map_or([0; Cached::ALL.len()], |(_, grown)| grown)
    }

    /// What is said of the number of replicas, and what it is said from.
    pub fn advise(&mut self, runtime: &Runtime, now: Instant) -> (Advice, Readings) {
        let readings =
            Readings { cpu: self.cpu_percent(now), memory: self.memory_percent(process::resident()), requests_per_second: self.rate() };
        let spec = Spec::from(&runtime.snapshot.load().config.autoscaling);
        (autoscaling::decide(&spec, &mut self.autoscaling, &readings, now), readings)
    }
}

fn counts(provider: &ProviderRecord) -> [u64; 2] {
    // The errors first: one that ends in between must not make a share above one.
    let errors = provider.errors();
    [provider.requests(), errors]
}
