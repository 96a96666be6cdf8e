//! `GET /v1/models` and `GET /v1/models/{id}`.

use serde_json::{Value, json};

use super::{error::ApiError, faults::FAULTS, script::Script};

/// The second in which everything here was made: a clock in a reply would make equal requests differ.
pub(super) const CREATED: u64 = 1_700_000_000;

/// What the list shows before the faults. Any other name is answered too.
const MODELS: [&str; 7] = ["gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5", "o4-mini", "text-embedding-3-small", "text-embedding-3-large"];

fn ids() -> impl Iterator<Item = &'static str> {
    MODELS.into_iter().chain(FAULTS.iter().map(|fault| fault.model))
}

fn model(id: &str) -> Value {
    json!({ "id": id, "object": "model", "created": CREATED, "owned_by": "simulator" })
}

/// Every model.
pub(super) fn list() -> Script {
    let models: Vec<Value> = ids().map(model).collect();
    Script::whole(&json!({ "object": "list", "data": models }), 0)
}

/// One model of the list.
pub(super) fn get(id: &str) -> Result<Script, ApiError> {
    ids().find(|known| *known == id).map(|id| Script::whole(&model(id), 0)).ok_or_else(|| ApiError::unknown_model(id))
}
