//! `${VAR}`, `${VAR:-default}` and `${file:path}` in values, put in after the YAML was read, so that what
//! they bring can't change the structure. `$$` is a dollar sign. Names of fields are never expanded.

use std::path::{Path, PathBuf};

use super::{
    environment::Environment,
    files,
    path::FieldPath,
    problem::{Fault, Finding, MOST},
    source::{Insertion, Node, Scalar, Source, Span, Value},
    suggest,
};

/// The most bytes that all expressions of a file together may bring.
const MAX_INSERTED: usize = 1 << 20;

/// Where values come from, and what was read on the way.
pub(super) struct Expansion<'e> {
    pub(super) environment: &'e Environment,
    /// What relative paths start from.
    pub(super) directory: &'e Path,
    pub(super) source: &'e Source,
    pub(super) findings: &'e mut Vec<Finding>,
    /// The files that were read.
    pub(super) files: &'e mut Vec<PathBuf>,
    inserted: usize,
}

impl<'e> Expansion<'e> {
    pub(super) fn new(
        environment: &'e Environment,
        directory: &'e Path,
        source: &'e Source,
        findings: &'e mut Vec<Finding>,
        files: &'e mut Vec<PathBuf>,
    ) -> Self {
        Self { environment, directory, source, findings, files, inserted: 0 }
    }

    /// Expands every value at and below `node`. One that can't be expanded is noted and pruned.
    pub(super) fn expand(&mut self, node: &mut Node, path: &FieldPath) {
        match &mut node.value {
            Value::Scalar(scalar) if scalar.text.contains('$') => {
                if let Err((expression, fault)) = self.scalar(scalar) {
                    let span = Some(self.find(&expression, node.span));
                    if self.findings.len() < MOST {
                        self.findings.push(Finding { path: path.clone(), span, fault });
                    }
                    node.pruned = true;
                }
            }
            Value::Scalar(_) => {}
            Value::List(items) => items.iter_mut().enumerate().for_each(|(i, item)| self.expand(item, &path.then(i))),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| self.expand(&mut entry.node, &path.then(entry.key.as_str()))),
        }
    }

    fn scalar(&mut self, scalar: &mut Scalar) -> Result<(), (String, Fault)> {
        let written = std::mem::take(&mut scalar.text);
        let mut rest = written.as_str();
        while let Some(at) = rest.find('$') {
            scalar.text.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("$$") {
                scalar.text.push('$');
                rest = after;
            } else if rest.starts_with("${") {
                let unclosed = || Fault::new("this `${` has no `}`", "close it, or write `$${` for the text `${`");
                let end = rest.find('}').ok_or_else(|| (rest.to_owned(), unclosed()))? + 1;
                let expression = &rest[..end];
                let value = self.value(&expression[2..end - 1]).map_err(|fault| (expression.to_owned(), fault))?;
                scalar.text.push_str(&value);
                scalar.inserted.push(Insertion { expression: expression.to_owned(), value });
                rest = &rest[end..];
            } else {
                scalar.text.push('$');
                rest = &rest[1..];
            }
        }
        scalar.text.push_str(rest);
        Ok(())
    }

    /// What the expression between the braces stands for.
    fn value(&mut self, expression: &str) -> Result<String, Fault> {
        let value = match expression.strip_prefix("file:") {
            Some(path) => self.file(path)?,
            None => self.variable(expression)?,
        };
        self.inserted += value.len();
        if self.inserted > MAX_INSERTED {
            return Err(Fault::new(
                "the values put in for `${…}` are larger than a config can need",
                "check what the variables and files hold",
            ));
        }
        Ok(value)
    }

    fn file(&mut self, path: &str) -> Result<String, Fault> {
        let path = self.directory.join(path);
        self.files.push(path.clone());
        let text = files::read_text(&path).map_err(|why| {
            Fault::new(format!("the file `{}` can't be read: {why}", path.display()), "correct the path, or let this user read the file")
        })?;
        Ok(text.trim_end_matches(['\n', '\r']).to_owned())
    }

    /// As in a shell, a default also stands in for a variable that is set to nothing.
    fn variable(&self, expression: &str) -> Result<String, Fault> {
        let (name, default) = expression.split_once(":-").map_or((expression, None), |(name, default)| (name, Some(default)));
        if !is_name(name) {
            return Err(Fault::new("this is no expression", "write `${VAR}`, `${VAR:-default}` or `${file:path}`; `$$` is a dollar sign"));
        }
        match (self.environment.get(name), default) {
            (Some(value), None) => Ok(value.to_owned()),
            (Some(value), Some(_)) if !value.is_empty() => Ok(value.to_owned()),
            (_, Some(default)) => Ok(default.to_owned()),
            (None, None) => {
                let fix = format!("set it before the start, or give a default: `${{{name}:-default}}`");
                let fault = Fault::new(format!("the environment variable `{name}` is not set"), fix);
                Err(fault.noting(suggest::did_you_mean(name, self.environment.names())))
            }
        }
    }

    /// Where the expression stands, if it is written there as it was read; else the whole value.
    fn find(&self, expression: &str, span: Span) -> Span {
        let written = self.source.text.get(span.range()).and_then(|text| text.find(expression));
        written.map_or(span, |at| Span { start: span.start + at, end: span.start + at + expression.len() })
    }
}

/// Whether `text` can be the name of an environment variable: letters, digits and `_`, no digit first.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
