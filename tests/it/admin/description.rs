//! `docs/admin.openapi.json` names every endpoint, and every answer is as it says: each field that is there is described, and
//! each that is described as there is there.

use std::collections::BTreeSet;

use serde_json::Value;
use sidegate::server::admin::endpoint::Endpoint;

use super::{THREE_KEYS, ask, one, settled};
use crate::{
    project::files::read,
    support::{Provider, Script, Sidegate},
};

pub(super) fn document() -> Value {
    serde_json::from_str(&read("docs/admin.openapi.json")).unwrap()
}

/// What the document says of this path and method.
pub(super) fn operation<'d>(document: &'d Value, path: &str, method: &str) -> &'d Value {
    &document["paths"][path][method.to_lowercase()]
}

/// Everything in which `value` is not what `schema` says, beside its place.
pub(super) fn flaws(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return flaws(document, document.pointer(&reference[1..]).unwrap_or_else(|| panic!("no {reference}")), value, at);
    }
    if let Some(alternatives) = schema["oneOf"].as_array() {
        let each: Vec<_> = alternatives.iter().map(|one| flaws(document, one, value, at)).collect();
        return if each.iter().any(Vec::is_empty) { Vec::new() } else { each.concat() };
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allowed = |name: &Value| name == kind || (kind == "integer" && name == "number");
    let fits = schema["type"].as_array().map_or_else(|| allowed(&schema["type"]), |kinds| kinds.iter().any(allowed));
    let mut found = Vec::new();
    if !fits {
        found.push(format!("{at}: {value} is not {}", schema["type"]));
    }
    if let Some(words) = schema["enum"].as_array().filter(|words| !words.contains(value)) {
        found.push(format!("{at}: {value} is none of {words:?}"));
    }
    if let Some(items) = value.as_array() {
        found.extend(items.iter().enumerate().flat_map(|(i, item)| flaws(document, &schema["items"], item, &format!("{at}[{i}]"))));
    }
    if let (Some(fields), Some(described)) = (value.as_object(), schema["properties"].as_object()) {
        let required = schema["required"].as_array().unwrap();
        found.extend(required.iter().filter(|name| !fields.contains_key(name.as_str().unwrap())).map(|name| format!("{at}: no {name}")));
        for (name, value) in fields {
            match described.get(name) {
                Some(schema) => found.extend(flaws(document, schema, value, &format!("{at}.{name}"))),
                None => found.push(format!("{at}: {name} is not described")),
            }
        }
    }
    found
}

#[test]
fn it_names_every_endpoint_and_no_other() {
    let document = document();
    let described = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, operations)| operations.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone())));
    let served = Endpoint::ALL.map(|endpoint| (if endpoint.changes() { "POST" } else { "GET" }.to_owned(), endpoint.path().to_owned()));
    assert_eq!(described.collect::<BTreeSet<_>>(), served.into());
}

#[tokio::test]
async fn every_answer_is_as_described_before_traffic_and_after() {
    let document = document();
    let provider = Provider::start().await;
    let sidegate = Sidegate::start(THREE_KEYS, provider.address).await;
    for traffic in [false, true] {
        if traffic {
            provider.script(Script::ok("served"));
            provider.otherwise(Script::ok("served"));
            provider.script(Script::reply("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"));
            one(&sidegate, "/v1/models").await;
            one(&sidegate, "/v1/models").await;
            settled(&sidegate, 2).await;
        }
        for endpoint in Endpoint::ALL.into_iter().filter(|endpoint| !endpoint.changes()) {
            let reply = ask(sidegate.admin, "GET", endpoint.path(), "").await;
            let described = &operation(&document, endpoint.path(), "GET")["responses"][reply.status().to_string()]["content"];
            let kind = reply.head.get("content-type").unwrap();
            let schema = &described[kind.split(';').next().unwrap()]["schema"];
            assert!(schema.is_object(), "{} answers {} with {kind}", endpoint.path(), reply.status());
            if kind.starts_with("application/json") {
                assert_eq!(flaws(&document, schema, &reply.json(), endpoint.path()), [""; 0]);
            }
        }
    }
    assert_eq!(ask(sidegate.admin, "GET", "/openapi.json", "").await.json(), document);
}

#[test]
fn what_differs_from_its_description_is_found() {
    let document = document();
    let health = &document["components"]["schemas"]["Health"];
    assert!(flaws(&document, health, &serde_json::json!({ "status": "fine", "extra": 1 }), "x").len() > 10);
    assert_eq!(
        flaws(
            &document,
            &document["components"]["schemas"]["Error"],
            &serde_json::json!({ "error": { "message": "", "code": "no" } }),
            "x"
        )
        .len(),
        1
    );
}
