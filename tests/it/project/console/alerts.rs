//! Every alert can fire, is tested with promtool, and has a section in its page that says what to do.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde::Deserialize;
use serde_json::Value;

use super::{RULES, read, selectors, wrong};
use crate::project::files::root;

const PAGE: &str = "https://github.com/sidegate/sidegate/blob/main/docs/alerts.md";

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    record: Option<String>,
    alert: Option<String>,
    expr: String,
    #[serde(rename = "for", default)]
    after: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// A file of tests for promtool, as far as it is looked at here.
#[derive(Deserialize)]
struct Tests {
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    #[serde(default)]
    alert_rule_test: Vec<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    alertname: String,
    exp_alerts: Vec<Value>,
}

fn rules() -> Vec<Rule> {
    let rules: Rules = serde_yaml::from_str(&read(RULES)).unwrap_or_else(|error| panic!("{RULES}: {error}"));
    let all: Vec<_> = rules.groups.into_iter().flat_map(|group| group.rules).collect();
    assert!(all.len() >= 20, "found only {} rules", all.len());
    all
}

fn recorded(rules: &[Rule]) -> Vec<String> {
    rules.iter().filter_map(|rule| rule.record.clone()).collect()
}

/// The expressions of all rules.
pub(super) fn all_expressions() -> Vec<String> {
    rules().into_iter().map(|rule| rule.expr).collect()
}

/// The names of all alerts.
fn alerts(rules: &[Rule]) -> BTreeSet<&str> {
    rules.iter().filter_map(|rule| rule.alert.as_deref()).collect()
}

#[test]
fn every_rule_asks_for_what_there_is() {
    let rules = rules();
    let recorded = recorded(&rules);
    let findings: Vec<_> = rules.iter().flat_map(|rule| wrong(&rule.expr, &recorded)).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// With a scrape a minute, a shorter window may hold one sample only, of which no rate can be told.
#[test]
fn growth_is_told_over_five_minutes_at_least() {
    for selector in rules().iter().flat_map(|rule| selectors(&rule.expr)) {
        let range = selector.range.unwrap_or_default();
        let is_long = !range.ends_with('m') || range.trim_end_matches('m').parse::<u32>().unwrap() >= 5;
        assert!(is_long || !matches!(selector.function.as_str(), "rate" | "increase"), "{} over {range}", selector.metric);
    }
}

#[test]
fn every_alert_says_how_urgent_it_is_what_happened_and_where_it_is_told_what_to_do() {
    let rules = rules();
    for rule in rules.iter().filter(|rule| rule.alert.is_some()) {
        let name = rule.alert.as_deref().unwrap();
        assert!(name.starts_with("Sidegate"), "{name}");
        assert!(matches!(rule.labels["severity"].as_str(), "critical" | "warning"), "{name}");
        assert!(rule.annotations["summary"].ends_with('.') && rule.annotations["description"].ends_with('.'), "{name}");
        assert_eq!(rule.annotations["runbook_url"], format!("{PAGE}#{}", name.to_lowercase()));
        // What happens once must not wake anybody before a second look; restarts are counted over half an hour already.
        assert!(rule.after.is_some() || name == "SidegateRestarting", "{name} fires at the first look");
    }
}

#[test]
fn every_alert_has_its_section_and_every_section_its_alert() {
    let (rules, page) = (rules(), read("docs/alerts.md"));
    let sections: BTreeSet<_> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(sections, alerts(&rules));
    for section in page.split("\n## ").skip(1) {
        let name = section.lines().next().unwrap();
        for part in ["**Means.**", "**Look at.**", "**Do.**"] {
            assert!(section.contains(part) || name == "SidegateSaturated" && part == "**Do.**", "{name} lacks {part}");
        }
    }
}

#[test]
fn every_alert_is_seen_to_fire_and_not_to() {
    let (mut fired, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for entry in fs::read_dir(root().join("tests/alerts")).unwrap() {
        let path = entry.unwrap().path();
        let tests: Tests = serde_yaml::from_str(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        for expected in tests.tests.into_iter().flat_map(|test| test.alert_rule_test) {
            let seen = if expected.exp_alerts.is_empty() { &mut silent } else { &mut fired };
            seen.insert(expected.alertname);
        }
    }
    let rules = rules();
    let all: BTreeSet<_> = alerts(&rules).into_iter().map(str::to_owned).collect();
    assert_eq!(fired, all, "not each is seen to fire");
    assert_eq!(silent, all, "not each is seen not to fire");
}

/// A code that is new must be put on one side or the other.
#[test]
fn errors_are_all_codes_of_5xx_that_no_caller_has_asked_for() {
    let page = read("docs/errors.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let mut faults: BTreeSet<_> = rows.filter(|(_, rest)| rest.starts_with('5')).map(|(code, _)| code.to_owned()).collect();
    // Who says `only-if-cached` asks for it; the status of a last resort is the operator's choice.
    assert!(faults.remove("not_cached") && faults.insert("last_resort".to_owned()));
    let mut seen = 0;
    for rule in rules().iter().filter(|rule| rule.record.as_ref().is_some_and(|name| name.starts_with("job:"))) {
        for selector in selectors(&rule.expr).into_iter().filter(|selector| selector.metric == "sidegate_rejects_total") {
            assert_eq!(selector.matchers[0].1.iter().cloned().collect::<BTreeSet<_>>(), faults, "{:?}", rule.record);
            seen += 1;
        }
    }
    assert_eq!(seen, 8);
}

/// A job whose pods are many is one alert: what names a pod says so on purpose.
#[test]
fn rules_need_no_label_that_is_there_in_a_cluster_only() {
    for expression in all_expressions() {
        for selector in selectors(&expression) {
            let fixed = selector.matchers.iter().any(|(label, _)| matches!(label.as_str(), "namespace" | "pod" | "instance"));
            assert!(!fixed, "{expression}");
        }
    }
}
