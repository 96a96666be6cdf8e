//! `POST /v1/files` and what was sent with it.

use serde_json::{Value, json};

use super::collections::{self, Kind};
use crate::simulator::{
    answer::{Answer, Desk},
    ask::Ask,
    error::ApiError,
    script::Script,
    store::Object,
};

/// Keeps the file of a form.
pub(super) fn create(desk: &Desk<'_>, ask: &Ask) -> Answer {
    let purpose = ask.text("purpose")?;
    let file = ask.file("file")?;
    let name = file.filename.as_deref().unwrap_or_default();
    keep(desk, name, purpose, file.content.clone()).map(|json| Script::at_once(&json))
}

/// Keeps a file and shows it.
pub(super) fn keep(desk: &Desk<'_>, name: &str, purpose: &str, content: bytes::Bytes) -> Result<Value, ApiError> {
    let kind = Kind::of("", "files").ok_or_else(|| desk.unknown())?;
    let fields = json!({
        "bytes": content.len(), "filename": name, "purpose": purpose, "status": "processed", "status_details": null, "expires_at": null,
    });
    Ok(collections::create_with(desk, kind, "files", fields, content))
}

/// What was sent, byte for byte.
pub(super) fn content(object: &Object) -> Script {
    Script::content("application/octet-stream", object.content.clone(), 0)
}
