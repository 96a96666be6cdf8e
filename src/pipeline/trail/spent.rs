//! What a reply told of its tokens, and what they cost.

use super::{Course, Trail};
use crate::{
    policy::prices::{Cost, Priced},
    runtime::cache::Paid,
    types::Usage,
};

impl Trail {
    /// The reply told what it used. What that cost, if anybody asks and the rule for unknown models does not say that nobody knows.
    pub fn used(&mut self, usage: Usage) -> Option<Cost> {
        self.0.usage = usage;
        if let Some(key) = self.0.last.as_ref().and_then(|attempt| attempt.key.as_deref()) {
            key.record.used(usage.input.unwrap_or(0), usage.output.unwrap_or(0));
        }
        self.0.cost = self.0.cost_of(&usage);
        if let Some(paying) = &self.0.paying {
            paying.set(Paid { usage, cost: self.0.cost.map(|cost| cost.amount) });
        }
        self.0.cost
    }
}

impl Course {
    /// At the provider that served it, for the model that was asked for; for one that nobody knows, where it is not certain.
    pub(super) fn cost_of(&self, usage: &Usage) -> Option<Cost> {
        let tariff = self.last.as_ref()?.provider.tariff.as_ref()?;
        let Priced { price, known } = tariff.price(self.ask.certain_model())?;
        Some(Cost { amount: price.cost(usage), estimated: !known })
    }
}
