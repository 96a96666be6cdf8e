//! The series of one limit and what it counts. Subjects are no labels: callers would grow the number of series.

use metrics::{Counter, counter};

use super::{Metrics, names};
use crate::types::{LimitName, Unit};

/// How the checks of one limit turned out.
#[derive(Clone, Debug)]
pub struct LimitMetrics {
    /// There was room.
    pub allowed: Counter,
    /// There was none, and the request was refused.
    pub refused: Counter,
    /// There was none, and the limit is a shadow.
    pub shadowed: Counter,
}

impl Metrics {
    /// The handles of one limit.
    #[must_use]
    pub fn limit(&self, name: &LimitName, unit: Unit) -> LimitMetrics {
        let with = |outcome: &'static str| {
            [("limit", name.as_str().to_owned()), ("unit", unit.as_str().to_owned()), ("outcome", outcome.to_owned())]
        };
        self.register(|| LimitMetrics {
            allowed: counter!(names::LIMIT_CHECKS, &with("allowed")),
            refused: counter!(names::LIMIT_CHECKS, &with("refused")),
            shadowed: counter!(names::LIMIT_CHECKS, &with("shadowed")),
        })
    }
}
