//! From tokens to money, without a fraction that is rounded.

use crate::types::{Money, Price, Usage};

/// What a request cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// So much.
    pub amount: Money,
    /// Whether that is no more than an estimate: of tokens that nobody told, or at a price that is not the model's own.
    pub estimated: bool,
}

impl Price {
    /// What these tokens cost; what is not told counts as none. Parts that are said to be more than their whole count as the
    /// whole, so never more than all tokens of it are paid for.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Money {
        let (input, output) = (usage.input.unwrap_or(0), usage.output.unwrap_or(0));
        let price = self.at(input);
        let cached = usage.cached.unwrap_or(0).min(input);
        let stored = usage.stored.unwrap_or(0).min(input - cached);
        let stored_long = usage.stored_long.unwrap_or(0).min(stored);
        let reasoning = usage.reasoning.unwrap_or(0).min(output);
        let stores = price.stored.unwrap_or(price.input);
        [
            price.input.of(input - cached - stored),
            price.cached.unwrap_or(price.input).of(cached),
            stores.of(stored - stored_long),
            price.stored_long.unwrap_or(stores).of(stored_long),
            price.output.of(output - reasoning),
            price.reasoning.unwrap_or(price.output).of(reasoning),
        ]
        .into_iter()
        .fold(Money::default(), Money::plus)
    }

    /// What a request is to hold before it is sent: so many tokens of a prompt of which nothing is known to be cached, and of a
    /// reply.
    #[must_use]
    pub fn reserve(&self, prompt: u64, output: u64) -> Money {
        self.cost(&Usage { input: Some(prompt), output: Some(output), ..Usage::default() })
    }

    /// What counts for a prompt of this length: of all its request's tokens.
    fn at(&self, input: u64) -> Self {
        self.long.filter(|long| input > long.above).map_or(*self, |long| long.price())
    }
}
