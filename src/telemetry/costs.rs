//! What tokens cost, summed up by route, provider and model.
//!
//! The counters of the metrics count whole numbers, and money in whole dollars is no use. So these sums are kept here, in
//! pico-dollars, and written as dollars where the metrics are read. They belong to no generation of the config.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::types::Money;

/// Route, provider and model: names of the config, so there are few.
pub type Labels = [String; 3];

/// All sums.
#[derive(Debug, Default)]
pub struct Costs(Mutex<BTreeMap<Labels, Arc<AtomicU64>>>);

/// One sum, to be added to. At 18 million dollars it begins anew, as a counter may.
#[derive(Clone, Debug)]
pub struct Sum(Arc<AtomicU64>);

impl Sum {
    /// So much more.
    pub fn add(&self, cost: Money) {
        self.0.fetch_add(cost.0, Relaxed);
    }
}

impl Costs {
    /// The sum under these labels, which begins where it was not asked for before. Locked for a look-up: keep what it gives.
    #[must_use]
    pub fn sum(&self, labels: Labels) -> Sum {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Sum(Arc::clone(sums.entry(labels).or_default()))
    }

    /// All sums now.
    #[must_use]
    pub fn all(&self) -> Vec<(Labels, Money)> {
        let sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sums.iter().map(|(labels, sum)| (labels.clone(), Money(sum.load(Relaxed)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_goes_on_where_it_was() {
        let costs = Costs::default();
        let labels = |model: &str| ["/v1", "openai", model].map(str::to_owned);
        costs.sum(labels("a")).add(Money(1));
        costs.sum(labels("b")).add(Money(5));
        costs.sum(labels("a")).add(Money(2));
        assert_eq!(costs.all(), [(labels("a"), Money(3)), (labels("b"), Money(5))]);
    }
}
