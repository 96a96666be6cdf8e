//! A price list: the one that is built in, or one from a file. Both have one form, which `docs/cost.md` describes.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use super::{ModelPattern, decode, files, parse, problem::Problems, source::Source};
use crate::types::{Price, price};

/// Prices of models, as a list says them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriceList {
    /// By who sells them.
    pub providers: BTreeMap<String, Seller>,
    /// Wherever they are sold.
    pub models: BTreeMap<ModelPattern, Price>,
}

/// What one provider sells.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seller {
    /// The hosts by which it is known.
    pub hosts: Vec<String>,
    /// Where its prices stand.
    pub source: Option<String>,
    /// When that was read.
    pub date: Option<String>,
    /// Its prices.
    pub models: BTreeMap<ModelPattern, Price>,
}

impl PriceList {
    /// The list that is built in. It is read anew each time: few who run Sidegate have a use for it, and those twice a day.
    #[must_use]
    pub fn built_in() -> Self {
        // invariant: a test reads it.
        Self::parse("prices.yaml", price::LISTED).unwrap_or_default()
    }

    /// What a file says.
    ///
    /// # Errors
    /// Why it can't be had, or the first thing that is wrong with it and where.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = files::read_text(path)?;
        Self::parse(&path.display().to_string(), &text)
    }

    fn parse(name: &str, text: &str) -> Result<Self, String> {
        let source = Source::new(name, text);
        let mut findings = Vec::new();
        let tree = parse::parse(&source, &mut findings);
        let list = match tree {
            Some(mut tree) => decode::decode(&mut tree, &mut findings),
            None => Some(Self::default()),
        };
        if findings.is_empty() {
            return Ok(list.unwrap_or_default());
        }
        // No price list holds secrets.
        let problems = Problems::of(findings, &source, &[]);
        let Some(first) = problems.iter().next() else { return Err("it is no price list".to_owned()) };
        let line = first.position().map(|(line, _)| format!("line {line}: ")).unwrap_or_default();
        Err(format!("{line}{}: {}; {}", first.field(), first.message(), first.fix()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_that_is_built_in_can_be_read_and_says_where_its_prices_stand() {
        let list = PriceList::parse("prices.yaml", price::LISTED).unwrap();
        assert_eq!(list.providers.keys().collect::<Vec<_>>(), ["anthropic", "deepseek", "gemini", "groq", "mistral", "openai"]);
        for (name, seller) in &list.providers {
            assert!(!seller.hosts.is_empty() && !seller.models.is_empty(), "{name}");
            assert!(seller.source.as_ref().is_some_and(|source| source.starts_with("https://")), "{name}");
            let date = seller.date.as_deref().unwrap_or_default();
            assert!(date.len() == 10 && date.starts_with("20"), "{name}: {date}");
            for (model, price) in &seller.models {
                let model = model.as_str();
                let dear = |part: Option<crate::types::PerMillion>| part.is_some_and(|part| part > price.input);
                assert!(!dear(price.cached), "{model}: what is cached costs more");
                assert!(price.long.is_none_or(|long| long.input >= price.input && long.output >= price.output), "{model}");
            }
        }
    }

    #[test]
    fn what_is_wrong_with_a_list_is_said_with_its_line() {
        for (text, words) in [
            ("models:\n  mine: { input: -1, output: 2 }", "line 2: models.mine.input: `-1` is no price"),
            ("models:\n  mine: { input: 1 }", "line 2: models.mine: the field `output` is missing"),
            ("models:\n  mine: { input: 1, outptu: 2 }", "line 2: models.mine.outptu: unknown field `outptu`"),
            ("providers: [", "line 1"),
            ("mine: { input: 1, output: 2 }", "line 1: mine: unknown field `mine`"),
        ] {
            let refused = PriceList::parse("prices", text).unwrap_err();
            assert!(refused.contains(words), "{text}: {refused}");
        }
        assert_eq!(PriceList::parse("prices", ""), Ok(PriceList::default()));
        let json = PriceList::parse("prices", r#"{"models": {"mine": {"input": 0.15, "output": 0.60}}}"#).unwrap();
        assert_eq!(json, PriceList::parse("prices", "models: { mine: { input: 0.150, output: '0.6' } }").unwrap());
    }
}
