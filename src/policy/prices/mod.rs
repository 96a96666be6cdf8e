//! Prices: what a model's tokens cost at the provider that serves it.
//!
//! What the config says of a model comes first, then the file that it names, then the list that is built in. Of a list counts what the
//! provider itself sells, as far as its host tells who it is; of an unknown host, whatever bears the model's name. A model that
//! nobody knows costs what the config's rule says.

mod cost;
mod shelf;

use std::sync::Arc;

use crate::{
    config::{self, PriceList, UnknownPrice, price_list},
    types::{Dialect, Money, Price},
};

pub use cost::Cost;
use shelf::Shelf;

/// A longer name is no model's: a client may send megabytes.
const LONGEST_NAME: usize = 256;

/// The prices of one generation of the config.
#[derive(Debug, Default)]
pub struct Prices(Option<Lists>);

#[derive(Debug)]
struct Lists {
    /// What the config says.
    own: Shelf,
    /// What the file says of models of no provider in particular.
    anywhere: Shelf,
    /// Who is known to sell.
    sellers: Vec<Seller>,
    unknown: UnknownPrice,
}

#[derive(Debug)]
struct Seller {
    name: String,
    hosts: Vec<String>,
    shelf: Shelf,
    dearest: Option<Price>,
}

/// A price, and whether it is the model's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priced {
    /// The price.
    pub price: Price,
    /// Whether it was found under the model's name; else it is what the rule for unknown models says.
    pub known: bool,
}

/// The prices as one provider has them.
#[derive(Clone, Debug)]
pub struct Tariff {
    prices: Arc<Prices>,
    /// Its place among the sellers, if its host is known.
    seller: Option<usize>,
    dialect: Dialect,
}

impl Prices {
    /// From the config's section and the file that it names. Nothing is read where nobody asks: without the section, unless prices
    /// are `needed` all the same.
    #[must_use]
    pub fn new(section: Option<&config::Prices>, file: Option<PriceList>, needed: bool) -> Self {
        if section.is_none() && !needed {
            return Self(None);
        }
        let section = section.cloned().unwrap_or_default();
        let file = file.unwrap_or_default();
        let mut sold = PriceList::built_in().providers;
        for (name, more) in file.providers {
            let seller = sold.entry(name).or_default();
            seller.hosts.extend(more.hosts);
            seller.models.extend(more.models);
        }
        let sellers = sold.into_iter().map(Seller::new).collect();
        let (own, anywhere) = (Shelf::new(section.models), Shelf::new(file.models));
        Self(Some(Lists { own, anywhere, sellers, unknown: section.unknown }))
    }

    /// Whether anybody asks for prices.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.0.is_some()
    }

    /// The prices as the provider at this host has them; nothing where nobody asks.
    #[must_use]
    pub fn of_provider(self: &Arc<Self>, dialect: Dialect, host: &str) -> Option<Tariff> {
        let lists = self.0.as_ref()?;
        let seller = lists.sellers.iter().position(|seller| seller.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)));
        Some(Tariff { prices: Arc::clone(self), seller, dialect })
    }
}

impl Seller {
    fn new((name, sold): (String, price_list::Seller)) -> Self {
        let dearest = sold.models.values().max_by_key(|price| (price.output, price.input)).copied();
        Self { name, hosts: sold.hosts, shelf: Shelf::new(sold.models), dearest }
    }
}

impl Tariff {
    /// What the model costs, if its price is known.
    #[must_use]
    pub fn of(&self, model: &str) -> Option<Price> {
        let lists = self.prices.0.as_ref()?;
        if model.len() > LONGEST_NAME {
            return None;
        }
        let written = |model: &str| lists.own.find(model).or_else(|| lists.anywhere.find(model));
        let sold = match self.seller {
            Some(seller) => lists.sellers[seller].shelf.find(model),
            None => lists.sellers.iter().find_map(|seller| seller.shelf.find(model)),
        };
        let sold = written(model).or(sold);
        sold.or_else(|| {
            let (vendor, model) = model.split_once('/')?;
            written(model).or_else(|| self.vendors(lists, vendor, model))
        })
    }

    /// What a model costs at the vendor that stands before its name, as resellers have it: `openai/gpt-4o`. One who is known to sell
    /// has no other's models.
    fn vendors(&self, lists: &Lists, vendor: &str, model: &str) -> Option<Price> {
        let vendor = match vendor {
            "google" | "models" => "gemini",
            "mistralai" => "mistral",
            vendor => vendor,
        };
        let (_, seller) =
            lists.sellers.iter().enumerate().find(|(at, seller)| seller.name == vendor && self.seller.is_none_or(|own| own == *at))?;
        let hyphens = || seller.shelf.find(&model.replace('.', "-"));
        // Anthropic writes `claude-sonnet-4-5`, and resellers `claude-sonnet-4.5`.
        seller.shelf.find(model).or_else(|| if vendor == "anthropic" { hyphens() } else { None })
    }

    /// What the model costs, by the rule for unknown ones where its price is not known. `None` if the rule is that nobody knows.
    #[must_use]
    pub fn price(&self, model: Option<&str>) -> Option<Priced> {
        if let Some(price) = model.and_then(|model| self.of(model)) {
            return Some(Priced { price, known: true });
        }
        let lists = self.prices.0.as_ref()?;
        let price = match lists.unknown {
            UnknownPrice::Dearest => self.dearest(lists),
            UnknownPrice::Free => Price::default(),
            UnknownPrice::Deny => return None,
            UnknownPrice::Price(price) => price,
        };
        Some(Priced { price, known: false })
    }

    /// The dearest that the provider is known to sell; of an unknown host, what the one sells whose dialect it speaks.
    fn dearest(&self, lists: &Lists) -> Price {
        let name = match self.dialect {
            // The last two sell what others make, or nothing.
            Dialect::Openai | Dialect::Azure | Dialect::Openrouter | Dialect::Vllm => "openai",
            Dialect::Anthropic => "anthropic",
            Dialect::Gemini => "gemini",
            Dialect::Groq => "groq",
            Dialect::Deepseek => "deepseek",
            Dialect::Mistral => "mistral",
        };
        let seller = self.seller.map(|at| &lists.sellers[at]).or_else(|| lists.sellers.iter().find(|seller| seller.name == name));
        seller.and_then(|seller| seller.dearest).unwrap_or_default()
    }
}

/// What a request is to hold before it is sent to one of these, of which nobody knows yet which: enough for the dearest. `None` if
/// the price of one is not known and the rule is that nobody knows.
#[must_use]
pub fn reserve<'t>(tariffs: impl IntoIterator<Item = &'t Tariff>, model: Option<&str>, prompt: u64, output: u64) -> Option<Money> {
    let mut costs = tariffs.into_iter().map(|tariff| Some(tariff.price(model)?.price.reserve(prompt, output)));
    costs.try_fold(Money::default(), |dearest, cost| Some(dearest.max(cost?)))
}

#[cfg(test)]
mod tests;
