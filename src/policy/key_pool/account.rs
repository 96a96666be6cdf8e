//! The state of an account: whether it is good for anything, and what is known of its models.
//!
//! Models are remembered only if the account served them or refused them for now, and at most [`MODELS`] of them: who asks
//! for names that nobody serves fills nothing. All others share one entry.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::OnceLock,
};

use super::{health::Machine, model::Model};

/// The most models that are told apart.
pub const MODELS: usize = 64;

/// Which of an account's entries is meant: one of its own, or the one that the rest share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u8);

impl Place {
    pub(super) const REST: Self = Self(MODELS as u8);
}

/// A model's name, hashed once for all accounts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    hash: u64,
}

impl<'a> Named<'a> {
    pub(super) fn new(name: Option<&'a str>) -> Self {
        let name = name.unwrap_or_default();
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        Self { name, hash: hasher.finish() }
    }
}

/// The state of one account. It belongs to the account, not to a generation of the config; its keys share it.
#[derive(Debug, Default)]
pub struct State {
    /// Tells it from others when prompts are spread by how they begin.
    pub(super) id: u64,
    pub(super) machine: Machine,
    models: OnceLock<Box<[OnceLock<Box<Model>>; MODELS]>>,
    rest: Model,
}

impl State {
    /// A new account. The same `id` after a restart gets the same prompts, and so finds what its provider remembers of them.
    #[must_use]
    pub fn new(id: u64) -> Self {
        Self { id, ..Self::default() }
    }

    /// Where a model's entry is: its own, if it has one.
    pub(super) fn find(&self, model: Named<'_>) -> Place {
        let Some(models) = self.models.get() else { return Place::REST };
        for step in 0..MODELS {
            let at = (model.hash as usize).wrapping_add(step) % MODELS;
            match models[at].get() {
                Some(entry) if entry.hash == model.hash && *entry.name == *model.name => return Place(at as u8),
                Some(_) => {}
                None => break,
            }
        }
        Place::REST
    }

    /// The entry at a place.
    pub(super) fn at(&self, place: Place) -> &Model {
        let own = self.models.get().and_then(|models| models.get(usize::from(place.0))?.get());
        own.map_or(&self.rest, |model| model)
    }

    /// The place of a model's own entry, made if there is room for one.
    pub(super) fn settle(&self, model: Named<'_>) -> Place {
        let models = self.models.get_or_init(|| Box::new([const { OnceLock::new() }; MODELS]));
        for step in 0..MODELS {
            let at = (model.hash as usize).wrapping_add(step) % MODELS;
            let entry = models[at].get_or_init(|| Box::new(Model::new(model.name.into(), model.hash, &self.rest)));
            if entry.hash == model.hash && *entry.name == *model.name {
                return Place(at as u8);
            }
        }
        Place::REST
    }

    /// Whether a model more can have an entry of its own.
    pub(super) fn has_room(&self) -> bool {
        self.models.get().is_none_or(|models| models.iter().any(|model| model.get().is_none()))
    }

    /// Whether a model that was only ever refused can have one too: at most half of the entries go to such, since callers can
    /// name any.
    pub(super) fn has_room_for_refused(&self) -> bool {
        self.models.get().is_none_or(|models| models.iter().filter(|model| model.get().is_some()).count() < MODELS / 2)
    }

    /// Whether it is known to serve a model, and still asked for it.
    pub(super) fn serves(&self, model: Named<'_>, now: u64) -> bool {
        let place = self.find(model);
        place != Place::REST && self.at(place).was_served() && self.at(place).is_off(now).is_none()
    }

    /// All that is known of models, the rest last.
    pub(super) fn models(&self) -> impl Iterator<Item = &Model> {
        let own = self.models.get().into_iter().flat_map(|models| models.iter().filter_map(OnceLock::get).map(|model| &**model));
        own.chain([&self.rest])
    }

    /// Forgets all that speaks against it.
    pub(super) fn reset(&self) {
        self.machine.reset();
        self.models().for_each(Model::reset);
    }
}
