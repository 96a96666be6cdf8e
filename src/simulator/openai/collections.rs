//! What is made, listed, looked at, changed and deleted, all in the same way: files, batches, threads and the like.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{batches, born, files, models::CREATED, runs, stored, uploads};
use crate::simulator::{
    answer::{Answer, Desk},
    ask::Ask,
    error::{ApiError, INVALID_REQUEST},
    script::Script,
    store::Object,
};

/// How long what takes its time is in progress, so that a client sees it so at least once.
const MOMENT: Duration = Duration::from_millis(500);

/// Rows of a list where the request does not say, and the most that it may ask for.
const ROWS: usize = 20;
const MOST_ROWS: usize = 100;

/// A kind of object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// What it lies in; empty for what stands alone.
    parent: &'static str,
    /// The segment of the path: `files`.
    pub(super) name: &'static str,
    /// How its ids begin.
    prefix: &'static str,
    /// The field `object`.
    pub(super) object: &'static str,
    /// The field `object` of what was deleted; empty where nothing can be.
    deleted: &'static str,
    /// Whether it can be changed.
    changes: bool,
}

const fn kind(
    parent: &'static str,
    name: &'static str,
    prefix: &'static str,
    object: &'static str,
    deleted: &'static str,
    changes: bool,
) -> Kind {
    Kind { parent, name, prefix, object, deleted, changes }
}

const KINDS: [Kind; 15] = [
    kind("", "files", "file-", "file", "file", false),
    kind("", "uploads", "upload_", "upload", "", false),
    kind("", "batches", "batch_", "batch", "", false),
    kind("", "jobs", "ftjob-", "fine_tuning.job", "", false),
    kind("", "assistants", "asst_", "assistant", "assistant.deleted", true),
    kind("", "threads", "thread_", "thread", "thread.deleted", true),
    kind("", "vector_stores", "vs_", "vector_store", "vector_store.deleted", true),
    kind("", "conversations", "conv_", "conversation", "conversation.deleted", true),
    kind("", "responses", "resp_", "response", "response", false),
    kind("uploads", "parts", "part_", "upload.part", "", false),
    kind("threads", "messages", "msg_", "thread.message", "thread.message.deleted", true),
    kind("threads", "runs", "run_", "thread.run", "", true),
    kind("vector_stores", "files", "file-", "vector_store.file", "vector_store.file.deleted", true),
    kind("vector_stores", "file_batches", "vsfb_", "vector_store.file_batch", "", false),
    kind("conversations", "items", "msg_", "message", "conversation.item.deleted", false),
];

impl Kind {
    /// The kind of that name within `parent`.
    pub(super) fn of(parent: &str, name: &str) -> Option<&'static Self> {
        static ALL: [Kind; 15] = KINDS;
        ALL.iter().find(|kind| kind.parent == parent && kind.name == name)
    }
}

/// Answers one request about a collection or something in one.
pub(super) fn answer(desk: &Desk<'_>, ask: &Ask) -> Answer {
    let path = desk.path.strip_prefix("fine_tuning/").unwrap_or(desk.path);
    let segments: Vec<&str> = path.split('/').collect();
    if let (&Method::POST, ["threads", "runs"]) = (desk.method, &segments[..]) {
        return runs::create_with_thread(desk, ask);
    }
    let (kind, home, tail) = match &segments[..] {
        [parent, id, name, tail @ ..] if let Some(kind) = Kind::of(parent, name) => {
            find(desk, parent, id)?;
            (kind, format!("{parent}/{id}/{name}"), tail)
        }
        [name, tail @ ..] if let Some(kind) = Kind::of("", name) => (kind, (*name).to_owned(), tail),
        _ => return Err(desk.unknown()),
    };
    let listed = kind.name != "responses" && kind.name != "uploads";
    match (desk.method.as_str(), tail) {
        ("POST", []) if kind.name == "runs" => runs::create(desk, &home, ask),
        ("POST", []) if kind.name == "items" => stored::add_items(desk, &home, ask),
        ("POST", []) if listed || kind.name == "uploads" => {
            let fields = born::fields(desk, kind, &home, ask)?;
            Ok(Script::at_once(&create(desk, kind, &home, fields)))
        }
        ("GET", []) if listed => Ok(list(desk, kind, &home)),
        ("GET", [id]) => Ok(Script::at_once(&view(&*find(desk, &home, id)?))),
        ("POST", [id]) if kind.changes => change(desk, &home, id, ask),
        ("DELETE", [id]) if !kind.deleted.is_empty() => {
            let gone = desk.provider.store.remove(desk.key.owner.account, &home, id);
            gone.map(|_| Script::at_once(&json!({ "id": id, "object": kind.deleted, "deleted": true }))).ok_or_else(|| missing(&home, id))
        }
        ("GET", [id, what]) => part(desk, &home, (id, what)),
        ("POST", [id, action]) => act(desk, &home, (id, action), ask),
        _ => Err(desk.unknown()),
    }
}

/// Something of this account, or the 404 of what is another's or nobody's.
pub(super) fn find(desk: &Desk<'_>, home: &str, id: &str) -> Result<std::sync::Arc<Object>, ApiError> {
    desk.provider.store.get(desk.key.owner.account, home, id).ok_or_else(|| missing(home, id))
}

fn missing(home: &str, id: &str) -> ApiError {
    let name = home.rsplit('/').next().unwrap_or(home);
    let what = match name {
        "files" => "File object",
        "responses" => "response",
        "batches" => "batch",
        name => name.trim_end_matches('s'),
    };
    ApiError::unknown_object(what, id)
}

/// Makes an object. Its id is nobody else's: no seed decides it.
pub(super) fn create(desk: &Desk<'_>, kind: &Kind, home: &str, fields: Value) -> Value {
    create_with(desk, kind, home, fields, bytes::Bytes::new())
}

/// Makes an object with a content.
pub(super) fn create_with(desk: &Desk<'_>, kind: &Kind, home: &str, fields: Value, content: bytes::Bytes) -> Value {
    let id = match &fields["id"] {
        Value::String(id) => id.clone(),
        _ => format!("{}{:016x}{:08x}", kind.prefix, fastrand::u64(..), fastrand::u32(..)),
    };
    let mut json = json!({ "id": id, "object": kind.object, "created_at": CREATED });
    merge(&mut json, fields);
    json["id"] = id.as_str().into();
    let object = Object { content, ..Object::new(home, id, json) };
    view(&desk.provider.store.put(desk.key.owner.account, object))
}

/// Sets every field of `fields` in `json`.
pub(super) fn merge(json: &mut Value, fields: Value) {
    if let (Value::Object(json), Value::Object(fields)) = (json, fields) {
        json.extend(fields);
    }
}

/// An object as it is by now: what takes its time is kept as it will be.
pub(super) fn view(object: &Object) -> Value {
    let mut json = object.json.clone();
    if object.made.elapsed() < MOMENT {
        born::rejuvenate(&object.collection, &mut json);
    }
    json
}

/// A page of a list, newest first unless the request wants it otherwise.
fn list(desk: &Desk<'_>, kind: &Kind, home: &str) -> Script {
    let mut objects = desk.provider.store.list(desk.key.owner.account, home);
    if desk.query("order") != Some("asc") {
        objects.reverse();
    }
    if let Some(purpose) = desk.query("purpose") {
        objects.retain(|object| object.json["purpose"] == purpose);
    }
    let start = desk.query("after").and_then(|after| objects.iter().position(|object| object.id == after)).map_or(0, |at| at + 1);
    let rows = if kind.name == "files" && kind.parent.is_empty() { 10_000 } else { ROWS };
    let limit = desk.query("limit").and_then(|limit| limit.parse().ok()).map_or(rows, |limit: usize| limit.clamp(1, MOST_ROWS));
    let page: Vec<Value> = objects.iter().skip(start).take(limit).map(|object| view(object)).collect();
    Script::at_once(&listing(page, objects.len() > start + limit))
}

/// A list as the API shows it.
pub(super) fn listing(rows: Vec<Value>, has_more: bool) -> Value {
    let id = |row: Option<&Value>| row.map_or(Value::Null, |row| row["id"].clone());
    json!({ "object": "list", "first_id": id(rows.first()), "last_id": id(rows.last()), "data": rows, "has_more": has_more })
}

fn change(desk: &Desk<'_>, home: &str, id: &str, ask: &Ask) -> Answer {
    let mut fields = ask.body.clone();
    if let Value::Object(fields) = &mut fields {
        fields.retain(|name, _| !matches!(name.as_str(), "id" | "object" | "created_at"));
    }
    let changed = desk.provider.store.update(desk.key.owner.account, home, id, |json| merge(json, fields));
    changed.map(|object| Script::at_once(&view(&object))).ok_or_else(|| missing(home, id))
}

/// `GET …/{id}/{what}`: a content, or a list that is nearly always empty.
fn part(desk: &Desk<'_>, home: &str, (id, what): (&str, &str)) -> Answer {
    let object = find(desk, home, id)?;
    match (home, what) {
        ("files", "content") => Ok(files::content(&object)),
        ("responses", "input_items") => Ok(stored::input_items(desk, &object)),
        ("jobs", "events" | "checkpoints") | (_, "steps" | "files") => Ok(Script::at_once(&listing(Vec::new(), false))),
        (_, "content") => Ok(Script::at_once(&listing(Vec::new(), false))),
        _ => Err(desk.unknown()),
    }
}

/// `POST …/{id}/{action}`.
fn act(desk: &Desk<'_>, home: &str, (id, action): (&str, &str), ask: &Ask) -> Answer {
    let object = find(desk, home, id)?;
    match (home, action) {
        ("uploads", "complete") => uploads::complete(desk, &object, ask),
        ("vector_stores", "search") => Ok(Script::at_once(&json!({
            "object": "vector_store.search_results.page", "search_query": ask.body["query"], "data": [], "has_more": false, "next_page": null,
        }))),
        ("jobs", "pause" | "resume") => Ok(Script::at_once(&view(&object))),
        (_, "submit_tool_outputs") => Ok(Script::at_once(&view(&object))),
        (_, "cancel") => cancel(desk, home, &object),
        _ => Err(desk.unknown()),
    }
}

fn cancel(desk: &Desk<'_>, home: &str, object: &Object) -> Answer {
    let status = view(object)["status"].as_str().unwrap_or_default().to_owned();
    if matches!(status.as_str(), "completed" | "succeeded" | "incomplete" | "failed") {
        let error = ApiError::fixed(StatusCode::CONFLICT, INVALID_REQUEST, None, "");
        return Err(error.saying(format!("It can't be cancelled: its status is `{status}`.")));
    }
    let cancelled = desk.provider.store.update(desk.key.owner.account, home, &object.id, |json| {
        json["status"] = "cancelled".into();
        batches::clear_output(json);
    });
    cancelled.map(|object| Script::at_once(&view(&object))).ok_or_else(|| missing(home, &object.id))
}
