//! Finds what may be a credential in a line of config, so that no error message repeats one.
//!
//! Two nets, one behind the other. Where the tree is known, every value that does not stand under a field
//! known to be harmless is masked (`source::Node::secrets`). The second net is this file: it knows what a credential looks
//! like, and works also on a file too broken to have a tree.

use std::{borrow::Cow, ops::Range};

/// How the keys of well-known providers, and ours, begin.
const PREFIXES: [&str; 10] = ["sk-", "sk_", "sg-", "pk-", "rk-", "AIza", "xai-", "gsk_", "hf_", "eyJ"];

/// A run of letters and digits as long as this, of both kinds, is no word that a person would write.
const LONG_RUN: usize = 24;

/// The parts of `line` that look like credentials.
pub(super) fn ranges(line: &str) -> Vec<Range<usize>> {
    let mut found = user_parts(line);
    found.extend(queries(line));
    let mut start = 0;
    for part in line.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')) {
        let word = part.trim_end_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        if looks_like_a_key(word) {
            found.push(start..start + word.len());
        }
        start += part.len();
    }
    found
}

/// `text` fit for an error message: cut when long, credentials and control characters masked.
pub(super) fn in_message(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 400;
    let hidden = ranges(text);
    if hidden.is_empty() && text.len() <= LONGEST && !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    for (at, c) in text.char_indices() {
        if out.len() >= LONGEST {
            out.push('…');
            break;
        }
        match hidden.iter().find(|range| range.contains(&at)) {
            Some(range) if range.start == at => out.push_str("[masked]"),
            Some(_) => {}
            None if c.is_control() => out.push(' '),
            None => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// The `user:password` of every URL in `line`.
fn user_parts(line: &str) -> Vec<Range<usize>> {
    let authorities = line.match_indices("://").map(|(at, separator)| at + separator.len());
    authorities
        .filter_map(|start| {
            let end = line[start..].find(|c: char| c == '/' || c.is_whitespace()).map_or(line.len(), |length| start + length);
            line[start..end].rfind('@').map(|at| start..start + at)
        })
        .collect()
}

/// What stands behind the `?` of every URL in `line`: some providers take their keys there.
fn queries(line: &str) -> impl Iterator<Item = Range<usize>> {
    line.match_indices("://").filter_map(|(at, _)| {
        let url = &line[at..];
        let end = url.find(|c: char| c.is_whitespace() || "\"'`,".contains(c)).unwrap_or(url.len());
        let query = url[..end].find('?')? + 1;
        (query < end).then_some(at + query..at + end)
    })
}

fn looks_like_a_key(word: &str) -> bool {
    if word.len() >= 8 && PREFIXES.iter().any(|prefix| word.starts_with(prefix)) {
        return true;
    }
    word.split(['-', '_'])
        .any(|run| run.len() >= LONG_RUN && run.contains(|c: char| c.is_ascii_digit()) && run.contains(|c: char| c.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_credential_is_masked_and_plain_words_are_not() {
        for (text, shown) in [
            ("`sk-abcdefgh` is no URL", "`[masked]` is no URL"),
            ("https://me:pass@host/v1 x", "https://[masked]@host/v1 x"),
            ("\"https://host/v1?api-key=hunter2\", x", "\"https://host/v1?[masked]\", x"),
            ("https://host/v1? `http://host`?", "https://host/v1? `http://host`?"),
            ("sha 9f86d081884c7d659a2feaa0c55ad015", "sha [masked]"),
            ("OPENAI_API_KEY_PRODUCTION_EUROPE_2", "OPENAI_API_KEY_PRODUCTION_EUROPE_2"),
            ("my-resource-eastus2-production.openai.azure.com", "my-resource-eastus2-production.openai.azure.com"),
            ("é sk-éé `eyJhbGciOi.x`", "é sk-éé `[masked].x`"),
            ("a\nb", "a b"),
        ] {
            assert_eq!(in_message(text), shown);
        }
        assert!(in_message(&"x ".repeat(10_000)).len() < 500);
    }
}
