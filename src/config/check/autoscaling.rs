//! `autoscaling:`.

use super::Review;
use crate::config::{Config, path::field, problem::Fault};

pub(super) fn check(review: &mut Review<'_>, config: &Config) {
    let autoscaling = &config.autoscaling;
    review.period(&field!["autoscaling", "cooldown"], autoscaling.cooldown);
    let cpu = Some((autoscaling.cpu.high.number(), autoscaling.cpu.low.number()));
    let rate = autoscaling.requests_per_second.map(|marks| (f64::from(marks.high), f64::from(marks.low)));
    for (field, marks) in [("cpu", cpu), ("requests_per_second", rate)] {
        let at = field!["autoscaling", field];
        let Some((high, low)) = marks.filter(|(high, low)| low >= high && review.intact(&at)) else { continue };
        let written = if review.was_written(&at.then("low")) { at.then("low") } else { at.then("high") };
        let fault = Fault::new(
            format!("what is busy at {high} can't be idle at {low}"),
            "write a `low` below `high`, and leave room between them, or the recommendation goes to and fro",
        );
        review.value(&written, fault);
    }
}
