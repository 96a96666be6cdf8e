//! `POST /v1/batches`: the lines of a file, each answered as if it had come alone.

use bytes::Bytes;
use http::{Method, Uri};
use serde_json::{Value, json};

use super::{answer as answer_one, collections, collections::Kind, files, models::CREATED};
use crate::simulator::{
    answer::{Answer, Desk},
    ask::Ask,
    dialect,
    script::Script,
};

/// Lines that are answered; the rest of a longer file is counted as failed.
const MOST_LINES: usize = 1_000;

/// Takes a batch. Its output is there when it is said to be completed, a moment later.
pub(super) fn create(desk: &Desk<'_>, ask: &Ask) -> Answer {
    let endpoint = ask.text("endpoint")?;
    let input = collections::find(desk, "files", ask.text("input_file_id")?)?;
    let lines: Vec<&[u8]> = input.content.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).collect();
    let answers: Vec<Value> = lines.iter().take(MOST_LINES).filter_map(|line| respond(desk, line)).collect();
    let output: String = answers.iter().map(|answer| format!("{answer}\n")).collect();
    let output = files::keep(desk, "output.jsonl", "batch_output", Bytes::from(output))?;
    let counts = json!({ "total": lines.len(), "completed": answers.len(), "failed": lines.len() - answers.len() });
    let fields = json!({
        "endpoint": endpoint, "input_file_id": input.id, "completion_window": ask.body["completion_window"], "status": "completed",
        "output_file_id": output["id"], "error_file_id": null, "errors": null, "request_counts": counts, "metadata": ask.body["metadata"],
        "in_progress_at": CREATED, "expires_at": CREATED + 86_400, "finalizing_at": CREATED, "completed_at": CREATED,
        "failed_at": null, "expired_at": null, "cancelling_at": null, "cancelled_at": null,
    });
    let kind = Kind::of("", "batches").ok_or_else(|| desk.unknown())?;
    Ok(Script::at_once(&collections::create(desk, kind, "batches", fields)))
}

/// The answer to one line, if it can be answered at all.
fn respond(desk: &Desk<'_>, line: &[u8]) -> Option<Value> {
    let line: Value = serde_json::from_slice(line).ok()?;
    let uri: Uri = line["url"].as_str()?.parse().ok()?;
    let path = dialect::rest(uri.path())?;
    // Nothing that makes objects: a batch within a batch would have no end.
    matches!(path, "chat/completions" | "completions" | "embeddings" | "moderations").then_some(())?;
    let ask = Ask::read(desk.headers, &Bytes::from(line["body"].to_string()));
    let one = Desk { method: &Method::POST, uri: &uri, path, ..*desk };
    let id = format!("{:016x}", fastrand::u64(..));
    let (status, body) = match answer_one(&one, ask) {
        Ok(Script::Whole { content, .. }) => (200, serde_json::from_slice(&content).ok()?),
        Ok(Script::Stream { .. }) => return None,
        Err(error) => (error.status(desk.dialect).as_u16(), error.json(desk.dialect, &id)),
    };
    let response = json!({ "status_code": status, "request_id": format!("req_{id}"), "body": body });
    Some(json!({ "id": format!("batch_req_{id}"), "custom_id": line["custom_id"], "response": response, "error": null }))
}

/// What is cancelled has no output.
pub(super) fn clear_output(json: &mut Value) {
    for field in ["output_file_id", "completed_at", "finalizing_at"] {
        if let Some(value) = json.get_mut(field) {
            *value = Value::Null;
        }
    }
    if json["object"] == "batch" {
        json["cancelled_at"] = CREATED.into();
    }
}
