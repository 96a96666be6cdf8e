//! What to do about an error of YAML's syntax, and which part of a file that has no tree may be secret.

use serde_yaml::granit_parser::ErrorKind;

use super::{
    schema::is_harmless,
    source::{Source, Span},
};

/// What to do, where the parser's error tells.
pub(super) fn fix(kind: &ErrorKind) -> Option<&'static str> {
    let fix = match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart => "indent with blanks: YAML takes no tabs there",
        ErrorKind::SimpleKeyExpected => "write `name: value`, with a blank behind the colon",
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidMappingValueWhitespace => {
            "put the value on a line of its own, or quote a text that has `: ` in it"
        }
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent => "close the quotes of the text before this place",
        ErrorKind::UnexpectedCharacter { .. } => "remove the character, or quote the text that it stands in",
        ErrorKind::UnknownQuotedScalarEscape => "write `\\\\` for a backslash, or use single quotes",
        ErrorKind::InvalidIndentation | ErrorKind::ExpectedBlockMappingKey => "indent it like the fields beside it",
        _ => return None,
    };
    Some(fix)
}

/// What may be a secret in the line at `at`, in a file too broken to have a tree: everything behind the first field that
/// nobody vouches for, or the whole line where it names no field.
pub(super) fn unread(source: &Source, at: Span) -> Option<Span> {
    let (_, line, start) = source.line_at(at.start);
    let end = start + line.len();
    let mut fields = line.match_indices(':').map(|(colon, _)| (name_before(&line[..colon]), colon + 1, &line[colon + 1..])).peekable();
    if fields.peek().is_none() {
        // Nobody can say what it would have belonged to. Brackets alone say what is broken and nothing else.
        return line.contains(|c: char| c.is_alphanumeric()).then_some(Span { start, end });
    }
    // Behind a name, brackets or nothing open a section, whose own fields follow.
    let opens = |rest: &str| matches!(rest.trim_start().trim_start_matches('[').chars().next(), None | Some('{' | '#' | '&' | '*'));
    // A port and a URL have colons too. Where there is no name, it may have been torn off.
    let names = |name: &str, rest: &str| match name.chars().next() {
        Some(first) => first.is_ascii_alphabetic() && !rest.starts_with("//"),
        None => rest.starts_with(' '),
    };
    let found = fields.find(|(name, _, rest)| names(name, rest) && !is_harmless(name, "") && !opens(rest));
    found.map(|(_, colon, _)| Span { start: start + colon, end })
}

/// The word at the end of `text`, less its quotes.
fn name_before(text: &str) -> &str {
    let text = text.trim_end_matches([' ', '"', '\'']);
    text.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left to see of a line.
    fn seen(line: &str) -> &str {
        let source = Source::new("", line);
        unread(&source, Span::TOP).map_or(line, |hidden| &line[..hidden.start])
    }

    #[test]
    fn a_broken_line_shows_nothing_behind_a_field_that_may_hold_a_key() {
        for (line, shown) in [
            ("  value: hunter2: x", "  value:"),
            ("  value:hunter2", "  value:"),
            ("  - { weight: 1, \"value\": hunter2", "  - { weight: 1, \"value\":"),
            ("keys: [hunter2, x", "keys:"),
            ("keys: [{ env: A, weight: 1", "keys: [{ env: A, weight: 1"),
            ("my_key: hunter2", "my_key:"),
            (" : hunter2", " :"),
            ("  hunter2 behind a quote", ""),
            (" }]", " }]"),
            ("  openai: # comment", "  openai: # comment"),
            ("listen: address: 127.0.0.1", "listen: address: 127.0.0.1"),
        ] {
            assert_eq!(seen(line), shown);
        }
    }
}
