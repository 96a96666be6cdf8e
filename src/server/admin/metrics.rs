//! `/metrics`, for Prometheus. The series of keys, limits, costs, the cache and the process are written here and not kept anywhere: keys and
//! limits come and go, and a series that was once made is never forgotten.

mod cache;
mod providers;

use std::fmt::Write;

use axum::{extract::State, http::header::CONTENT_TYPE, response::IntoResponse};

use super::{Admin, Shared, keys};
use crate::{
    runtime::{Limits, Snapshot, limits::Rule},
    telemetry::{
        costs::Labels,
        names::{self, Kind},
        process,
    },
    types::{Moment, Money},
};

/// The text format of Prometheus, version 0.0.4.
pub async fn show(State(admin): State<Shared>) -> impl IntoResponse {
    admin.runtime.refresh();
    let mut page = Page(admin.runtime.metrics.render());
    let snapshot = admin.runtime.snapshot.load();
    let moment = admin.runtime.moment();
    of_keys(&mut page, &snapshot, moment);
    providers::write(&mut page, &snapshot, moment);
    of_limits(&mut page, &snapshot.limits);
    of_costs(&mut page, &admin.runtime.metrics.costs.all(), snapshot.prices.is_used());
    cache::write(&mut page, &admin.runtime, &snapshot);
    of_process(&mut page, &admin);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.0)
}

fn of_keys(page: &mut Page, snapshot: &Snapshot, moment: Moment) {
    let labels = |placed: &keys::Placed<'_>| {
        // Neither can hold a quotation mark or a backslash.
        format!("provider=\"{}\",key=\"{}\"", placed.provider.name, placed.key.fingerprint.to_str().unwrap_or_default())
    };
    page.family(names::KEY_REQUESTS);
    for placed in keys::all(snapshot) {
        let (record, labels) = (&placed.key.record, labels(&placed));
        let [ok, redirected, refused, broken] = record.statuses();
        let counts =
            [("2xx", ok), ("3xx", redirected), ("4xx", refused), ("5xx", broken), ("failed", record.failures()), ("left", record.left())];
        counts.into_iter().for_each(|(status, count)| page.sample(names::KEY_REQUESTS, &format!("{labels},status=\"{status}\""), count));
    }
    page.family(names::KEY_IN_FLIGHT);
    keys::all(snapshot).for_each(|placed| page.sample(names::KEY_IN_FLIGHT, &labels(&placed), placed.slot.state.in_flight()));
    page.family(names::KEY_STATE);
    for placed in keys::all(snapshot) {
        let now = placed.state(moment);
        for state in keys::STATES {
            page.sample(names::KEY_STATE, &format!("{},state=\"{state}\"", labels(&placed)), u8::from(now == state));
        }
    }
    page.family(names::KEY_TRANSITIONS);
    for placed in keys::all(snapshot) {
        for ([to, cause], count) in placed.key.record.transitions() {
            page.sample(names::KEY_TRANSITIONS, &format!("{},to=\"{to}\",cause=\"{cause}\"", labels(&placed)), count);
        }
    }
    page.family(names::KEY_COOLDOWNS);
    for placed in keys::all(snapshot) {
        for (cause, count) in placed.key.record.cooldowns() {
            page.sample(names::KEY_COOLDOWNS, &format!("{},cause=\"{cause}\"", labels(&placed)), count);
        }
    }
    page.family(names::KEY_TOKENS);
    for placed in keys::all(snapshot) {
        for (direction, tokens) in ["in", "out"].into_iter().zip(placed.key.record.tokens()) {
            page.sample(names::KEY_TOKENS, &format!("{},direction=\"{direction}\"", labels(&placed)), tokens);
        }
    }
}

fn of_limits(page: &mut Page, limits: &Limits) {
    if limits.rules().next().is_none() {
        return;
    }
    // Neither can hold a quotation mark or a backslash.
    let labels = |rule: &Rule| format!("limit=\"{}\",unit=\"{}\"", rule.name, rule.spec.unit());
    page.family(names::LIMIT_CHECKS);
    for rule in limits.rules() {
        for (outcome, count) in rule.record.outcomes() {
            page.sample(names::LIMIT_CHECKS, &format!("{},outcome=\"{outcome}\"", labels(rule)), count);
        }
    }
    page.family(names::LIMIT_SUBJECTS);
    limits.rules().for_each(|rule| page.sample(names::LIMIT_SUBJECTS, &labels(rule), rule.subjects()));
    page.family(names::LIMIT_MEMORY);
    limits.rules().for_each(|rule| page.sample(names::LIMIT_MEMORY, &labels(rule), rule.bytes()));
    page.family(names::LIMIT_SHARED);
    limits.rules().for_each(|rule| page.sample(names::LIMIT_SHARED, &labels(rule), rule.shared()));
}

/// The sums stay when the prices go: what was spent was spent.
fn of_costs(page: &mut Page, costs: &[(Labels, Money)], asked: bool) {
    if !costs.is_empty() || asked {
        page.family(names::COST);
    }
    // A pattern of models may hold anything.
    let text = |name: &str| name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    for ([route, provider, model], cost) in costs {
        let labels = format!("route=\"{}\",provider=\"{provider}\",model=\"{}\"", text(route), text(model));
        page.sample(names::COST, &labels, cost);
    }
}

fn of_process(page: &mut Page, admin: &Admin) {
    let since = admin.observed().allowance.since;
    let since = since.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let all = [
        (names::PROCESS_MEMORY, process::resident().map(|bytes| bytes as f64)),
        (names::PROCESS_CPU, Some(process::processor_time().as_secs_f64())),
        (names::PROCESS_DESCRIPTORS, process::descriptors().map(|count| count as f64)),
        (names::PROCESS_START, Some(since)),
    ];
    for (name, value) in all {
        if let Some(value) = value {
            page.family(name);
            page.sample(name, "", value);
        }
    }
}

/// The text so far.
struct Page(String);

impl Page {
    /// What the samples that follow are.
    fn family(&mut self, name: &str) {
        let Some(metric) = names::ALL.iter().find(|metric| metric.name == name) else { return };
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a text can't fail.
        let _ = writeln!(self.0, "# HELP {name} {}\n# TYPE {name} {kind}", metric.help);
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = if labels.is_empty() { writeln!(self.0, "{name} {value}") } else { writeln!(self.0, "{name}{{{labels}}} {value}") };
    }
}
