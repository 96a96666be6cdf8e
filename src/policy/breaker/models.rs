//! The breakers of a host's models: as many as fail, within bounds.
//!
//! A model has one from its first failure on until a success finds none left, so that models that are well, and those that
//! callers invent and the provider does not know, take nothing. Where there are too many, an idle one makes room, and for a model
//! that the host has served one that it never has; else those that are left share one. So whoever invents models on a host that
//! fails for them can shut out other inventions, and no model that works.

use smallvec::SmallVec;

use super::{
    Spec,
    circuit::Circuit,
    served::{self, Served},
    words::{Phase, Scope},
};

/// The most models with a breaker of their own, but for those that an operator forces.
const MOST: usize = 64;

/// The most with those.
const MOST_FORCED: usize = 4 * MOST;

/// A name that is longer gets no breaker of its own.
const LONGEST_NAME: usize = 256;

/// How long failures in a row are remembered while nothing else happens, in nanoseconds: a sidecar may be quiet for long.
const MEMORY: u64 = 15 * 60 * 1_000_000_000;

/// How often it is looked for what has nothing to say any more, in nanoseconds.
const TIDY: u64 = 1_000_000_000;

/// A model's name and its hash. Copying one allocates nothing, unless it is uncommonly long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    bytes: SmallVec<[u8; 64]>,
    pub(super) hash: u64,
}

impl Name {
    /// `None` if it is too long to be kept.
    pub(super) fn new(name: &str) -> Option<Self> {
        (name.len() <= LONGEST_NAME).then(|| Self { bytes: SmallVec::from_slice(name.as_bytes()), hash: served::hash(name.as_bytes()) })
    }

    pub(super) fn text(&self) -> Box<str> {
        String::from_utf8_lossy(&self.bytes).into()
    }
}

/// Where a request is counted beside its host.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// At its model.
    Own(Name),
    /// It names no model.
    Unnamed,
    /// With all for which there is no room.
    Others,
}

#[derive(Debug)]
struct Entry {
    name: Name,
    circuit: Circuit,
    /// When it was last counted at, in nanoseconds.
    touched: u64,
}

/// The breakers by model.
#[derive(Debug)]
pub(super) struct Models {
    entries: Vec<Entry>,
    unnamed: Circuit,
    others: Circuit,
    /// The last epoch in which one of those began that are gone. What was taken before it says nothing to a new one, which could
    /// be theirs.
    floor: u64,
    tidied: u64,
    /// Whether those that are always there have nothing to say.
    is_calm: bool,
}

impl Default for Models {
    fn default() -> Self {
        Self { entries: Vec::new(), unnamed: Circuit::new(0), others: Circuit::new(0), floor: 0, tidied: 0, is_calm: true }
    }
}

impl Models {
    /// Whether nothing is counted.
    pub(super) fn is_calm(&self) -> bool {
        self.entries.is_empty() && self.is_calm
    }

    /// Where a request for this model is counted: with the others, if it has no breaker and there is no room for one, and the host
    /// has not been seen to serve it.
    pub(super) fn place(&self, model: Option<&str>, served: &Served) -> Place {
        let Some(model) = model else { return Place::Unnamed };
        let Some(name) = Name::new(model) else { return Place::Others };
        let has_place = self.entries.len() < MOST || served.knows(name.hash) || self.position(&name).is_some();
        if has_place { Place::Own(name) } else { Place::Others }
    }

    /// The breaker of a place, if it has one.
    pub(super) fn get(&self, place: &Place) -> Option<(Scope, &Circuit)> {
        Some(match place {
            Place::Own(name) => (Scope::Model, &self.entries[self.position(name)?].circuit),
            Place::Unnamed => (Scope::Model, &self.unnamed),
            Place::Others => (Scope::Others, &self.others),
        })
    }

    /// The same, to be counted at.
    pub(super) fn get_mut(&mut self, place: &Place, now: u64) -> Option<(Scope, &mut Circuit)> {
        Some(match place {
            Place::Own(name) => {
                let index = self.position(name)?;
                (Scope::Model, self.touch(index, now))
            }
            Place::Unnamed => {
                self.is_calm = false;
                (Scope::Model, &mut self.unnamed)
            }
            Place::Others => {
                self.is_calm = false;
                (Scope::Others, &mut self.others)
            }
        })
    }

    /// The same, where something went wrong: makes a breaker for a model that has none. Returns the place where it is found, which
    /// is with the others if there is no room.
    pub(super) fn make(&mut self, place: &mut Place, spec: &Spec, served: &Served, now: u64) {
        if let Place::Own(name) = place
            && self.position(name).is_none()
        {
            if self.make_room(name, spec, served, now) {
                self.entries.push(Entry { name: name.clone(), circuit: Circuit::new(self.floor), touched: now });
            } else {
                *place = Place::Others;
            }
        }
    }

    /// The breaker of a model, for an operator. `None` if its name is too long to have one, or if there are too many.
    pub(super) fn own(&mut self, model: &str) -> Option<&mut Circuit> {
        let name = Name::new(model)?;
        let index = match self.position(&name) {
            Some(index) => index,
            None if self.entries.len() >= MOST_FORCED => return None,
            None => {
                self.entries.push(Entry { name, circuit: Circuit::new(self.floor), touched: 0 });
                self.entries.len() - 1
            }
        };
        Some(&mut self.entries[index].circuit)
    }

    /// Every breaker that has something to say.
    pub(super) fn all(&self, spec: &Spec, now: u64) -> impl Iterator<Item = (Scope, Option<&Name>, &Circuit)> {
        let always = [(Scope::Model, None, &self.unnamed), (Scope::Others, None, &self.others)];
        let spec = *spec;
        let always = always.into_iter().filter(move |(_, _, circuit)| !circuit.is_quiet(&spec, now));
        self.entries.iter().map(|entry| (Scope::Model, Some(&entry.name), &entry.circuit)).chain(always)
    }

    /// Every breaker of that model, or of all, to be reset.
    pub(super) fn meant(&mut self, model: Option<&str>) -> impl Iterator<Item = (Scope, Option<Box<str>>, &mut Circuit)> {
        let always = [(Scope::Model, None, &mut self.unnamed), (Scope::Others, None, &mut self.others)];
        let is_meant = move |entry: &&mut Entry| model.is_none_or(|model| entry.name.bytes.as_slice() == model.as_bytes());
        let entries = self.entries.iter_mut().filter(is_meant);
        let entries = entries.map(|entry| (Scope::Model, Some(entry.name.text()), &mut entry.circuit));
        entries.chain(always.into_iter().filter(move |_| model.is_none()))
    }

    /// The hashes of the models whose breakers are open.
    pub(super) fn open(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().filter(|entry| entry.circuit.phase() == Phase::Open).map(|entry| entry.name.hash)
    }

    /// Lets go of what says nothing any more, now and then.
    pub(super) fn tidy(&mut self, spec: &Spec, now: u64) {
        if now < self.tidied.saturating_add(TIDY) {
            return;
        }
        self.tidied = now;
        self.is_calm = self.unnamed.is_quiet(spec, now) && self.others.is_quiet(spec, now);
        let is_past = |entry: &Entry| {
            let circuit = &entry.circuit;
            circuit.is_quiet(spec, now) || circuit.is_idle(spec, now) && entry.touched.saturating_add(MEMORY) <= now
        };
        let floor = self.entries.iter().filter(|entry| is_past(entry)).map(|entry| entry.circuit.epoch()).max();
        self.floor = self.floor.max(floor.unwrap_or_default());
        self.entries.retain(|entry| !is_past(entry));
    }

    fn position(&self, name: &Name) -> Option<usize> {
        self.entries.iter().position(|entry| entry.name == *name)
    }

    fn touch(&mut self, index: usize, now: u64) -> &mut Circuit {
        let entry = &mut self.entries[index];
        entry.touched = entry.touched.max(now);
        &mut entry.circuit
    }

    /// Whether there is room for one more; if need be, since another one goes.
    fn make_room(&mut self, name: &Name, spec: &Spec, served: &Served, now: u64) -> bool {
        if self.entries.len() < MOST {
            return true;
        }
        let is_served = served.knows(name.hash);
        let may_go = |entry: &Entry| {
            let circuit = &entry.circuit;
            let is_invented = || circuit.forced().is_none() && circuit.phase() == Phase::Closed && !served.knows(entry.name.hash);
            circuit.is_idle(spec, now) || is_served && is_invented()
        };
        let candidates = self.entries.iter().enumerate().filter(|(_, entry)| may_go(entry));
        let oldest = candidates.min_by_key(|(_, entry)| (!entry.circuit.is_idle(spec, now), entry.touched)).map(|(index, _)| index);
        oldest.is_some_and(|index| {
            let gone = self.entries.swap_remove(index);
            self.floor = self.floor.max(gone.circuit.epoch());
            true
        })
    }
}
