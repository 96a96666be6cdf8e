//! `/config` and `/reload`: what is in force, where it came from, and reading it anew.

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Json, Response},
};
use serde_json::{Value, json};

use super::{Shared, answer::Refusal};
use crate::{
    config::{Problem, Problems},
    runtime::reload::{Outcome, Report, Trigger},
    telemetry::access_log::Timestamp,
};

/// The running config. Secrets print as `[secret]`, wherever they stand.
pub async fn show(State(admin): State<Shared>) -> Json<Value> {
    let status = admin.reloader.status();
    let snapshot = admin.runtime.snapshot.load();
    Json(json!({
        "generation": snapshot.generation,
        "source": status.source,
        "loaded_at": Timestamp(status.loaded_at).to_string(),
        "reload": {
            "last": status.last.as_deref().map(last),
            "applied": status.applied,
            "refused": status.refused,
        },
        "config": snapshot.config,
    }))
}

fn last(report: &Report) -> Value {
    let (problems, fields) = match &report.outcome {
        Outcome::Refused(problems) => (listed(problems), Vec::new()),
        Outcome::Applied { changed: fields } | Outcome::RestartRequired { fields } => (Vec::new(), fields.clone()),
        Outcome::Unchanged => (Vec::new(), Vec::new()),
    };
    json!({
        "result": report.outcome.name(),
        "trigger": report.trigger.name(),
        "at": Timestamp(report.at).to_string(),
        "problems": problems,
        "fields": fields,
    })
}

/// Each with its place, where it has one.
fn listed(problems: &Problems) -> Vec<Value> {
    let told = |problem: &Problem| {
        let (line, column) = problem.position().unzip();
        json!({ "field": problem.field(), "line": line, "column": column, "message": problem.message(), "fix": problem.fix() })
    };
    problems.iter().map(told).collect()
}

/// Reads everything anew, and says what became of it. Files may be slow: that is waited for on a thread of its own.
///
/// # Errors
///
/// [`Refusal::Failed`] if it came to no end.
pub async fn reload(State(admin): State<Shared>) -> Result<Response, Refusal> {
    // One at a time takes a thread; whoever leaves while he waits takes none.
    let turn = Arc::clone(&admin.reloading).lock_owned().await;
    let reloader = admin.reloader.clone();
    let reloaded = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        reloader.reload(Trigger::Admin)
    });
    let report = reloaded.await.map_err(|error| {
        tracing::error!(%error, "a reload came to no end");
        Refusal::Failed
    })?;
    let (result, generation) = (report.outcome.name(), report.generation);
    let (status, body) = match &report.outcome {
        Outcome::Applied { changed } => (StatusCode::OK, json!({ "result": result, "generation": generation, "changed": changed })),
        Outcome::Unchanged => (StatusCode::OK, json!({ "result": result, "generation": generation })),
        Outcome::Refused(problems) => {
            let (listed, text) = (listed(problems), problems.to_string());
            (StatusCode::UNPROCESSABLE_ENTITY, json!({ "result": result, "generation": generation, "problems": listed, "text": text }))
        }
        Outcome::RestartRequired { fields } => {
            (StatusCode::CONFLICT, json!({ "result": result, "generation": generation, "fields": fields }))
        }
    };
    Ok((status, Json(body)).into_response())
}
