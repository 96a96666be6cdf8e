//! What operators look at and are woken by, the dashboard and the alerts, is true to what there is to see: metrics, labels and words.

mod alerts;
mod dashboard;
mod promql;
mod scraped;

use sidegate::{
    telemetry::names::{self, Kind, Metric},
    types::Cause,
};

use self::promql::{Selector, grouped, selectors};
use super::files::read;

/// Labels that Prometheus puts beside those of Sidegate: where it has scraped.
const OF_THE_TARGET: [&str; 4] = ["namespace", "job", "pod", "instance"];

/// The rules for Prometheus.
pub(super) const RULES: &str = "helm/sidegate/files/alerts.yaml";

/// The dashboard for Grafana.
pub(super) const DASHBOARD: &str = "helm/sidegate/files/dashboard.json";

/// The metric of a series, and whether that is one of a histogram's buckets.
fn metric(series: &str) -> Option<(&'static Metric, bool)> {
    let plain = names::ALL.iter().find(|metric| metric.name == series);
    let part = |end: &str| names::ALL.iter().find(|metric| metric.kind == Kind::Histogram && series == format!("{}{end}", metric.name));
    plain
        .filter(|metric| metric.kind != Kind::Histogram)
        .or_else(|| part("_sum"))
        .or_else(|| part("_count"))
        .map(|metric| (metric, false))
        .or_else(|| Some((part("_bucket")?, true)))
}

/// What is wrong with an expression, if anything is. `recorded` are the names that the rules themselves make.
fn wrong(expression: &str, recorded: &[String]) -> Vec<String> {
    let (mut findings, mut known) = (Vec::new(), OF_THE_TARGET.map(str::to_owned).to_vec());
    for selector in selectors(expression) {
        if selector.metric == "up" || selector.metric == "ALERTS" {
            continue;
        }
        if recorded.contains(&selector.metric) {
            known.extend(["provider", "model"].map(str::to_owned));
            continue;
        }
        let Some((metric, is_bucket)) = metric(&selector.metric) else {
            findings.push(format!("there is no metric {}", selector.metric));
            continue;
        };
        let labels = metric.labels.iter().copied().chain(is_bucket.then_some("le"));
        known.extend(labels.map(str::to_owned));
        findings.extend(wrong_selector(&selector, metric));
    }
    let unknown = grouped(expression).into_iter().filter(|label| !known.contains(label));
    findings.extend(unknown.map(|label| format!("nothing in it has the label {label}")));
    findings.into_iter().map(|finding| format!("{finding}: {expression}")).collect()
}

/// Labels and words that the metric does not have, and functions that make no sense of its kind.
fn wrong_selector(selector: &Selector, metric: &Metric) -> Vec<String> {
    let Selector { metric: name, matchers, function, .. } = selector;
    let mut findings = Vec::new();
    for (label, words) in matchers {
        if !metric.labels.contains(&label.as_str()) && !OF_THE_TARGET.contains(&label.as_str()) {
            findings.push(format!("{name} has no label {label}"));
        }
        findings.extend(words.iter().filter(|word| !is_told(metric, label, word)).map(|word| format!("{name} has no {label}=\"{word}\"")));
    }
    let of_growth = matches!(function.as_str(), "rate" | "increase");
    // A gauge shrinks, and the absolute height of a counter says how long ago its process has started.
    let grows = metric.kind != Kind::Gauge;
    if of_growth != grows && selector.offset.is_none() {
        findings.push(format!("{name} is a {:?} inside of `{function}`", metric.kind));
    }
    findings
}

/// Whether a page says that a label may have this value.
fn is_told(metric: &Metric, label: &str, word: &str) -> bool {
    let said = |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|said| said == word);
    match label {
        "namespace" | "job" | "pod" => word == ".*sidegate.*",
        "code" => read("docs/errors.md").contains(&format!("\n| `{word}` |")),
        "verdict" => Cause::ALL.iter().any(|cause| cause.name() == word),
        _ => said(metric.help),
    }
}

#[test]
fn an_expression_that_is_wrong_is_found() {
    let recorded = ["job:sidegate_errors:rate5m".to_owned()];
    for (expression, finding) in [
        ("rate(sidegate_request_total[5m])", "there is no metric sidegate_request_total"),
        ("sidegate_ttft_seconds", "there is no metric sidegate_ttft_seconds"),
        ("job:sidegate_errors:rate1h > 1", "there is no metric job:sidegate_errors:rate1h"),
        ("sum(rate(sidegate_rejects_total{route=\"/v1\"}[5m]))", "sidegate_rejects_total has no label route"),
        ("sum(rate(sidegate_rejects_total{code=\"no_such_code\"}[5m]))", "has no code=\"no_such_code\""),
        ("sum(rate(sidegate_request_ends_total{end=~\"left|cut_short\"}[5m]))", "has no end=\"cut_short\""),
        ("sum(rate(sidegate_attempt_total{verdict!=\"fine\"}[5m]))", "has no verdict=\"fine\""),
        ("sum by (provider) (rate(sidegate_rejects_total[5m]))", "nothing in it has the label provider"),
        ("sum by (le) (sidegate_config_generation)", "nothing in it has the label le"),
        ("rate(sidegate_config_generation[5m])", "sidegate_config_generation is a Gauge inside of `rate`"),
        ("sidegate_rejects_total > 5", "sidegate_rejects_total is a Counter inside of ``"),
    ] {
        let findings = wrong(expression, &recorded);
        assert!(findings.iter().any(|found| found.contains(finding)), "{expression}: {findings:?}");
    }
    for expression in [
        "histogram_quantile(0.95, sum by (pod, le) (rate(sidegate_ttft_seconds_bucket{provider=~\"$provider\"}[$__rate_interval])))",
        "job:sidegate_errors:rate5m * 3600 >= 10 unless on (job) up == 0",
        "sum(sidegate_cost_usd_total offset 1d) or vector(0)",
    ] {
        assert_eq!(wrong(expression, &recorded), [""; 0]);
    }
}
