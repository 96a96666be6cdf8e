//! From the tree to plain data by serde, so that the derived `Deserialize` is the one truth about what is allowed.
//!
//! serde stops at the first error. So each error is noted, its node is pruned and the whole is read again, until
//! it succeeds: all errors of a file in one run, with positions.

use serde::de::DeserializeOwned;

use super::{
    decoder::{Decoder, Kind},
    path::FieldPath,
    problem::{Fault, Finding, MOST, written},
    source::{Node, Value},
    suggest,
};

/// Reads `T` from the tree, whose broken parts are pruned on the way. `None` where nothing is left to read.
pub(super) fn decode<T: DeserializeOwned>(tree: &mut Node, findings: &mut Vec<Finding>) -> Option<T> {
    while findings.len() < MOST {
        let error = match T::deserialize(Decoder::new(tree)) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let path = error.path();
        let known = matches!(error.kind, Kind::Missing { field } if tree.at(&path).is_some_and(|parent| parent.lost(field)));
        if !known {
            findings.push(describe(&error.kind, &path, tree));
        }
        if !tree.prune(&path) {
            return None;
        }
    }
    None
}

fn describe(kind: &Kind, path: &FieldPath, tree: &Node) -> Finding {
    let node = tree.at(path);
    let fault = match kind {
        Kind::Unknown { field, known } => unknown(path, field, known),
        Kind::Missing { field } => {
            Fault::new(format!("the field `{field}` is missing"), format!("add `{field}:`")).noting(format!("`{field}` is needed here"))
        }
        Kind::Variant { variant, known } => {
            let fault =
                Fault::new(format!("`{variant}` is not known here"), format!("write one of {}", suggest::listed(known.iter().copied())));
            fault.noting(suggest::did_you_mean(variant, known.iter().copied())).without_insertions(node)
        }
        Kind::Type { expected } => Fault::new(format!("expected {expected}, found {}", found(node)), type_fix(expected, node)),
        Kind::Name(text) | Kind::Custom(text) => custom(&written(text.clone(), node)),
    };
    let span = match kind {
        Kind::Unknown { .. } | Kind::Missing { .. } | Kind::Name(_) => tree.name_span(path),
        Kind::Variant { .. } | Kind::Type { .. } | Kind::Custom(_) => tree.value_span(path),
    };
    Finding { path: path.clone(), span: Some(span), fault }
}

fn unknown(path: &FieldPath, field: &str, known: &[&str]) -> Fault {
    if path.starts_with("routes") && matches!(field, "max_size" | "max_entries") {
        return Fault::new(format!("`{field}` is not for a route: one store serves all"), "write it below `cache:` at the top of the file");
    }
    let message = format!("unknown field `{field}`");
    let fields = suggest::listed(known.iter().copied());
    match suggest::nearest(field, known.iter().copied()) {
        Some(nearest) => Fault::new(message, format!("rename it to `{nearest}`; the fields here are {fields}"))
            .noting(format!("did you mean `{nearest}`?")),
        None => Fault::new(message, format!("remove it; the fields here are {fields}")),
    }
}

/// A text of ours says what is wrong and, behind a semicolon, what to write.
fn custom(text: &str) -> Fault {
    let (message, fix) = text.split_once("; ").unwrap_or((text, "correct the value"));
    Fault::new(message, fix)
}

/// What stands there, never its text: it may be a key in the wrong place.
fn found(node: Option<&Node>) -> &'static str {
    match node.map(|node| &node.value) {
        None => "nothing",
        Some(Value::Scalar(scalar)) if scalar.is_null() => "nothing",
        Some(Value::Scalar(scalar)) if scalar.may_be_number() => number_or_text(&scalar.text),
        Some(Value::Scalar(_)) => "a text in quotes",
        Some(Value::List(_)) => "a list",
        Some(Value::Map(_)) => "fields",
    }
}

fn number_or_text(text: &str) -> &'static str {
    match text.parse::<f64>() {
        Ok(number) if number < 0.0 => "a negative number",
        Ok(0.0) => "zero",
        Ok(number) if number.fract() != 0.0 => "a number with a fraction",
        Ok(_) => "a number",
        Err(_) => "a text",
    }
}

fn type_fix(expected: &str, node: Option<&Node>) -> String {
    let quoted = matches!(node.map(|node| &node.value), Some(Value::Scalar(scalar)) if !scalar.may_be_number() && scalar.text.parse::<f64>().is_ok());
    match expected {
        "a list" => "write `[a, b]`, or one `- item` a line".to_owned(),
        "fields" => "write `name: value` lines, indented below it".to_owned(),
        expected if quoted => format!("write {expected}: remove the quotes"),
        expected => format!("write {expected}"),
    }
}
