//! The JSON Schema of the config, for editors, the reference page and the masking of errors.

use std::{collections::BTreeSet, sync::LazyLock};

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Config;

/// The JSON Schema (draft 2020-12) of `proxy.yaml`, made from the types that read it.
#[must_use]
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Config>();
    schema.insert("title".to_owned(), "Sidegate configuration".into());
    schema.to_value()
}

/// Fields whose values an error may not show: keys, and what people write there by mistake.
const SECRET: [&str; 5] = ["keys", "value", "sha256", "proxy", "token"];

/// The names of all fields that exist, less the secret ones.
static HARMLESS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let mut names = BTreeSet::new();
    collect(&schema(), &mut names);
    names.retain(|name| !SECRET.contains(&name.as_str()));
    names
});

/// Whether an error may show `value` under `field`: the field exists, holds no key, and the value is what belongs there.
pub(super) fn is_harmless(field: &str, value: &str) -> bool {
    let fits =
        field != "env" || value.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'*'));
    fits && HARMLESS.contains(field) || is_expression(value)
}

/// Whether the value is nothing but the name of a variable or a file; a default may be a key.
fn is_expression(value: &str) -> bool {
    value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).is_some_and(|name| !name.contains(":-") && !name.contains('}'))
}

/// Every property of every object in the schema.
fn collect(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::Object(properties)) = fields.get("properties") {
                names.extend(properties.keys().cloned());
            }
            fields.values().for_each(|value| collect(value, names));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        _ => {}
    }
}
