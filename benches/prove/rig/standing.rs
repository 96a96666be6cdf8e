//! What the admin listener says of keys and breakers, as far as a bar needs it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::admin::Admin;

/// A breaker: the model it is of, none for the host's, and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Phase {
    pub(crate) model: Option<String>,
    pub(crate) state: String,
}

/// `GET /breakers`.
pub(crate) async fn breakers(admin: &mut Admin) -> Vec<Phase> {
    let mut found = Vec::new();
    rows(&json(admin, "/breakers").await, &mut |row| {
        if let Some(state) = row["state"].as_str() {
            found.push(Phase { model: row["model"].as_str().map(str::to_owned), state: state.to_owned() });
        }
    });
    found
}

/// Each key of `GET /keys` with its state, and how many there are of a state.
pub(crate) async fn health(admin: &mut Admin) -> BTreeMap<String, usize> {
    let mut states = BTreeMap::new();
    rows(&json(admin, "/keys").await, &mut |row| {
        if let Some(state) = row["state"].as_str().filter(|_| row.get("id").is_some()) {
            *states.entry(state.to_owned()).or_default() += 1;
        }
    });
    states
}

/// The sum of a counter over all its labels.
pub(crate) async fn counted(admin: &mut Admin, name: &str) -> f64 {
    let (_, text) = admin.ask("GET", "/metrics").await.expect("the admin listener answers");
    let lines = text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

async fn json(admin: &mut Admin, path: &str) -> Value {
    let (status, body) = admin.ask("GET", path).await.expect("the admin listener answers");
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).expect("JSON")
}

/// Every object in there, however deep.
fn rows(value: &Value, visit: &mut impl FnMut(&Value)) {
    match value {
        Value::Object(fields) => {
            visit(value);
            fields.values().for_each(|field| rows(field, visit));
        }
        Value::Array(members) => members.iter().for_each(|member| rows(member, visit)),
        _ => {}
    }
}
