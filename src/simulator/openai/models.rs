//! `GET /v1/models` and `GET /v1/models/{id}`.

use serde_json::{Value, json};

use crate::simulator::{answer::Answer, error::ApiError, faults::FAULTS, script::Script};

/// The second in which everything here was made: a clock in a reply would make equal requests differ.
pub(crate) const CREATED: u64 = 1_700_000_000;

/// What the list shows before the faults. Any other name is answered too.
const MODELS: [&str; 7] = ["gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5", "o4-mini", "text-embedding-3-small", "text-embedding-3-large"];

/// The names that lists show, those of the faults among them.
pub(crate) fn faults() -> impl Iterator<Item = &'static str> {
    FAULTS.iter().map(|fault| fault.model)
}

fn ids() -> impl Iterator<Item = &'static str> {
    MODELS.into_iter().chain(faults())
}

fn model(id: &str) -> Value {
    json!({ "id": id, "object": "model", "created": CREATED, "owned_by": "simulator" })
}

/// Every model.
pub(super) fn list() -> Script {
    let models: Vec<Value> = ids().map(model).collect();
    Script::at_once(&json!({ "object": "list", "data": models }))
}

/// One model of the list.
pub(super) fn get(id: &str) -> Answer {
    ids().find(|known| *known == id).map(|id| Script::at_once(&model(id))).ok_or_else(|| ApiError::unknown_model(id))
}
