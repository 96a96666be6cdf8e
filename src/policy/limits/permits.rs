//! Permits: what goes on at the same time.

use std::time::Duration;

use super::{Spec, Standing, table::Cell};
use crate::types::Moment;

/// When a permit comes back nobody knows; to ask again within this time is no use, and after it no trouble.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How many one subject holds.
#[derive(Debug, Default)]
pub(super) struct Permits(u32);

impl Cell for Permits {
    fn weigh(&self, spec: &Spec, amount: u64, _: Moment) -> Result<(), Option<Duration>> {
        if amount > spec.amount() {
            return Err(None);
        }
        if u64::from(self.0) + amount <= spec.amount() { Ok(()) } else { Err(Some(ASK_AGAIN)) }
    }

    fn charge(&mut self, _: &Spec, amount: u64, _: Moment) {
        self.0 = self.0.saturating_add(amount.try_into().unwrap_or(u32::MAX));
    }

    fn refund(&mut self, _: &Spec, amount: u64, _: Moment, _: Moment) {
        self.0 = self.0.saturating_sub(amount.try_into().unwrap_or(u32::MAX));
    }

    fn remaining(&self, spec: &Spec) -> u64 {
        spec.amount().saturating_sub(self.0.into())
    }

    fn standing(&self, spec: &Spec, _: Moment) -> Standing {
        let again = if self.0 == 0 { Duration::ZERO } else { ASK_AGAIN };
        Standing { limit: spec.amount(), remaining: spec.amount().saturating_sub(self.0.into()), reset: again, more: again }
    }

    fn is_idle(&self, _: &Spec, _: Moment) -> bool {
        self.0 == 0
    }
}
