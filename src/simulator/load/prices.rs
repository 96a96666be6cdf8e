//! What tokens cost.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;

use crate::types::price;

/// Dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Price {
    pub(super) input: f64,
    pub(super) output: f64,
}

impl Price {
    /// Dollars for so many tokens.
    pub(super) fn of(self, input: u64, output: u64) -> f64 {
        (input as f64 * self.input + output as f64 * self.output) / 1e6
    }
}

impl From<&price::Price> for Price {
    /// Of the standard tier, for what is not cached and not long.
    fn from(price: &price::Price) -> Self {
        Self { input: price.input.dollars(), output: price.output.dollars() }
    }
}

/// A price list, in the form of `prices.yaml`; what else it says makes no difference here.
#[derive(Deserialize, Default)]
#[serde(default)]
struct List {
    providers: BTreeMap<String, Seller>,
    models: BTreeMap<String, price::Price>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Seller {
    date: String,
    models: BTreeMap<String, price::Price>,
}

/// A price, and the day of the list that it stands in: none for a file, whose owner knows.
pub(super) type Dated = (Price, Option<String>);

/// The price of a model, by its exact name: snapshots of one model have had different prices. From the file if one is named, and
/// that alone, else from the list that is built in; nothing where it is not known.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn price(model: &str, file: Option<&Path>) -> Result<Option<Dated>, String> {
    let Some(file) = file else {
        let list: List = serde_yaml::from_str(price::LISTED).map_err(|error| error.to_string())?;
        let listed = list.providers.values().find_map(|seller| Some((seller.models.get(model)?.into(), Some(seller.date.clone()))));
        return Ok(listed);
    };
    let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let text = fs::read_to_string(file).map_err(|error| wrong(&error))?;
    let list: List = serde_yaml::from_str(&text).map_err(|error| wrong(&error))?;
    if list.models.is_empty() && list.providers.is_empty() {
        return Err(wrong(&"there is no price in it; write `models: { my-model: { input: 0.15, output: 0.60 } }`"));
    }
    let sold = || list.providers.values().find_map(|seller| seller.models.get(model));
    Ok(list.models.get(model).or_else(sold).map(|price| (price.into(), None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn new(input: f64, output: f64) -> Price {
        Price { input, output }
    }

    #[test]
    fn a_listed_model_has_its_price_and_another_has_none() {
        let (listed, date) = price("gpt-4o-mini", None).unwrap().unwrap();
        assert_eq!(listed, new(0.15, 0.60));
        assert!(date.is_some_and(|date| date.starts_with("20")));
        assert_eq!(price("gpt-4o-mini-9999", None), Ok(None));
        assert!((listed.of(1_000_000, 500_000) - 0.45).abs() < 1e-9);
    }

    #[test]
    fn a_file_is_read_as_yaml_or_json_and_what_is_wrong_with_it_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prices");
        let read = |text: &str| {
            fs::write(&file, text).unwrap();
            price("mine", Some(&file))
        };
        let mine = Ok(Some((new(1.0, 2.5), None)));
        assert_eq!(read("models: { mine: { input: 1, output: 2.5 } }"), mine);
        assert_eq!(read("providers: { own: { models: { mine: { input: 1, cached: 0.5, output: 2.5 } } } }"), mine);
        assert_eq!(read(r#"{"models": {"mine": {"input": 1, "output": 2.5}}}"#), mine);
        assert_eq!(read("models: { other: { input: 1, output: 2.5 } }"), Ok(None));
        for price in ["{ input: 1 }", "{ input: -1, output: 1 }", "{ input: .nan, output: 1 }", "1", "["] {
            assert!(read(&format!("models: {{ mine: {price} }}")).is_err(), "{price}");
        }
        assert!(read("mine: { input: 1, output: 2.5 }").unwrap_err().contains("write `models:"));
        fs::remove_file(&file).unwrap();
        assert!(price("mine", Some(&file)).unwrap_err().contains("prices"));
    }
}
