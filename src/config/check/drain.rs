//! `drain:`.

use super::Review;
use crate::config::{Config, path::field, problem::Fault};

pub(super) fn check(review: &mut Review<'_>, config: &Config) {
    let drain = &config.drain;
    // No delay at all is a choice; no time at all to end in is none.
    if !drain.delay.0.is_zero() {
        review.period(&field!["drain", "delay"], drain.delay);
    }
    review.period(&field!["drain", "timeout"], drain.timeout);
    if !drain.timeout.0.is_zero() && drain.timeout <= drain.delay && review.intact(&field!["drain"]) {
        let fault = Fault::new(
            format!("the listener stays open for {}, and what runs is cut after {}", drain.delay, drain.timeout),
            "raise `timeout` above `delay`: it counts from the same moment",
        );
        let at = if review.was_written(&field!["drain", "timeout"]) { field!["drain", "timeout"] } else { field!["drain", "delay"] };
        review.value(&at, fault);
    }
}
