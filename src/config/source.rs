//! The text of a config and the tree in it, every node with the place where it stands.

use std::ops::Range;

use super::{
    path::{FieldPath, Step},
    suggest,
};

/// A range of bytes in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    /// The first position of the text.
    pub(super) const TOP: Self = Self { start: 0, end: 0 };

    /// The range as a slice index.
    pub(super) fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// The text of a config and the name under which errors speak of it.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) text: String,
}

impl Source {
    pub(super) fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// The number (from 1), the text and the first byte's position of the line that holds the byte at `at`.
    /// A position in no line (the end of a file that ends in a newline) counts as the end of the last line.
    pub(super) fn line_at(&self, at: usize) -> (usize, &str, usize) {
        let mut at = at.min(self.text.len());
        if at == self.text.len() && self.text.ends_with('\n') {
            at -= 1;
        }
        let start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[start..].lines().next().unwrap_or("");
        (self.text[..start].matches('\n').count() + 1, line, start)
    }
}

/// One value of the tree. Nothing here has a `Debug`: what stands under `value:` is a key.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
    /// Taken out because something is wrong with it, which has been reported. It stays in its place, so that the paths
    /// of its neighbours stay right and nobody complains that it is missing.
    pub(super) pruned: bool,
}

/// What a node holds.
#[derive(Clone)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A text, a number, a truth value or nothing: which of them shows only when a field asks for it.
#[derive(Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Written without quotes: only then it may be a number, a truth value or nothing.
    pub(super) plain: bool,
    /// What `${…}` put into the text, with the expression it replaced. Values from outside are never shown.
    pub(super) inserted: Vec<Insertion>,
}

/// A value that came from the environment or from a file.
#[derive(Clone)]
pub(super) struct Insertion {
    pub(super) expression: String,
    pub(super) value: String,
}

/// One field of a map.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) node: Node,
}

impl Scalar {
    /// Whether it may be a number or a truth value, which a text in quotes is not; but `"${VAR}"` may be, for YAML
    /// wants the quotes inside of `{ }`.
    pub(super) fn may_be_number(&self) -> bool {
        self.plain || !self.inserted.is_empty()
    }

    /// Whether it stands for nothing (YAML 1.2 core schema, §10.3.2). What `${…}` brought is a value, if an empty one.
    pub(super) fn is_null(&self) -> bool {
        self.plain && self.inserted.is_empty() && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

impl Node {
    pub(super) fn new(span: Span, value: Value) -> Self {
        Self { span, value, pruned: false }
    }

    /// The direct part of this node behind `step`, pruned or not.
    pub(super) fn child(&self, step: &Step) -> Option<&Self> {
        match (&self.value, step) {
            (Value::Map(entries), Step::Field(name)) => entries.iter().find(|entry| *entry.key == **name).map(|entry| &entry.node),
            (Value::List(items), Step::Item(index)) => items.get(*index),
            _ => None,
        }
    }

    fn child_mut(&mut self, step: &Step) -> Option<&mut Self> {
        match (&mut self.value, step) {
            (Value::Map(entries), Step::Field(name)) => entries.iter_mut().find(|entry| *entry.key == **name).map(|entry| &mut entry.node),
            (Value::List(items), Step::Item(index)) => items.get_mut(*index),
            _ => None,
        }
    }

    /// The node at the end of `path`, pruned or not.
    pub(super) fn at(&self, path: &FieldPath) -> Option<&Self> {
        path.0.iter().try_fold(self, |node, step| node.child(step))
    }

    /// Takes the node at `path` out. The top itself can't be taken out: then the answer is false.
    pub(super) fn prune(&mut self, path: &FieldPath) -> bool {
        if path.0.is_empty() {
            return false;
        }
        match path.0.iter().try_fold(self, |node, step| node.child_mut(step)) {
            Some(node) => !std::mem::replace(&mut node.pruned, true),
            None => false,
        }
    }

    /// Whether it has been reported already why this map lacks the field: it was taken out, or its name was mistyped.
    pub(super) fn lost(&self, field: &str) -> bool {
        let Value::Map(entries) = &self.value else { return false };
        entries.iter().any(|entry| entry.node.pruned && (entry.key == field || suggest::nearest(&entry.key, [field]).is_some()))
    }

    /// Whether nothing at or below this node was taken out.
    pub(super) fn is_intact(&self) -> bool {
        !self.pruned
            && match &self.value {
                Value::Scalar(_) => true,
                Value::List(items) => items.iter().all(Self::is_intact),
                Value::Map(entries) => entries.iter().all(|entry| entry.node.is_intact()),
            }
    }

    /// Where an error about the field at `path` points: at its name; for an item of a list at the item; and for a field
    /// that was not written, at the nearest thing around it.
    pub(super) fn name_span(&self, path: &FieldPath) -> Span {
        let (mut node, mut span) = (self, self.span);
        for step in &path.0 {
            let Some(child) = node.child(step) else { break };
            span = match (&node.value, step) {
                (Value::Map(entries), Step::Field(name)) => {
                    entries.iter().find(|entry| *entry.key == **name).map_or(span, |entry| entry.key_span)
                }
                _ => child.span,
            };
            node = child;
        }
        span
    }

    /// Where an error about the value at `path` points: at the value, or as [`Self::name_span`] where none was written.
    pub(super) fn value_span(&self, path: &FieldPath) -> Span {
        match self.at(path) {
            Some(node) if matches!(&node.value, Value::Scalar(scalar) if !scalar.text.is_empty()) => node.span,
            _ => self.name_span(path),
        }
    }

    /// Every scalar that does not stand under a field for which `harmless` vouches, given the field's name and the value.
    /// What is under an unknown field, a pool's `keys` or a provider's own name may be a key, wherever it was meant to go.
    /// Of a name that holds more than a name, what is too much; `shown` tells how many bytes of it are not.
    pub(super) fn secrets(&self, harmless: &dyn Fn(&str, &str) -> bool, shown: &dyn Fn(&str, &str) -> usize) -> Vec<Span> {
        let mut found = Vec::new();
        self.collect_secrets("", harmless, shown, &mut found);
        found
    }

    fn collect_secrets(
        &self,
        field: &str,
        harmless: &dyn Fn(&str, &str) -> bool,
        shown: &dyn Fn(&str, &str) -> usize,
        found: &mut Vec<Span>,
    ) {
        match &self.value {
            Value::Scalar(scalar) if scalar.is_null() || harmless(field, &scalar.text) => {}
            Value::Scalar(_) => found.push(self.span),
            Value::List(items) => items.iter().for_each(|item| item.collect_secrets(field, harmless, shown, found)),
            Value::Map(entries) => entries.iter().for_each(|entry| {
                let (Span { start, end }, count) = (entry.key_span, shown(field, &entry.key));
                if count < entry.key.len() {
                    // In quotes its letters stand elsewhere than in the text that they mean.
                    let plain = end - start == entry.key.len();
                    found.push(Span { start: if plain { start + count } else { start }, end });
                }
                entry.node.collect_secrets(&entry.key, harmless, shown, found);
            }),
        }
    }
}
