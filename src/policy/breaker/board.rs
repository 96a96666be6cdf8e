//! The breakers of one provider, and which of them a request meets.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::{
    Spec,
    circuit::{Call, Change, Circuit},
    models::{Models, Name, Place},
    served::Served,
    words::{Forced, Phase, Refused, Scope, Standing, Transition},
};
use crate::types::{Moment, moment::nanos};

/// The breakers of one provider: its host's and its models'. Shared by all workers and all generations of the config.
///
/// One word says whether there is anything to look at. As long as all is well there is not, and no request takes the lock.
#[derive(Debug)]
pub struct Board {
    /// The epoch, and as the lowest bit whether any breaker counts.
    word: AtomicU64,
    pub(super) served: Served,
    circuits: Mutex<Circuits>,
}

/// All that is behind the lock.
#[derive(Debug)]
pub(super) struct Circuits {
    pub(super) epoch: u64,
    pub(super) host: Circuit,
    pub(super) models: Models,
}

/// The lock. When it is given back, the word says again what is.
#[derive(Debug)]
pub(super) struct Locked<'b> {
    word: &'b AtomicU64,
    circuits: MutexGuard<'b, Circuits>,
    spec: Spec,
    now: u64,
}

impl Default for Board {
    fn default() -> Self {
        let circuits = Circuits { epoch: 0, host: Circuit::new(0), models: Models::default() };
        Self { word: AtomicU64::new(0), served: Served::default(), circuits: Mutex::new(circuits) }
    }
}

impl Board {
    /// The epoch, if no breaker counts anything.
    pub(super) fn calm(&self) -> Option<u64> {
        let word = self.word.load(Ordering::Acquire);
        (word & 1 == 0).then_some(word >> 1)
    }

    pub(super) fn lock(&self, spec: &Spec, now: u64) -> Locked<'_> {
        // A panic elsewhere leaves breakers as they were: nothing under the lock stops half way.
        let circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        Locked { word: &self.word, circuits, spec: *spec, now }
    }

    /// Every breaker that has something to say, the host's first.
    #[must_use]
    pub fn standings(&self, spec: &Spec, now: Moment) -> Vec<Standing> {
        let locked = self.lock(spec, now.nanos);
        let host = (Scope::Host, None, &locked.circuits.host);
        let all = std::iter::once(host).chain(locked.circuits.models.all(spec, now.nanos));
        all.map(|(scope, model, circuit)| standing(scope, model, circuit, spec, now.nanos)).collect()
    }

    /// Holds the host's breaker, or a model's, where an operator wants it, until [`Self::reset`]. Returns what that changes; `None`
    /// if a model can have no breaker of its own, since its name is longer than 256 bytes or too many are held already.
    pub fn force(&self, model: Option<&str>, forced: Forced) -> Option<Transition> {
        let mut circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        let Circuits { epoch, host, models } = &mut *circuits;
        let (scope, circuit) = match model {
            None => (Scope::Host, host),
            Some(model) => (Scope::Model, models.own(model)?),
        };
        let change = circuit.force(Some(forced), epoch);
        self.word.store(*epoch << 1 | 1, Ordering::Release);
        Some(transition(scope, model.map(Into::into), change))
    }

    /// Closes a model's breaker, or without a name all of them, forgets what they have counted, and leaves them to themselves.
    pub fn reset(&self, model: Option<&str>) -> Vec<Transition> {
        let mut circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        let Circuits { epoch, host, models } = &mut *circuits;
        let host = model.is_none().then_some((Scope::Host, None, host));
        let mut transitions = Vec::new();
        for (scope, name, circuit) in host.into_iter().chain(models.meant(model)) {
            let was_held = circuit.phase() != Phase::Closed || circuit.forced().is_some();
            let change = circuit.force(None, epoch);
            transitions.extend(was_held.then(|| transition(scope, name, change)));
        }
        // Whether all is calm now, the next request finds out.
        self.word.store(*epoch << 1 | 1, Ordering::Release);
        transitions
    }
}

impl Locked<'_> {
    pub(super) fn models(&self) -> &Models {
        &self.circuits.models
    }

    /// The parts, to be changed.
    pub(super) fn parts(&mut self) -> (&mut u64, &mut Circuit, &mut Models) {
        let Circuits { epoch, host, models } = &mut *self.circuits;
        (epoch, host, models)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.circuits.epoch
    }

    /// Whether host and model let a request through.
    pub(super) fn admits(&self, place: &Place) -> Result<(), Refused> {
        let refused = |scope, circuit: &Circuit, until| Refused { until, scope, why: circuit.why() };
        let host = &self.circuits.host;
        host.admits(&self.spec, self.now).map_err(|until| refused(Scope::Host, host, until))?;
        let Some((scope, circuit)) = self.circuits.models.get(place) else { return Ok(()) };
        circuit.admits(&self.spec, self.now).map_err(|until| refused(scope, circuit, until))
    }

    /// The model's breaker has opened: opens the host's too if most of those are open that have a say. These are those open, and
    /// those served within the window, which shows that the host is well for them. As long as it is for any, only open ones that it
    /// has served once count: callers can invent others.
    pub(super) fn weigh_models(&mut self, served: &Served, call: (u64, u64)) -> Option<Change> {
        let Locked { circuits, spec, now, .. } = self;
        let Circuits { epoch, host, models } = &mut **circuits;
        let mut open: Vec<u64> = models.open().collect();
        let well = served.since(now.saturating_sub(nanos(spec.window)), &open);
        if well > 0 {
            open.retain(|hash| served.knows(*hash));
        }
        let is_most = open.len() >= 3 && open.len() * 3 >= (open.len() + well) * 2;
        let (taken, random) = call;
        is_most.then(|| host.open_for_models(&mut Call { spec, now: *now, random, taken, epoch })).flatten()
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let Circuits { epoch, host, models } = &mut *self.circuits;
        models.tidy(&self.spec, self.now);
        let is_calm = models.is_calm() && host.is_quiet(&self.spec, self.now);
        self.word.store(*epoch << 1 | u64::from(!is_calm), Ordering::Release);
    }
}

fn standing(scope: Scope, model: Option<&Name>, circuit: &Circuit, spec: &Spec, now: u64) -> Standing {
    let counts = circuit.counts(spec, now);
    Standing {
        scope,
        model: model.map(Name::text),
        phase: circuit.phase(),
        forced: circuit.forced(),
        why: circuit.why(),
        until: circuit.until(),
        total: counts.total,
        failures: counts.failures,
        slow: counts.slow,
        consecutive: circuit.consecutive(),
        probes: circuit.probes(),
    }
}

pub(super) fn transition(scope: Scope, model: Option<Box<str>>, change: Change) -> Transition {
    let Change { from, to, why, until } = change;
    Transition { scope, model, from, to, why, until }
}
