//! What is kept of responses, and conversations, which hold what was said.

use serde_json::{Value, json};

use super::collections::{self, Kind, listing};
use crate::simulator::{
    answer::{Answer, Desk},
    ask::Ask,
    error::ApiError,
    script::Script,
    store::Object,
};

/// Where what a response was asked is kept beside it; no API shows it there.
const INPUT: &str = "_input";

/// Whether what a request builds upon is there, and is this account's.
pub(super) fn check_past(desk: &Desk<'_>, body: &Value) -> Result<(), ApiError> {
    if let Some(id) = body["previous_response_id"].as_str()
        && collections::find(desk, "responses", id).is_err()
    {
        let message = format!("Previous response with id '{id}' not found.");
        return Err(ApiError::parameter("previous_response_id", "previous_response_not_found", message));
    }
    conversation(body).map_or(Ok(()), |id| collections::find(desk, "conversations", id).map(drop))
}

fn conversation(body: &Value) -> Option<&str> {
    body["conversation"].as_str().or_else(|| body["conversation"]["id"].as_str())
}

/// Keeps a response unless the request forbids it, and what it says where it belongs to a conversation.
pub(super) fn keep(desk: &Desk<'_>, body: &Value, response: Value) {
    if let Some(conversation) = conversation(body) {
        let home = format!("conversations/{conversation}/items");
        for item in items(&body["input"]).into_iter().chain(response["output"].as_array().cloned().unwrap_or_default()) {
            add(desk, &home, item);
        }
    }
    if body["store"] == false {
        return;
    }
    let Some(id) = response["id"].as_str().map(str::to_owned) else { return };
    let input = Object::new(format!("responses/{id}/{INPUT}"), INPUT, json!(items(&body["input"])));
    let account = desk.key.owner.account;
    desk.provider.store.put(account, Object::new("responses", id, response));
    desk.provider.store.put(account, input);
}

/// An input as the items that it stands for.
fn items(input: &Value) -> Vec<Value> {
    let item = |item: &Value| {
        let mut item = item.clone();
        if item.is_object() {
            for (field, value) in [("id", Value::from("msg_simulated")), ("type", "message".into()), ("status", "completed".into())] {
                if item.get(field).is_none() {
                    item[field] = value;
                }
            }
            if let Value::String(text) = &item["content"] {
                item["content"] = json!([{ "type": "input_text", "text": text }]);
            }
        }
        item
    };
    match input {
        Value::Array(list) => list.iter().map(item).collect(),
        text => vec![item(&json!({ "role": "user", "content": text }))],
    }
}

/// `GET /v1/responses/{id}/input_items`.
pub(super) fn input_items(desk: &Desk<'_>, response: &Object) -> Script {
    let home = format!("responses/{}/{INPUT}", response.id);
    let kept = collections::find(desk, &home, INPUT).map_or(Value::Null, |object| object.json.clone());
    let mut items = kept.as_array().cloned().unwrap_or_default();
    if desk.query("order") != Some("asc") {
        items.reverse();
    }
    Script::at_once(&listing(items, false))
}

/// `POST /v1/conversations/{id}/items`.
pub(super) fn add_items(desk: &Desk<'_>, home: &str, ask: &Ask) -> Answer {
    let items_asked = ask.body["items"].as_array().ok_or_else(|| ApiError::missing("items"))?;
    let added = items(&items_asked.as_slice().into()).into_iter().filter_map(|item| add(desk, home, item)).collect();
    Ok(Script::at_once(&listing(added, false)))
}

fn add(desk: &Desk<'_>, home: &str, mut item: Value) -> Option<Value> {
    let kind = Kind::of("conversations", "items")?;
    if item["id"] == "msg_simulated" {
        item["id"] = Value::Null;
    }
    let mut shown = collections::create(desk, kind, home, item);
    if let Value::Object(fields) = &mut shown {
        fields.remove("object");
        fields.remove("created_at");
    }
    Some(shown)
}
