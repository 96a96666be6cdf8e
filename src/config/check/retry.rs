//! `retry:`.

use super::Review;
use crate::config::{Config, path::field, problem::Fault};

/// The most attempts for one request: more only add to an outage.
const ATTEMPTS: u32 = 10;
/// The most retries a second that a budget may leave out.
const FLOOR: u32 = 1_000;

pub(super) fn check(review: &mut Review<'_>, config: &Config) {
    let retry = &config.retry;
    if retry.attempts.get() > ATTEMPTS {
        let fault = Fault::new("so many attempts only make an outage worse", format!("write 1 to {ATTEMPTS}, such as 3"));
        review.value(&field!["retry", "attempts"], fault);
    }
    if retry.floor > FLOOR {
        let fault = Fault::new("so many retries a second are no floor", format!("write at most {FLOOR}, and raise `budget`"));
        review.value(&field!["retry", "floor"], fault);
    }
    review.period(&field!["retry", "within"], retry.within);
}
