//! `require_end:`: a file that says where it ends, so that one that was cut off anywhere is never taken for a whole one.
//!
//! Most beginnings of a YAML file are YAML files. With the field first, each of them either lacks the end or breaks off in the
//! field itself, and both are errors.

use super::{
    path::FieldPath,
    problem::{Fault, Finding},
    source::{Node, Source, Span, Value},
};

const FIELD: &str = "require_end";

/// The last line of such a file.
const END: &str = "\n...\n";

/// Refuses a file that says it has an end, and has none.
pub(super) fn check(source: &Source, tree: &Node, findings: &mut Vec<Finding>) {
    let Value::Map(entries) = &tree.value else { return };
    let Some(place) = entries.iter().position(|entry| entry.key == FIELD) else { return };
    let field = &entries[place].node;
    if !matches!(&field.value, Value::Scalar(scalar) if scalar.text == "true") {
        return;
    }
    let path = FieldPath::default().then(FIELD);
    if place > 0 {
        let fault = Fault::new("`require_end` is not the first field", "write it first: a file that is cut off before it would be valid");
        findings.push(Finding { span: Some(tree.name_span(&path)), path: path.clone(), fault });
    }
    let text = source.text.replace("\r\n", "\n");
    // An earlier one would end the file as well.
    if text.find(END) != text.len().checked_sub(END.len()) {
        let fault = Fault::new("the file has no end", "make `...` its last line, once and with a line break behind; or it was cut off");
        let last = source.text.trim_end().len();
        findings.push(Finding { path, span: Some(Span { start: last, end: last }), fault });
    }
}
