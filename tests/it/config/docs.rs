//! `docs/proxy.schema.json` and `docs/config.md` are made from the types. `UPDATE_DOCS=1` writes them anew.

use std::{fmt::Write, fs, slice};

use serde_json::{Map, Value};
use sidegate::config;

use super::root;

#[test]
fn the_schema_in_docs_is_that_of_the_types() {
    is_current("docs/proxy.schema.json", &format!("{:#}\n", config::schema()));
}

#[test]
fn the_reference_in_docs_is_that_of_the_types() {
    is_current("docs/config.md", &reference());
}

#[test]
fn the_page_on_reloads_names_each_field_that_needs_a_restart() {
    let named: Vec<_> = config::diff::RESTART.iter().map(|field| format!("`{field}`")).collect();
    let page = fs::read_to_string(root().join("docs/reload.md")).unwrap();
    assert!(page.contains(&format!("\n  {}.\n", named.join(", "))), "docs/reload.md does not say: {}", named.join(", "));
}

fn is_current(file: &str, expected: &str) {
    let path = root().join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{file} is not what the types say; UPDATE_DOCS=1 cargo test --test it docs:: writes it anew");
}

const HEAD: &str = "# Configuration

*Generated from the types that read the file. Do not edit: `UPDATE_DOCS=1 cargo test --test it docs::` writes it anew.*

One YAML file, by default `proxy.yaml` in the working directory; `sidegate --config FILE` names another. Without a file,
`OPENAI_API_KEY=… sidegate` serves OpenAI on 127.0.0.1:8080. `sidegate check FILE` prints everything that is wrong with a
file and exits 64; `sidegate schema` prints the JSON Schema, and the first line of `proxy.yaml` names it for editors.

- Unknown and repeated fields are errors. Merge keys (`<<`), tags and a second document are refused; anchors and aliases work.
- Values may hold `${VAR}`, `${VAR:-default}` (also for a variable that is set to nothing) and `${file:path}`; `$$` is a dollar
  sign. What they bring is a value, never structure: quotes, colons and line breaks in it mean nothing. Inside of `{ }` and `[ ]`
  YAML wants quotes around them: `{ weight: \"${WEIGHT}\" }`.
- Durations are a whole number and `ms`, `s`, `m`, `h` or `d`; sizes a whole number and `B`, `KB`, `MB`, `GB`, `KiB`, `MiB` or `GiB`.
- Relative paths start from the directory of the config file.
- A file has at most 1 MiB, 32 levels and 100,000 values, those that aliases bring included.
";

/// A table for each section, in the order in which they are first named.
fn reference() -> String {
    let schema = config::schema();
    let mut page = HEAD.to_owned();
    let mut sections = vec![(String::new(), schema.clone())];
    let mut done = 0;
    while done < sections.len() {
        let (path, section) = sections[done].clone();
        done += 1;
        let title = if path.is_empty() { "The whole file".to_owned() } else { format!("`{path}`") };
        let about = section["description"].as_str().unwrap_or_default();
        write!(page, "\n## {title}\n\n{about}\n\n| field | type | default | meaning |\n| --- | --- | --- | --- |\n").unwrap();
        for (name, field) in section["properties"].as_object().unwrap_or(&Map::new()) {
            let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let (kind, below) = kind(&schema, field, &at);
            let required = section["required"].as_array().is_some_and(|required| required.iter().any(|field| field == name));
            let default = default(field, required, below.is_some());
            let meaning = field["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|");
            let restart = if config::diff::needs_restart(&at) { " *A change needs a restart.*" } else { "" };
            writeln!(page, "| `{name}` | {kind} | {default} | {meaning}{restart} |").unwrap();
            sections.extend(below.filter(|(path, _)| sections.iter().all(|(known, _)| known != path)));
        }
    }
    page
}

/// A field's type in words, and the section that describes its parts if it has any.
fn kind(schema: &Value, field: &Value, at: &str) -> (String, Option<(String, Value)>) {
    if let Some(name) = field["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/")) {
        let section = &schema["$defs"][name];
        return if section["properties"].is_object() {
            ("section".to_owned(), Some((at.to_owned(), section.clone())))
        } else if let [short, fields] = alternatives_of(section) {
            match kind(schema, fields, at) {
                (_, Some(below)) => (format!("{}, or section", short_form(short)), Some(below)),
                _ => (named(name, section), None),
            }
        } else {
            (named(name, section), None)
        };
    }
    let alternatives = field["anyOf"].as_array().or(field["oneOf"].as_array());
    if let Some(kind_of) = alternatives.and_then(|all| all.iter().find(|one| one["type"] != "null")) {
        return kind(schema, kind_of, at);
    }
    let by_name = field["patternProperties"].as_object().and_then(|patterns| patterns.values().next());
    if let Some(values) = by_name {
        let (kind, below) = kind(schema, values, &format!("{at}.NAME"));
        return (if below.is_some() { "section by name".to_owned() } else { format!("by name: {kind}") }, below);
    }
    if let Some(items) = field.get("items") {
        let (kind, below) = kind(schema, items, &format!("{at}[]"));
        return (if kind == "section" { "list of sections".to_owned() } else { format!("list of: {kind}") }, below);
    }
    let kind = field["type"].as_str().or_else(|| field["type"].as_array().and_then(|kinds| kinds[0].as_str()));
    (kind.unwrap_or("any").replace("integer", "whole number").replace("string", "text"), None)
}

fn alternatives_of(section: &Value) -> &[Value] {
    section["anyOf"].as_array().map_or(&[], Vec::as_slice)
}

/// What may stand in the place of a section: a word, or the name of something.
fn short_form(short: &Value) -> String {
    let names = short["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/"));
    match names {
        Some("ProviderName") => "provider's name".to_owned(),
        Some(other) => other.to_owned(),
        None => {
            let words = short["enum"].as_array().map_or(slice::from_ref(&short["const"]), Vec::as_slice);
            words.iter().map(|word| format!("`{}`", word.as_str().unwrap_or_default())).collect::<Vec<_>>().join(", ")
        }
    }
}

/// A type that is no section: its words, or its name in lower case with an example.
fn named(name: &str, section: &Value) -> String {
    // A version may be written as a number or as a text; one of the two is enough here.
    let words = |values: &[Value]| {
        let mut words: Vec<_> = values.iter().map(|value| format!("`{}`", value.as_str().unwrap_or(&value.to_string()))).collect();
        words.dedup();
        words.join(", ")
    };
    if let Some(values) = section["enum"].as_array() {
        return words(values);
    }
    if let Some(variants) = section["oneOf"].as_array() {
        return words(&variants.iter().map(|variant| variant["const"].clone()).collect::<Vec<_>>());
    }
    let spaced = name.chars().enumerate().fold(String::new(), |text, (i, c)| {
        format!("{text}{}{}", if c.is_uppercase() && i > 0 { " " } else { "" }, c.to_ascii_lowercase())
    });
    match section["examples"].as_array() {
        Some(examples) => format!("{spaced}, such as {}", words(examples)),
        None => spaced,
    }
}

fn default(field: &Value, required: bool, is_section: bool) -> String {
    match &field["default"] {
        _ if required => "**required**".to_owned(),
        Value::Null | Value::Object(_) if is_section => "see below".to_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Null => "none".to_owned(),
        Value::String(text) => format!("`{text}`"),
        value => format!("`{value}`"),
    }
}
