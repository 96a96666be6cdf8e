//! The series of providers' attempts, breakers and lines.

use super::Page;
use crate::{
    policy::breaker::Phase,
    runtime::{Provider, Snapshot},
    telemetry::{
        breaker_record::SCOPES,
        names,
        queue_record::{BOUNDS, Waits},
    },
    types::Moment,
};

/// Writes them for all providers of a generation.
pub(super) fn write(page: &mut Page, snapshot: &Snapshot, now: Moment) {
    of_attempts(page, snapshot);
    of_breakers(page, snapshot, now);
    of_lines(page, snapshot);
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

fn of_breakers(page: &mut Page, snapshot: &Snapshot, now: Moment) {
    page.family(names::BREAKER_STATE);
    for provider in snapshot.providers.values() {
        let Some(guard) = &provider.breaker else { continue };
        let standings = guard.board.standings(&guard.spec, now);
        for scope in SCOPES {
            for phase in Phase::ALL {
                let count = standings.iter().filter(|standing| standing.scope.name() == scope && standing.phase == phase).count();
                page.sample(names::BREAKER_STATE, &format!("{},scope=\"{scope}\",state=\"{}\"", label(provider), phase.name()), count);
            }
        }
    }
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

/// Only of providers that have a line.
fn of_lines(page: &mut Page, snapshot: &Snapshot) {
    let lines: Vec<_> = snapshot.providers.values().filter_map(|provider| Some((provider, provider.queue.as_ref()?))).collect();
    if lines.is_empty() {
        return;
    }
    page.family(names::QUEUE_WAITING);
    lines.iter().for_each(|(provider, queue)| page.sample(names::QUEUE_WAITING, &label(provider), queue.line.waiting()));
    page.family(names::QUEUE_IN_FLIGHT);
    lines.iter().for_each(|(provider, queue)| page.sample(names::QUEUE_IN_FLIGHT, &label(provider), queue.line.in_flight()));
    page.family(names::QUEUE_SECONDS);
    lines.iter().for_each(|(provider, _)| of_waits(page, &label(provider), &provider.record.queue.waits()));
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
