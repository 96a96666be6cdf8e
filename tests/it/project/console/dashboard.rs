//! The dashboard can be loaded, can be read, and shows what there is.

use std::collections::BTreeSet;

use serde_json::Value;
use sidegate::telemetry::names;

use super::{DASHBOARD, grouped, read, selectors, wrong};

/// Columns of Grafana's grid.
const COLUMNS: u64 = 24;

/// The first version that Grafana 11 writes.
const SCHEMA_VERSION: u64 = 39;

fn dashboard() -> Value {
    serde_json::from_str(&read(DASHBOARD)).unwrap_or_else(|error| panic!("{DASHBOARD}: {error}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The panels that are shown, and those of each row that is folded.
fn groups(dashboard: &Value) -> Vec<Vec<&Value>> {
    let shown = list(&dashboard["panels"]);
    let folded = shown.iter().filter(|panel| panel["collapsed"] == true).map(|row| list(&row["panels"]).iter().collect());
    std::iter::once(shown.iter().collect()).chain(folded).collect()
}

/// Every panel but the rows.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let all: Vec<_> = groups(dashboard).into_iter().flatten().filter(|panel| panel["type"] != "row").collect();
    assert!(all.len() >= 50, "found only {} panels", all.len());
    all
}

/// Every expression of panels and annotations.
pub(super) fn expressions(dashboard: &Value) -> Vec<String> {
    let of_panels = panels(dashboard).into_iter().flat_map(|panel| list(&panel["targets"])).map(|target| text(&target["expr"]).to_owned());
    let annotations = list(&dashboard["annotations"]["list"]).iter().filter_map(|annotation| Some(annotation["expr"].as_str()?.to_owned()));
    of_panels.chain(annotations).collect()
}

pub(super) fn all_expressions() -> Vec<String> {
    expressions(&dashboard())
}

/// The names that follow a `$` or `${`.
fn variables(text: &str) -> BTreeSet<&str> {
    let behind = text.split('$').skip(1).map(|rest| rest.trim_start_matches('{'));
    behind.map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default()).collect()
}

#[test]
fn every_expression_asks_for_what_there_is() {
    let findings: Vec<_> = all_expressions().iter().flat_map(|expression| wrong(expression, &[])).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn every_metric_is_shown() {
    let shown: BTreeSet<_> =
        all_expressions().iter().flat_map(|expression| selectors(expression)).map(|selector| selector.metric).collect();
    let missing =
        names::ALL.iter().map(|metric| metric.name).filter(|name| !shown.contains(*name) && !shown.contains(&format!("{name}_bucket")));
    assert_eq!(missing.collect::<Vec<_>>(), [""; 0], "no panel of {DASHBOARD} shows these");
}

#[test]
fn every_panel_says_what_it_shows_and_in_which_unit() {
    let dashboard = dashboard();
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= SCHEMA_VERSION);
    let mut titles = BTreeSet::new();
    for row in groups(&dashboard).into_iter().flatten() {
        assert!(row["type"] != "row" || titles.insert(text(&row["title"])), "two rows are called {}", row["title"]);
    }
    for panel in panels(&dashboard) {
        let title = text(&panel["title"]);
        assert!(!title.is_empty(), "a panel has no title: {panel}");
        assert!(text(&panel["description"]).ends_with('.'), "{title}: there is no description");
        assert!(!text(&panel["fieldConfig"]["defaults"]["unit"]).is_empty(), "{title}: there is no unit");
        assert_eq!(panel["datasource"], serde_json::json!({ "type": "prometheus", "uid": "${datasource}" }), "{title}");
        let targets = list(&panel["targets"]);
        let references: BTreeSet<_> = targets.iter().map(|target| text(&target["refId"])).collect();
        assert!(!targets.is_empty() && references.len() == targets.len(), "{title}: its queries are not told apart");
    }
}

/// `{{label}}` in a legend stays empty unless the query leaves that label.
#[test]
fn legends_name_labels_that_their_query_leaves() {
    for panel in panels(&dashboard()) {
        for target in list(&panel["targets"]) {
            let left = grouped(text(&target["expr"]));
            for part in text(&target["legendFormat"]).split("{{").skip(1) {
                let label = part.split("}}").next().unwrap();
                assert!(left.iter().any(|left| left == label), "{}: the query leaves no {label}", panel["title"]);
            }
        }
    }
}

#[test]
fn panels_have_numbers_of_their_own_and_cover_each_other_nowhere() {
    let dashboard = dashboard();
    let groups = groups(&dashboard);
    let numbers: Vec<_> = groups.iter().flatten().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len(), "a number is used twice");
    for group in groups {
        let mut taken = BTreeSet::new();
        for panel in group {
            let [x, y, width, height] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
            assert!(width > 0 && height > 0 && x + width <= COLUMNS, "{} is wider than the grid", panel["title"]);
            let cells = (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y)));
            for cell in cells {
                assert!(taken.insert(cell), "{} covers another panel", panel["title"]);
            }
        }
    }
}

#[test]
fn variables_that_are_used_exist_and_the_other_way_round() {
    let dashboard = dashboard();
    let listed = list(&dashboard["templating"]["list"]);
    let names: BTreeSet<_> = listed.iter().map(|variable| text(&variable["name"])).collect();
    assert_eq!(names, ["datasource", "namespace", "job", "pod", "route", "provider", "model"].into());
    let whole = serde_json::to_string(&dashboard["panels"]).unwrap();
    let used: BTreeSet<_> = variables(&whole).into_iter().filter(|name| !name.starts_with("__")).collect();
    assert_eq!(used, names);
    for variable in listed.iter().filter(|variable| variable["type"] == "query") {
        let query = text(&variable["query"]["query"]);
        let inside = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).unwrap_or_else(|| panic!("{query}"));
        let (selector, label) = inside.rsplit_once(", ").unwrap();
        let mut findings = wrong(&format!("max by ({label}) ({selector})"), &[]);
        // It asks which series there are, and not what they say.
        findings.retain(|finding| !finding.contains(" inside of "));
        assert_eq!(findings, [""; 0]);
        assert_eq!(label, text(&variable["name"]), "{query}");
    }
}

/// `process_…` are metrics of every program: only the job keeps others out, so its `All` must name them.
#[test]
fn all_jobs_are_those_of_sidegate_alone() {
    let dashboard = dashboard();
    let job = list(&dashboard["templating"]["list"]).iter().find(|variable| variable["name"] == "job").unwrap();
    assert_eq!(job["allValue"], Value::Null);
    let scoped = |selector: &super::Selector| selector.matchers.iter().any(|(label, _)| label == "job");
    let open: Vec<_> = all_expressions().iter().flat_map(|expression| selectors(expression)).filter(|selector| !scoped(selector)).collect();
    assert_eq!(open, []);
}
