//! What is wrong with a config: each problem with its line, its field and what to do about it.

use std::{error, fmt, ops::Range};

use super::{
    excerpt::Excerpt,
    mask,
    path::FieldPath,
    source::{Insertion, Node, Source, Span, Value},
};

/// The most problems of one run; whoever made more has one cause for most of them.
pub(super) const MOST: usize = 100;

/// What is wrong and what to do, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// What is wrong.
    message: String,
    /// A few words beside the caret; may be empty.
    note: String,
    /// What to do.
    fix: String,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { message: message.into(), note: String::new(), fix: fix.into() }
    }

    /// With a few words beside the caret.
    pub(super) fn noting(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    /// With each value that `${…}` put into `node` shown as its expression again: it came from outside and may be secret.
    pub(super) fn without_insertions(self, node: Option<&Node>) -> Self {
        let Self { message, note, fix } = self;
        Self { message: written(message, node), note: written(note, node), fix: written(fix, node) }
    }
}

/// `text` with each value that `${…}` put into `node` shown as its expression.
pub(super) fn written(mut text: String, node: Option<&Node>) -> String {
    if let Some(Value::Scalar(scalar)) = node.map(|node| &node.value) {
        for Insertion { expression, value } in scalar.inserted.iter().filter(|insertion| !insertion.value.is_empty()) {
            text = text.replace(value.as_str(), expression);
        }
    }
    text
}

/// A fault and its place, as the stages of loading note it down: not yet masked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    /// The field it is about.
    pub(super) path: FieldPath,
    /// Where that stands; `None` is the file as a whole.
    pub(super) span: Option<Span>,
    pub(super) fault: Fault,
}

/// One thing that is wrong with a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    fault: Fault,
    field: String,
    place: Option<Place>,
}

/// Where a problem stands, and the line there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
    excerpt: Excerpt,
}

impl Problem {
    fn of(finding: Finding, source: &Source, secrets: &[Span]) -> Self {
        // A value that goes on in the next line has swallowed a field there, as if its colon was forgotten.
        let swallowed = finding.span.and_then(|span| source.text.get(span.range())).and_then(Swallowed::of);
        let shown = |text: String| {
            let text = swallowed.as_ref().map_or_else(|| text.clone(), |swallowed| swallowed.taken_from(&text));
            mask::in_message(&finding.path.with_names_shown(text)).into_owned()
        };
        let Fault { message, note, fix } = finding.fault;
        Self {
            fault: Fault { message: shown(message), note: shown(note), fix: shown(fix) },
            field: finding.path.to_string(),
            place: finding.span.map(|span| Place::of(span, source, secrets)),
        }
    }

    /// What is wrong, in one sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.fault.message
    }

    /// The field it is about, such as `providers.openai.keys[2].weight`.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> &str {
        &self.fault.fix
    }

    /// Line and column, both from 1, the column in characters; `None` where the file as a whole is at fault.
    #[must_use]
    pub fn position(&self) -> Option<(usize, usize)> {
        self.place.as_ref().map(|place| (place.line, place.column))
    }
}

/// A value of several lines: the first, and the whole as YAML folds it (1.2.2 §6.5).
struct Swallowed<'s> {
    first: &'s str,
    whole: String,
}

impl<'s> Swallowed<'s> {
    fn of(written: &'s str) -> Option<Self> {
        let (first, _) = written.split_once('\n')?;
        Some(Self { first: first.trim_end(), whole: written.split('\n').map(str::trim).collect::<Vec<_>>().join(" ") })
    }

    fn taken_from(&self, text: &str) -> String {
        text.replace(&self.whole, &format!("{} …", self.first))
    }
}

impl Place {
    fn of(span: Span, source: &Source, secrets: &[Span]) -> Self {
        let (line, text, start) = source.line_at(span.start);
        let inside = |span: &Span| -> Range<usize> {
            span.start.clamp(start, start + text.len()) - start..span.end.clamp(start, start + text.len()) - start
        };
        let marked = inside(&span);
        // A comment may be a key that was taken out of use, or one in front of which a `#` got.
        let begins = |at: &usize| text.as_bytes()[*at] == b'#' && (*at == 0 || text.as_bytes()[*at - 1].is_ascii_whitespace());
        let comment = (marked.start..text.len()).find(begins).map(|at| at + 1..text.len());
        let secrets: Vec<_> = secrets.iter().map(inside).chain(comment).filter(|range| !range.is_empty()).collect();
        Self { line, column: text[..marked.start].chars().count() + 1, excerpt: Excerpt::of(text, &marked, &secrets) }
    }
}

/// Everything that is wrong with a config, in the order of the file. It prints as what `sidegate check` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    name: String,
    list: Vec<Problem>,
}

impl Problems {
    /// Places the findings in the source, in the order of the file; one that was met twice (through an alias) is shown once.
    pub(super) fn of(mut findings: Vec<Finding>, source: &Source, secrets: &[Span]) -> Self {
        findings.sort_by_key(|finding| finding.span.map_or((0, 0), |span| (1, span.start)));
        findings.dedup_by(|a, b| a.span.is_some() && (a.span, &a.fault.message) == (b.span, &b.fault.message));
        findings.truncate(MOST);
        let list = findings.into_iter().map(|finding| Problem::of(finding, source, secrets)).collect();
        Self { name: source.name.clone(), list }
    }

    /// One problem with the file as a whole.
    #[must_use]
    pub fn whole(name: &str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::of(vec![Finding { path: FieldPath::default(), span: None, fault: Fault::new(message, fix) }], &Source::new(name, ""), &[])
    }

    /// The problems, in the order of the file. There is at least one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Problem> {
        self.list.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Problem { fault: Fault { message, note, fix }, field, place } in &self.list {
            writeln!(f, "error: {message}")?;
            match place {
                None => writeln!(f, " --> {}\n  = field: {field}\n  = fix: {fix}\n", self.name)?,
                Some(Place { line, column, excerpt: Excerpt { line: text, indent, carets } }) => {
                    let margin = " ".repeat(line.to_string().len());
                    writeln!(f, "{margin}--> {}:{line}:{column}", self.name)?;
                    writeln!(f, "{margin} |")?;
                    writeln!(f, "{line} | {text}")?;
                    let carets = format!("{}{} {note}", " ".repeat(*indent), "^".repeat(*carets));
                    writeln!(f, "{margin} | {}", carets.trim_end())?;
                    writeln!(f, "{margin} = field: {field}")?;
                    writeln!(f, "{margin} = fix: {fix}\n")?;
                }
            }
        }
        let (count, more) = (self.list.len(), if self.list.len() == MOST { ", and there may be more" } else { "" });
        write!(f, "{count} {} in {}{more}", if count == 1 { "error" } else { "errors" }, self.name)
    }
}

impl error::Error for Problems {}
