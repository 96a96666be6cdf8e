//! What the page on the cache says of words and numbers is what the code has.

use std::collections::BTreeSet;

use sidegate::{
    config::{self, Cache, Environment},
    policy::cache::{Bypass, Unfit},
    types::Cached,
};

use super::files::read;

/// What stands between backticks in the first column of the first table behind a heading, cell by cell.
fn first_column(page: &str, heading: &str) -> BTreeSet<String> {
    let behind = page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no heading {heading}")).1;
    let rows = behind.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|')).skip(2);
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn the_table_of_outcomes_has_each_word() {
    let rows = first_column(&read("docs/cache.md"), "What becomes of a request");
    assert_eq!(rows, Cached::ALL.iter().map(|cached| cached.name().to_owned()).collect());
}

#[test]
fn the_table_of_what_passes_by_has_each_word() {
    let rows = first_column(&read("docs/cache.md"), "What is cached");
    assert_eq!(rows, Bypass::ALL.iter().map(|bypass| bypass.name().to_owned()).collect());
}

#[test]
fn every_reason_not_to_keep_a_reply_has_its_row() {
    let page = read("docs/cache.md");
    for unfit in Unfit::ALL {
        assert!(page.contains(&format!(" | `{}` |\n", unfit.name())), "{}", unfit.name());
    }
}

#[test]
fn the_config_of_the_page_on_the_cache_names_each_field_and_says_the_defaults() {
    let page = read("docs/cache.md");
    let block = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let whole = format!("{block}providers: {{ openai: {{ keys: [{{ value: sk-first }}] }} }}\n");
    let shown = config::from_text("docs/cache.md", &whole, &Environment::default()).unwrap_or_else(|problems| panic!("{problems}")).config;
    assert_eq!(shown.cache, Some(Cache::default()));
    let fields: BTreeSet<_> =
        block.lines().take_while(|line| *line != "routes:").filter_map(|line| Some(line.strip_prefix("  ")?.split_once(':')?.0)).collect();
    // An empty list is not written.
    let known = serde_json::to_value(Cache { headers: vec!["x-tenant".to_owned()], ..Cache::default() }).unwrap();
    assert_eq!(fields, known.as_object().unwrap().keys().map(String::as_str).collect());
}
