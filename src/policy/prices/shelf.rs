//! Prices by model, in the order in which names are tried.

use std::collections::{BTreeMap, HashMap};

use crate::{config::ModelPattern, types::Price};

/// The prices of one list.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    by_name: HashMap<Box<str>, Price>,
    /// Those with a star; the longest first.
    by_pattern: Vec<(ModelPattern, Price)>,
}

impl Shelf {
    pub(super) fn new(prices: BTreeMap<ModelPattern, Price>) -> Self {
        let (mut by_pattern, exact): (Vec<_>, Vec<_>) = prices.into_iter().partition(|(model, _)| model.as_str().contains('*'));
        by_pattern.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.as_str().len()));
        Self { by_name: exact.into_iter().map(|(model, price)| (model.as_str().into(), price)).collect(), by_pattern }
    }

    /// By the whole name, then by the name without what marks a snapshot, then by the longest pattern that fits the whole.
    pub(super) fn find(&self, model: &str) -> Option<Price> {
        let exact = |model: &str| self.by_name.get(model).copied();
        let by_pattern = || self.by_pattern.iter().find(|(pattern, _)| pattern.matches(model)).map(|(_, price)| *price);
        exact(model).or_else(|| exact(undated(model)?)).or_else(by_pattern)
    }
}

/// The model of which this is a snapshot: `gpt-4o-2024-08-06`, `claude-opus-4-1-20250805`, `claude-opus-4-1@20250805`,
/// `gemini-2.0-flash-001` and `claude-3-7-sonnet-latest`, as the providers name theirs.
fn undated(model: &str) -> Option<&str> {
    if let Some(model) = model.strip_suffix("-latest") {
        return Some(model);
    }
    // Each digit of the form stands for any digit.
    ["-0000-00-00", "-00000000", "@00000000"].iter().find_map(|form| strip(model, form)).or_else(|| {
        let number = model.get(model.len().checked_sub(4)?..)?;
        number.starts_with("-0").then(|| strip(model, "-000"))?
    })
}

fn strip<'m>(model: &'m str, form: &str) -> Option<&'m str> {
    let (name, end) = model.split_at_checked(model.len().checked_sub(form.len())?)?;
    let fits = end.bytes().zip(form.bytes()).all(|(byte, form)| if form == b'0' { byte.is_ascii_digit() } else { byte == form });
    (fits && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_one_of_its_model() {
        for (model, of) in [
            ("gpt-4o-2024-08-06", Some("gpt-4o")),
            ("claude-opus-4-1-20250805", Some("claude-opus-4-1")),
            ("claude-opus-4-1@20250805", Some("claude-opus-4-1")),
            ("gemini-2.0-flash-001", Some("gemini-2.0-flash")),
            ("claude-3-7-sonnet-latest", Some("claude-3-7-sonnet")),
            ("gpt-4o", None),
            ("mistral-large-2512", None),
            ("gpt-4-100", None),
            ("gpt-4o-2024-08-0x", None),
            ("-2024-08-06", None),
            ("", None),
            ("é001", None),
            ("ééééé", None),
        ] {
            assert_eq!(undated(model), of, "{model}");
        }
    }
}
