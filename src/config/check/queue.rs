//! `providers.NAME.queue:`.

use super::Review;
use crate::config::{Provider, path::FieldPath, problem::Fault};

/// The most that may wait: each holds a connection, and its body.
const MOST: u32 = 100_000;

/// `at` is the path of the provider.
pub(super) fn check(review: &mut Review<'_>, at: &FieldPath, provider: &Provider) {
    let Some(queue) = &provider.queue else { return };
    let at = at.then("queue");
    if queue.waiting > MOST {
        let fault = Fault::new("so many would wait in vain", format!("write at most {MOST}: who can't be served soon is told so at once"));
        review.value(&at.then("waiting"), fault);
    }
    review.period(&at.then("timeout"), queue.timeout);
}
