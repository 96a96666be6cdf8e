//! Faults that are switched on and off while the provider runs: of everything, or of one model.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::faults::Fault;

/// Models with a fault of their own at the same time.
const MOST_MODELS: usize = 1_000;

/// What is switched on.
#[derive(Default)]
pub(super) struct Switches(Mutex<On>);

#[derive(Default)]
struct On {
    all: Option<&'static Fault>,
    models: HashMap<String, &'static Fault>,
}

impl Switches {
    /// The fault that a request for this model meets, if any.
    pub(super) fn fault(&self, model: &str) -> Option<&'static Fault> {
        let on = self.lock();
        on.all.or_else(|| on.models.get(model).copied())
    }

    /// Switches a fault on, or off without one; of one model, or of all requests.
    pub(super) fn set(&self, model: Option<&str>, fault: Option<&'static Fault>) -> Result<(), String> {
        let mut on = self.lock();
        match (model, fault) {
            (None, fault) => on.all = fault,
            (Some(model), None) => drop(on.models.remove(model)),
            (Some(model), Some(_)) if on.models.len() >= MOST_MODELS && !on.models.contains_key(model) => {
                return Err(format!("{MOST_MODELS} models have a fault already"));
            }
            (Some(model), Some(fault)) => drop(on.models.insert(model.to_owned(), fault)),
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, On> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_an_end_to_the_models_with_a_fault_of_their_own() {
        let (switches, fault) = (Switches::default(), Fault::of("fault-503"));
        for n in 0..MOST_MODELS {
            assert_eq!(switches.set(Some(&n.to_string()), fault), Ok(()));
        }
        assert!(switches.set(Some("one more"), fault).is_err() && switches.fault("one more").is_none());
        assert_eq!((switches.set(Some("7"), None), switches.set(Some("one more"), fault)), (Ok(()), Ok(())));
    }
}
