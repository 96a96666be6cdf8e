//! The fields with which each kind of object begins, and what it shows while it is in progress.

use serde_json::{Value, json};

use super::{
    collections::{self, Kind, merge},
    models::CREATED,
    uploads,
};
use crate::simulator::{answer::Desk, ask::Ask, error::ApiError};

/// The fields of a new object. What the request set stands among them; an object that it names must be the account's.
pub(super) fn fields(desk: &Desk<'_>, kind: &Kind, home: &str, ask: &Ask) -> Result<Value, ApiError> {
    if kind.object == "upload.part" {
        return uploads::part(desk, home, ask);
    }
    let parent = || home.split('/').nth(1).unwrap_or_default();
    let mut fields = match kind.object {
        "fine_tuning.job" => {
            ask.model()?;
            collections::find(desk, "files", ask.text("training_file")?)?;
            job(&ask.model)
        }
        "assistant" => {
            ask.model()?;
            json!({
                "name": null, "description": null, "instructions": null, "tools": [], "tool_resources": {}, "metadata": {},
                "top_p": 1.0, "temperature": 1.0, "response_format": "auto", "reasoning_effort": null,
            })
        }
        "thread" | "conversation" => json!({ "metadata": {} }),
        "thread.message" => {
            ask.text("role")?;
            return Ok(message(parent(), &ask.body, &Value::Null));
        }
        "vector_store" => {
            for file in ask.body["file_ids"].as_array().into_iter().flatten() {
                collections::find(desk, "files", file.as_str().unwrap_or_default())?;
            }
            json!({
                "name": null, "status": "completed", "usage_bytes": 0, "file_counts": file_counts(0), "expires_after": null,
                "expires_at": null, "last_active_at": CREATED, "metadata": {},
            })
        }
        "vector_store.file" => {
            let file = ask.text("file_id")?;
            let size = collections::find(desk, "files", file)?.content.len();
            json!({
                "id": file, "vector_store_id": parent(), "status": "completed", "usage_bytes": size, "last_error": null,
                "chunking_strategy": { "type": "static", "static": { "max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400 } },
                "attributes": {},
            })
        }
        "vector_store.file_batch" => {
            let files = ask.body["file_ids"].as_array().map_or(0, Vec::len);
            json!({ "vector_store_id": parent(), "status": "completed", "file_counts": file_counts(files) })
        }
        "upload" => uploads::fields(ask)?,
        _ => json!({}),
    };
    let mut asked = ask.body.clone();
    if let Value::Object(asked) = &mut asked {
        asked.retain(|name, value| {
            !value.is_null() && !matches!(name.as_str(), "id" | "object" | "messages" | "items" | "file_ids" | "file_id")
        });
    }
    merge(&mut fields, asked);
    Ok(fields)
}

fn job(model: &str) -> Value {
    json!({
        "model": model, "fine_tuned_model": format!("ft:{model}:simulated::1"), "organization_id": "org-simulated", "status": "succeeded",
        "result_files": [], "validation_file": null, "hyperparameters": { "n_epochs": 1, "batch_size": 1, "learning_rate_multiplier": 1.0 },
        "trained_tokens": 1000, "error": null, "finished_at": CREATED, "estimated_finish": null, "integrations": [], "seed": 1,
        "metadata": {}, "method": { "type": "supervised" },
    })
}

fn file_counts(files: usize) -> Value {
    json!({ "in_progress": 0, "completed": files, "failed": 0, "cancelled": 0, "total": files })
}

/// A message of a thread, from what a request says of it; `run` is the run that wrote it.
pub(super) fn message(thread: &str, body: &Value, run: &Value) -> Value {
    let content = match &body["content"] {
        Value::String(text) => json!([{ "type": "text", "text": { "value": text, "annotations": [] } }]),
        Value::Array(parts) => parts.iter().map(part).collect(),
        _ => json!([]),
    };
    let metadata = body.get("metadata").cloned().unwrap_or_else(|| json!({}));
    json!({
        "thread_id": thread, "role": body["role"], "content": content, "status": "completed", "assistant_id": run["assistant_id"],
        "run_id": run["id"], "attachments": [], "metadata": metadata, "completed_at": CREATED, "incomplete_at": null, "incomplete_details": null,
    })
}

fn part(part: &Value) -> Value {
    match &part["text"] {
        Value::String(text) => json!({ "type": "text", "text": { "value": text, "annotations": [] } }),
        _ => part.clone(),
    }
}

/// Turns an object that is kept as it will be into what it is while in progress. What was cancelled stays so.
pub(super) fn rejuvenate(home: &str, json: &mut Value) {
    let nothing = |json: &mut Value, fields: &[&str]| fields.iter().for_each(|field| json[*field] = Value::Null);
    let name = home.rsplit('/').next().unwrap_or(home);
    match (name, json["status"].as_str()) {
        ("batches", Some("completed")) => {
            json["status"] = "in_progress".into();
            nothing(json, &["output_file_id", "completed_at", "finalizing_at"]);
            json["request_counts"]["completed"] = 0.into();
        }
        ("jobs", Some("succeeded")) => {
            json["status"] = "running".into();
            nothing(json, &["fine_tuned_model", "finished_at", "trained_tokens"]);
        }
        ("runs", Some("completed")) => {
            json["status"] = "in_progress".into();
            nothing(json, &["completed_at", "usage"]);
        }
        ("responses", Some("completed" | "incomplete")) if json["background"] == true => {
            json["status"] = "in_progress".into();
            json["output"] = json!([]);
            nothing(json, &["usage", "incomplete_details"]);
        }
        _ => {}
    }
}
