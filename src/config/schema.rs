//! The JSON Schema of the config, for editors, the reference page and the masking of errors.

use std::{collections::BTreeSet, sync::LazyLock};

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::{Config, Continent, Country, Network, suggest};

/// The JSON Schema (draft 2020-12) of `proxy.yaml`, made from the types that read it.
#[must_use]
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Config>();
    schema.insert("title".to_owned(), "Sidegate configuration".into());
    schema.to_value()
}

/// Fields whose values an error may not show, beside every [`SecretText`](super::SecretText): keys, and what people write
/// there by mistake.
const SECRET: [&str; 5] = ["keys", "sha256", "proxy", "d", "k"];

/// The names of all fields that exist.
struct Names {
    harmless: BTreeSet<String>,
    secret: BTreeSet<String>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let (mut harmless, mut secret) = (BTreeSet::new(), BTreeSet::from(SECRET.map(str::to_owned)));
    collect(&schema(), &mut harmless, &mut secret);
    harmless.retain(|name| !secret.contains(name));
    Names { harmless, secret }
});

/// How many bytes of a field's name an error may show, given the field that it stands in. Where a colon was forgotten, what
/// should be a value is part of a name: behind what a name is made of nothing is shown, and among the fields of a key
/// only what is nearly one of them.
pub(super) fn shown(parent: &str, name: &str) -> usize {
    let Names { harmless, secret } = &*NAMES;
    if secret.contains(parent) && !harmless.contains(name) && !secret.contains(name) {
        let near = suggest::nearest(name, harmless.iter().chain(secret).map(String::as_str));
        return if near.is_some() { name.len() } else { 0 };
    }
    name.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))).unwrap_or(name.len())
}

/// Whether an error may show `value` under `field`: the field exists, holds no key, and the value is what belongs there.
pub(super) fn is_harmless(field: &str, value: &str) -> bool {
    let fits =
        field != "env" || value.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'*'));
    fits && NAMES.harmless.contains(field) || is_expression(value) || is_place(value)
}

/// Whether the value is nothing but the name of a variable or a file; a default may be a key.
fn is_expression(value: &str) -> bool {
    value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).is_some_and(|name| !name.contains(":-") && !name.contains('}'))
}

/// Whether the value is a network or the code of a place, which stand under names that the operator chose.
fn is_place(value: &str) -> bool {
    value.parse::<Network>().is_ok() || value.parse::<Country>().is_ok() || value.parse::<Continent>().is_ok()
}

/// Every property of every object in the schema, and those that hold a secret.
fn collect(schema: &Value, names: &mut BTreeSet<String>, secret: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::Object(properties)) = fields.get("properties") {
                names.extend(properties.keys().cloned());
                secret.extend(properties.iter().filter(|(_, property)| is_secret(property)).map(|(name, _)| name.clone()));
            }
            fields.values().for_each(|value| collect(value, names, secret));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, names, secret)),
        _ => {}
    }
}

/// Whether a property is a [`SecretText`](super::SecretText), or one that may be left out.
fn is_secret(property: &Value) -> bool {
    let refers = |schema: &Value| schema["$ref"] == "#/$defs/SecretText";
    refers(property) || property["anyOf"].as_array().is_some_and(|all| all.iter().any(refers))
}
