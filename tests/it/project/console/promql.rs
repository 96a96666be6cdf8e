//! Reads what an expression of PromQL asks for, as far as that must be known: which series, by which labels and words.

/// One selector of an expression.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Selector {
    /// The name.
    pub(super) metric: String,
    /// The labels it matches, each with its fixed words: none where it is a variable of the dashboard.
    pub(super) matchers: Vec<(String, Vec<String>)>,
    /// The function that it is the argument of; empty where there is none.
    pub(super) function: String,
    /// The span behind it, as it is written.
    pub(super) range: Option<String>,
    /// How far back it looks.
    pub(super) offset: Option<String>,
}

/// Words of the language that are followed by labels in parentheses.
const BEFORE_LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Words of the language that are no metric.
const OPERATORS: [&str; 7] = ["and", "or", "unless", "bool", "offset", "inf", "nan"];

/// A text, read from the left.
struct Reader<'t>(&'t str);

impl<'t> Reader<'t> {
    fn take(&mut self, is_part: impl Fn(char) -> bool) -> &'t str {
        let end = self.0.find(|c| !is_part(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    fn blanks(&mut self) {
        self.take(char::is_whitespace);
    }

    /// What stands between two signs, if the first is next.
    fn between(&mut self, open: char, close: char) -> Option<&'t str> {
        let rest = self.0.strip_prefix(open)?;
        let mut quoted = false;
        let end = rest.find(|c| {
            quoted ^= c == '"' && open != '"';
            !quoted && c == close
        })?;
        self.0 = &rest[end + close.len_utf8()..];
        Some(&rest[..end])
    }

    fn selector(&mut self, metric: &str, function: &str) -> Selector {
        let matchers = self.between('{', '}').map(matchers).unwrap_or_default();
        let range = self.between('[', ']').map(str::to_owned);
        self.blanks();
        let offset = self.0.strip_prefix("offset ").map(|rest| rest.split([' ', ')']).next().unwrap_or_default().to_owned());
        Selector { metric: metric.to_owned(), matchers, function: function.to_owned(), range, offset }
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':')
}

/// `a="b",c=~"d|e"` as its labels and words.
fn matchers(text: &str) -> Vec<(String, Vec<String>)> {
    let mut reader = Reader(text);
    let mut found = Vec::new();
    while !reader.0.is_empty() {
        let label = reader.take(is_name).to_owned();
        reader.take(|c| c != '"');
        let Some(words) = reader.between('"', '"') else { panic!("{text} is no list of matchers") };
        let fixed = words.split('|').filter(|word| !word.is_empty() && !word.starts_with('$')).map(str::to_owned);
        found.push((label, fixed.collect()));
        reader.take(|c| matches!(c, ',' | ' '));
    }
    found
}

/// Calls `name` for every name that is neither a function nor a word of the language, with what follows it and the function
/// around it, and `labels` for every list of labels.
fn read<'t>(expression: &'t str, mut name: impl FnMut(&'t str, &str, &mut Reader<'t>), mut labels: impl FnMut(&'t str)) {
    let (mut reader, mut function) = (Reader(expression), "");
    while let Some(next) = reader.0.chars().next() {
        if next.is_ascii_digit() {
            reader.take(|c| c.is_ascii_alphanumeric() || c == '.');
        } else if next == '"' {
            reader.between('"', '"').unwrap_or_else(|| panic!("a text has no end: {expression}"));
        } else if is_name(next) {
            let word = reader.take(is_name);
            reader.blanks();
            // `sum by (…)`: its labels come between its name and what it adds up.
            let aggregates =
                ["by", "without"].iter().any(|before| reader.0.strip_prefix(before).is_some_and(|rest| rest.starts_with([' ', '('])));
            if BEFORE_LABELS.contains(&word) {
                labels(reader.between('(', ')').unwrap_or_default());
            } else if reader.0.starts_with('(') && !OPERATORS.contains(&word) {
                function = word;
                reader.take(|c| c == '(');
                continue;
            } else if !aggregates && !OPERATORS.contains(&word) {
                name(word, function, &mut reader);
            }
            function = "";
        } else {
            // `rate` stays what is around what follows it, whatever blanks there are.
            reader.0 = &reader.0[next.len_utf8()..];
        }
    }
}

/// Every selector of an expression.
pub(super) fn selectors(expression: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    read(expression, |name, function, reader| found.push(reader.selector(name, function)), |_| ());
    found
}

/// Every label that an expression groups or joins by.
pub(super) fn grouped(expression: &str) -> Vec<String> {
    let mut found = Vec::new();
    read(
        expression,
        |_, _, _| (),
        |labels| found.extend(labels.split(',').map(|label| label.trim().to_owned()).filter(|label| !label.is_empty())),
    );
    found
}

#[test]
fn selectors_are_read_with_all_that_belongs_to_them() {
    let text = r#"sum by (a, b) (rate(x_total{c="d",e=~"$e",f!~"g|h"}[$__range])) / 2 > bool 14.4e-3 unless on (i) (y offset 1d == 0) or vector(0)"#;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let matchers = vec![("c".to_owned(), words(&["d"])), ("e".to_owned(), words(&[])), ("f".to_owned(), words(&["g", "h"]))];
    let first =
        Selector { metric: "x_total".to_owned(), matchers, function: "rate".to_owned(), range: Some("$__range".to_owned()), offset: None };
    let second = Selector { metric: "y".to_owned(), offset: Some("1d".to_owned()), ..Selector::default() };
    assert_eq!(selectors(text), [first, second]);
    assert_eq!(grouped(text), ["a", "b", "i"]);
}
