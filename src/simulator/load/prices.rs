//! What tokens cost.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;

/// Dollars per million tokens.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct Price {
    pub(super) input: f64,
    pub(super) output: f64,
}

impl Price {
    const fn new(input: f64, output: f64) -> Self {
        Self { input, output }
    }

    /// Dollars for so many tokens.
    pub(super) fn of(self, input: u64, output: u64) -> f64 {
        (input as f64 * self.input + output as f64 * self.output) / 1e6
    }
}

/// The day of [`LISTED`].
pub(super) const AS_OF: &str = "2025-10";

/// List prices of [`AS_OF`] in US dollars, standard tier, uncached input: <https://openai.com/api/pricing>,
/// <https://www.anthropic.com/pricing#api>, <https://ai.google.dev/gemini-api/docs/pricing> (prompts up to 200k tokens).
/// Exact names alone: snapshots of one model have had different prices.
const LISTED: [(&str, Price); 17] = [
    ("gpt-4o", Price::new(2.50, 10.00)),
    ("gpt-4o-mini", Price::new(0.15, 0.60)),
    ("gpt-4.1", Price::new(2.00, 8.00)),
    ("gpt-4.1-mini", Price::new(0.40, 1.60)),
    ("gpt-4.1-nano", Price::new(0.10, 0.40)),
    ("gpt-5", Price::new(1.25, 10.00)),
    ("gpt-5-mini", Price::new(0.25, 2.00)),
    ("gpt-5-nano", Price::new(0.05, 0.40)),
    ("o3", Price::new(2.00, 8.00)),
    ("o4-mini", Price::new(1.10, 4.40)),
    ("claude-opus-4-1", Price::new(15.00, 75.00)),
    ("claude-sonnet-4-5", Price::new(3.00, 15.00)),
    ("claude-haiku-4-5", Price::new(1.00, 5.00)),
    ("claude-3-5-haiku-latest", Price::new(0.80, 4.00)),
    ("gemini-2.5-pro", Price::new(1.25, 10.00)),
    ("gemini-2.5-flash", Price::new(0.30, 2.50)),
    ("gemini-2.5-flash-lite", Price::new(0.10, 0.40)),
];

/// The price of a model: from the file if one is named, and that alone, else from the list; nothing where it is not known.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn price(model: &str, file: Option<&Path>) -> Result<Option<Price>, String> {
    let Some(file) = file else {
        return Ok(LISTED.iter().find(|(name, _)| *name == model).map(|(_, price)| *price));
    };
    let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let text = fs::read_to_string(file).map_err(|error| wrong(&error))?;
    let prices: BTreeMap<String, Price> = serde_yaml::from_str(&text).map_err(|error| wrong(&error))?;
    if let Some((name, _)) =
        prices.iter().find(|(_, price)| !(price.input >= 0.0 && price.output >= 0.0 && (price.input + price.output).is_finite()))
    {
        return Err(wrong(&format_args!("the price of `{name}` is no amount")));
    }
    Ok(prices.get(model).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_model_has_its_price_and_another_has_none() {
        assert_eq!(price("gpt-4o-mini", None), Ok(Some(Price::new(0.15, 0.60))));
        assert_eq!(price("gpt-4o-mini-9999", None), Ok(None));
        assert!((Price::new(0.15, 0.60).of(1_000_000, 500_000) - 0.45).abs() < 1e-9);
    }

    #[test]
    fn a_file_is_read_as_yaml_or_json_and_what_is_wrong_with_it_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prices");
        let read = |text: &str| {
            fs::write(&file, text).unwrap();
            price("mine", Some(&file))
        };
        assert_eq!(read("mine: { input: 1, output: 2.5 }"), Ok(Some(Price::new(1.0, 2.5))));
        assert_eq!(read(r#"{"mine": {"input": 1, "output": 2.5}}"#), Ok(Some(Price::new(1.0, 2.5))));
        assert_eq!(read("other: { input: 1, output: 2.5 }"), Ok(None));
        for text in ["mine: { input: 1 }", "mine: { input: -1, output: 1 }", "mine: { input: .nan, output: 1 }", "mine: 1", "["] {
            assert!(read(text).is_err(), "{text}");
        }
        fs::remove_file(&file).unwrap();
        assert!(price("mine", Some(&file)).unwrap_err().contains("prices"));
    }
}
