//! `providers.NAME.breaker:`: numbers by which it can open, and close again.

use super::Review;
use crate::{
    config::{Provider, path::FieldPath, problem::Fault},
    types::{Percent, Period},
};

/// Attempts are counted in ten steps of the window, and steps of less than a tenth of a second hold next to nothing.
const SHORTEST: Period = Period::secs(1);
/// What failed longer ago says nothing about now.
const LONGEST: Period = Period::secs(60 * 60);

/// `at` is the path of the provider.
pub(super) fn check(review: &mut Review<'_>, at: &FieldPath, provider: &Provider) {
    let Some(breaker) = provider.breaker.numbers() else { return };
    let breaker_at = at.then("breaker");
    let field = |name: &str| breaker_at.then(name);
    if breaker.error_rate == Percent::whole(0) {
        let fault = Fault::new("a breaker that opens at 0 % of errors is always open", "write a share such as `50%`, or `breaker: off`");
        review.value(&field("error_rate"), fault);
    }
    if breaker.window < SHORTEST {
        let fault = Fault::new("a window this short holds next to no attempts", format!("write at least `{SHORTEST}`, such as `10s`"));
        review.value(&field("window"), fault);
    } else if breaker.window > LONGEST {
        let fault = Fault::new("a window this long opens for what is long past", format!("write at most `{LONGEST}`, such as `10s`"));
        review.value(&field("window"), fault);
    }
    if breaker.open.0.is_zero() {
        let fault = Fault::new("a breaker that is open for no time protects nobody", "write a time such as `30s`, or `breaker: off`");
        review.value(&field("open"), fault);
    } else if breaker.open > LONGEST {
        let fault =
            Fault::new("a host that has recovered would be left alone for too long", format!("write at most `{LONGEST}`, such as `30s`"));
        review.value(&field("open"), fault);
    }
    let Some(slow) = breaker.slow else { return };
    let first_byte = provider.timeouts.first_byte;
    if slow.0.is_zero() {
        let fault = Fault::new("no reply comes in no time, so all would be slow", "write a time such as `20s`, or remove `slow`");
        review.value(&field("slow"), fault);
    } else if slow >= first_byte && review.intact(&at.then("timeouts")) {
        let fault = Fault::new(
            format!("nothing can be slow: what takes {first_byte} has failed before, by `timeouts.first_byte`"),
            format!("write a time below {first_byte}, or remove `slow`"),
        );
        review.value(&field("slow"), fault);
    }
}
