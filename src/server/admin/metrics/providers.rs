//! The series of providers' attempts, breakers and lines.

use super::Page;
use crate::{
    runtime::{Provider, Snapshot},
    telemetry::{
        names,
        queue_record::{BOUNDS, Waits},
    },
};

/// Writes them for all providers of a generation.
pub(super) fn write(page: &mut Page, snapshot: &Snapshot) {
    of_attempts(page, snapshot);
    of_breakers(page, snapshot);
}

/// Its name can hold neither a quotation mark nor a backslash.
fn label(provider: &Provider) -> String {
    format!("provider=\"{}\"", provider.name)
}

fn of_attempts(page: &mut Page, snapshot: &Snapshot) {
    page.family(names::ATTEMPTS);
    for provider in snapshot.providers.values() {
        for (verdict, count) in provider.record.attempts.verdicts() {
            page.sample(names::ATTEMPTS, &format!("{},verdict=\"{verdict}\"", label(provider)), count);
        }
    }
    for (at, name) in [names::RETRIES, names::SWAPS, names::FALLBACKS, names::BUDGET_EXHAUSTED].into_iter().enumerate() {
        page.family(name);
        for provider in snapshot.providers.values() {
            page.sample(name, &label(provider), provider.record.attempts.followed()[at]);
        }
    }
}

fn of_breakers(page: &mut Page, snapshot: &Snapshot) {
    page.family(names::BREAKER_TRANSITIONS);
    for provider in snapshot.providers.values() {
        for ([scope, to, cause], count) in provider.record.breakers.transitions() {
            let labels = format!("{},scope=\"{scope}\",to=\"{to}\",cause=\"{cause}\"", label(provider));
            page.sample(names::BREAKER_TRANSITIONS, &labels, count);
        }
    }
    page.family(names::BREAKER_REFUSED);
    for provider in snapshot.providers.values() {
        for (scope, count) in provider.record.breakers.refusals() {
            page.sample(names::BREAKER_REFUSED, &format!("{},scope=\"{scope}\"", label(provider)), count);
        }
    }
}

fn of_waits(page: &mut Page, labels: &str, waits: &Waits) {
    let name = names::QUEUE_SECONDS;
    for (bound, within) in BOUNDS.into_iter().zip(waits.within) {
        page.sample(&format!("{name}_bucket"), &format!("{labels},le=\"{bound}\""), within);
    }
    page.sample(&format!("{name}_bucket"), &format!("{labels},le=\"+Inf\""), waits.count);
    page.sample(&format!("{name}_sum"), labels, waits.sum);
    page.sample(&format!("{name}_count"), labels, waits.count);
}
