//! What the pages on failures say of causes, conditions and numbers is what the code has.

use std::collections::BTreeMap;

use sidegate::{
    config::{self, Condition, Environment, Retry},
    types::{Blame, Cause},
};

use super::files::read;

/// The first table behind a heading: each name between backticks in the first column, with the rest of its row.
fn table(page: &str, heading: &str) -> BTreeMap<String, Vec<String>> {
    let behind = page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no heading {heading}")).1;
    let rows = behind.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|')).skip(2);
    let cells = |row: &str| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let named = |row: &str| {
        let mut cells = cells(row);
        let names = cells.remove(0);
        names.split('`').skip(1).step_by(2).map(|name| (name.to_owned(), cells.clone())).collect::<Vec<_>>()
    };
    rows.flat_map(named).collect()
}

fn blamed(blame: Blame) -> &'static str {
    match blame {
        Blame::Nobody => "nobody",
        Blame::Caller => "the caller",
        Blame::Model => "the model at that account",
        Blame::Key => "the key",
        Blame::Account => "the account",
        Blame::Host => "the host",
        Blame::Network => "the network",
    }
}

#[test]
fn the_table_of_verdicts_has_each_cause_and_whom_it_is_about() {
    let rows = table(&read("docs/resilience.md"), "Verdicts");
    for cause in Cause::ALL {
        let row = rows.get(cause.name()).unwrap_or_else(|| panic!("no row for `{}`", cause.name()));
        assert!(row[1].starts_with(blamed(cause.blame())), "`{}`: {}", cause.name(), row[1]);
    }
    let names: std::collections::BTreeSet<_> = Cause::ALL.into_iter().map(Cause::name).collect();
    assert_eq!(rows.len(), names.len(), "the page has a cause that there is not");
}

#[test]
fn the_table_of_conditions_has_each_and_its_default() {
    let rows = table(&read("docs/fallback.md"), "When");
    let text = "providers:
  a: { base_url: http://a, keys: [{ value: sk-a }] }
  b: { base_url: http://b, keys: [{ value: sk-b }] }
routes: [{ path: /v1, targets: [a, b] }]";
    let loaded = config::from_text("proxy.yaml", text, &Environment::default()).unwrap_or_else(|problems| panic!("{problems}"));
    let second = &loaded.config.routes[0].targets[1];
    for condition in Condition::ALL {
        let name = serde_json::to_value(condition).unwrap();
        let row = &rows[name.as_str().unwrap()];
        assert_eq!(row[1].starts_with("yes"), second.takes_over(condition), "{name}: {}", row[1]);
    }
    assert_eq!(rows.len(), Condition::ALL.len());
}

#[test]
fn the_config_of_the_page_on_failures_says_the_defaults() {
    let page = read("docs/resilience.md");
    let block = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let environment = Environment::from([("OPENAI_API_KEY", "sk-first")]);
    let shown = config::from_text("docs/resilience.md", block, &environment).unwrap_or_else(|problems| panic!("{problems}")).config;
    let provider = &shown.providers.values().next().unwrap();
    assert_eq!(shown.retry, Retry::default());
    assert_eq!(provider.breaker, config::BreakerChoice::default());

    let least = block.replace(", waiting: 1000, timeout: 5m", "");
    assert_ne!(least, block);
    let least = config::from_text("docs/resilience.md", &least, &environment).unwrap_or_else(|problems| panic!("{problems}")).config;
    assert_eq!(provider.queue, least.providers.values().next().unwrap().queue);
}
