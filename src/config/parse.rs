//! From YAML to the tree: one document, bounded in size, depth and count, every key once.
//!
//! The bounds stand against files made to exhaust memory: an alias is copied where it is used, and what all
//! copies together may weigh is limited, so a few hundred bytes can't become millions of nodes.

use std::collections::HashMap;

use serde_yaml::granit_parser::{self as yaml, ErrorKind, Event, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::{
    path::{FieldPath, Step},
    problem::{Fault, Finding, MOST},
    source::{Entry, Node, Scalar, Source, Span, Value},
    syntax,
};

/// The most bytes of a config file.
pub(super) const MAX_SIZE: usize = 1 << 20;
/// The most levels of maps and lists.
const MAX_DEPTH: usize = 32;
/// The most nodes, those brought by aliases included.
const MAX_NODES: usize = 100_000;
/// The most that all copies made by aliases may weigh: one for each node and one for each byte of text.
const MAX_COPIED: usize = 1 << 16;

/// Reads the tree. Errors of syntax end the reading; what is wrong with keys is noted and read over.
pub(super) fn parse(source: &Source, findings: &mut Vec<Finding>) -> Option<Node> {
    let options = yaml::options! { emit_comments: false, emit_unresolved_aliases: true };
    let events = Parser::new_from_str_with_options(&source.text, options);
    let mut reader = Reader {
        text: &source.text,
        events,
        path: FieldPath::default(),
        depth: 0,
        open: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        copied: 0,
        findings: Vec::new(),
    };
    let tree = match reader.document() {
        Ok(tree) => tree,
        Err(stop) => {
            reader.findings.push(*stop);
            None
        }
    };
    findings.append(&mut reader.findings);
    tree
}

/// A problem after which the rest of the file can't be understood.
type Stop = Box<Finding>;

struct Reader<'t> {
    text: &'t str,
    events: Parser<'t, StrInput<'t>>,
    /// The field that is being read.
    path: FieldPath,
    /// Levels of maps and lists around it; more than `path` is long where a map stands in a key.
    depth: usize,
    /// The brackets and braces that are open.
    open: Vec<Span>,
    /// What each anchor stands for, and its weight. An anchor enters when its node is complete, so it can't hold itself.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    copied: usize,
    findings: Vec<Finding>,
}

impl<'t> Reader<'t> {
    fn document(&mut self) -> Result<Option<Node>, Stop> {
        let mut tree = None;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(tree),
                (Event::DocumentStart(..), span) if tree.is_some() => {
                    return Err(self.stop(span, "a second document starts here", "keep one document: remove the `---` and what follows"));
                }
                (Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _) => {}
                (event, span) => tree = Some(self.node(event, span)?),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Stop> {
        match self.events.next_event() {
            Some(Ok((event, span))) => {
                Ok((event, Span { start: span.start.byte_offset().unwrap_or(0), end: span.end.byte_offset().unwrap_or(0) }))
            }
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Ok((Event::StreamEnd, Span::TOP)),
        }
    }

    fn syntax(&self, error: &ScanError) -> Stop {
        let at = error.marker().byte_offset().unwrap_or(0);
        let span = Span { start: at, end: at + 1 };
        if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
            return self.too_deep(span);
        }
        let message = format!("this is no YAML: {}", error.kind());
        let fix = match (self.open.last(), syntax::fix(error.kind())) {
            (Some(_), _) if self.text.get(..at).is_some_and(|before| before.ends_with('$')) => {
                "inside of `{ }` and `[ ]`, write `\"${…}\"` with quotes".to_owned()
            }
            (_, Some(fix)) => fix.to_owned(),
            (Some(open), None) => {
                format!("close the `{}` of line {}, or correct what stands behind it", &self.text[open.range()], self.line(*open))
            }
            (None, None) => "correct the indentation, quotes or brackets at or just before this place".to_owned(),
        };
        self.stop(span, message, fix)
    }

    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node, Stop> {
        self.count(1, span)?;
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tagged = self.is_text_tag(tag.as_deref(), span)?;
                let plain = matches!(style, ScalarStyle::Plain) && !tagged;
                let text = if span.start == span.end && plain { String::new() } else { text.into_owned() };
                (Node::new(span, Value::Scalar(Scalar { text, plain, inserted: Vec::new() })), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span)?;
                (self.nested(span, Self::list)?, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span)?;
                (self.nested(span, Self::map)?, anchor)
            }
            Event::Alias(anchor) => return self.copy(anchor, span),
            Event::UnresolvedAlias(_) => {
                return Err(self.stop(
                    span,
                    "no anchor of this name stands before this alias",
                    "write the value itself, or quote a text that begins with `*`",
                ));
            }
            _ => return Err(self.stop(span, "this is no YAML: a value is missing", "write a value here")),
        };
        if anchor > 0 {
            let weight = weight(&node);
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        Ok(node)
    }

    /// Reads a list or a map one level further down.
    fn nested(&mut self, span: Span, read: fn(&mut Self, Span) -> Result<Node, Stop>) -> Result<Node, Stop> {
        if self.depth >= MAX_DEPTH {
            return Err(self.too_deep(span));
        }
        let flow = self.text.get(span.range()).is_some_and(|text| text.starts_with(['[', '{']));
        if flow {
            self.open.push(span);
        }
        self.depth += 1;
        let node = read(self, span)?;
        self.depth -= 1;
        if flow {
            self.open.pop();
        }
        Ok(node)
    }

    fn list(&mut self, mut span: Span) -> Result<Node, Stop> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, end) => {
                    span.end = span.end.max(end.end);
                    return Ok(Node::new(span, Value::List(items)));
                }
                (event, at) => {
                    self.path.0.push(Step::Item(items.len()));
                    items.push(self.node(event, at)?);
                    self.path.0.pop();
                }
            }
        }
    }

    fn map(&mut self, mut span: Span) -> Result<Node, Stop> {
        let flow = span.start < span.end;
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, Span> = HashMap::new();
        loop {
            let (event, key_span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                // A block's own end stands behind the blank lines after it; its first key is what an error points at.
                span.end = if flow { key_span.end } else { entries.first().map_or(span.end, |entry| entry.key_span.end) };
                return Ok(Node::new(span, Value::Map(entries)));
            }
            let key = self.key(event, key_span)?;
            self.path.0.push(Step::Field(key.as_deref().unwrap_or("?").into()));
            let (event, at) = self.next()?;
            let node = self.node(event, at)?;
            let counts = key.as_ref().is_some_and(|key| self.is_new(key, key_span, &seen));
            let key = key.unwrap_or_default();
            if counts {
                seen.insert(key.clone(), key_span);
            }
            // What does not count stays in its place all the same: an error must know what stands in its line.
            entries.push(Entry { key, key_span, node: Node { pruned: !counts, ..node } });
            self.path.0.pop();
        }
    }

    /// The text of a key; `None` for one that can't be a field's name, which is noted.
    fn key(&mut self, event: Event<'t>, span: Span) -> Result<Option<String>, Stop> {
        let node = self.node(event, span)?;
        match node.value {
            Value::Scalar(scalar) if scalar.plain && scalar.text == "<<" => {
                self.note(
                    span,
                    "merge keys (`<<`) are not supported",
                    "write the fields out, or give a whole value an anchor (`&name`) and use it elsewhere as `*name`",
                );
                Ok(None)
            }
            Value::Scalar(scalar) if !scalar.is_null() => Ok(Some(scalar.text)),
            _ => {
                self.note(
                    span,
                    "a field's name must be a text",
                    "write `name: value`, and quote a `${…}` or `{…}` that is meant as a text",
                );
                Ok(None)
            }
        }
    }

    fn is_new(&mut self, key: &str, span: Span, seen: &HashMap<String, Span>) -> bool {
        let Some(first) = seen.get(key) else { return true };
        let line = if self.findings.len() < MOST { self.line(*first) } else { 0 };
        self.note(span, format!("the field `{key}` is written twice"), format!("keep one of the two; the first is in line {line}"));
        false
    }

    /// The node an alias stands for, copied.
    fn copy(&mut self, anchor: usize, span: Span) -> Result<Node, Stop> {
        let Some((node, weight)) = self.anchors.get(&anchor) else {
            return Err(self.stop(span, "an alias stands inside of what it stands for", "write the value itself"));
        };
        let copied = self.copied + weight;
        if copied > MAX_COPIED {
            return Err(self.stop(
                span,
                "the aliases of this file bring more than a config can need",
                "write the values out, or use fewer aliases of aliases",
            ));
        }
        let node = node.clone();
        self.copied = copied;
        self.count(count(&node), span)?;
        Ok(node)
    }

    fn count(&mut self, more: usize, span: Span) -> Result<(), Stop> {
        self.nodes += more;
        if self.nodes > MAX_NODES {
            Err(self.stop(span, format!("more than {MAX_NODES} values in one file"), "a config needs far fewer: is this the right file?"))
        } else {
            Ok(())
        }
    }

    /// Whether the tag says that a scalar is a text; no other tag is taken.
    fn is_text_tag(&self, tag: Option<&Tag>, span: Span) -> Result<bool, Stop> {
        match tag {
            Some(tag) if tag.core_suffix() == Some("str") => Ok(true),
            tag => self.refuse_tag(tag, span).map(|()| false),
        }
    }

    fn refuse_tag(&self, tag: Option<&Tag>, span: Span) -> Result<(), Stop> {
        if tag.is_some() {
            Err(self.stop(span, "tags (`!…`) are not supported", "remove the tag; quote a text that begins with `!`"))
        } else {
            Ok(())
        }
    }

    /// The line of a place, from 1.
    fn line(&self, span: Span) -> usize {
        self.text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1
    }

    fn stop(&self, span: Span, message: impl Into<String>, fix: impl Into<String>) -> Stop {
        Box::new(Finding { path: self.path.clone(), span: Some(span), fault: Fault::new(message, fix) })
    }

    fn too_deep(&self, span: Span) -> Stop {
        let fix = "no setting is nested that deep: correct the indentation or the brackets";
        self.stop(span, format!("nested deeper than {MAX_DEPTH} levels"), fix)
    }

    fn note(&mut self, span: Span, message: impl Into<String>, fix: impl Into<String>) {
        if self.findings.len() < MOST {
            let finding = self.stop(span, message, fix);
            self.findings.push(*finding);
        }
    }
}

/// How many nodes a copy of this one brings.
fn count(node: &Node) -> usize {
    match &node.value {
        Value::Scalar(_) => 1,
        Value::List(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| 1 + count(&entry.node)).sum::<usize>(),
    }
}

/// What a copy of this node costs: one for each node and one for each byte of text.
fn weight(node: &Node) -> usize {
    match &node.value {
        Value::Scalar(scalar) => 1 + scalar.text.len(),
        Value::List(items) => 1 + items.iter().map(weight).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| entry.key.len() + weight(&entry.node)).sum::<usize>(),
    }
}
