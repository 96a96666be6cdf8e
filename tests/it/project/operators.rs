//! The pages for operators name metrics, endpoints, fields and codes that there are.

use std::collections::BTreeSet;

use super::files::read;

const PAGES: [&str; 6] = ["install", "configure", "secure", "scale", "upgrade", "troubleshoot"];

/// Where each word that the table of symptoms has is explained.
const REFERENCES: [&str; 9] = ["access-log", "admin", "cache", "config", "errors", "logging", "metrics", "resilience", "transparency"];

fn page(name: &str) -> String {
    read(&format!("docs/{name}.md"))
}

/// What stands between single backticks, blocks of code left out.
fn words(page: &str) -> Vec<String> {
    let text: String = page.split("```").step_by(2).collect();
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_metric_that_they_name_exists() {
    let (metrics, mut found) = (page("metrics"), 0);
    for name in PAGES {
        for word in words(&page(name)) {
            let metric = word.split('{').next().unwrap();
            if metric.starts_with("sidegate_") || metric.starts_with("process_") {
                assert!(metrics.contains(&format!("| `{metric}` |")), "docs/{name}.md: `{word}`");
                found += 1;
            }
        }
    }
    assert!(found >= 20, "found only {found}");
}

#[test]
fn every_endpoint_that_they_name_exists() {
    let (admin, mut found) = (page("admin"), 0);
    for name in PAGES {
        for word in words(&page(name)).into_iter().filter(|word| word.starts_with("GET /") || word.starts_with("POST /")) {
            assert!(admin.contains(&format!("| `{word}` |")), "docs/{name}.md: `{word}`");
            found += 1;
        }
    }
    assert!(found >= 8, "found only {found}");
}

/// A row of a table, cell by cell.
fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split(" | ").map(str::trim).collect()
}

#[test]
fn every_symptom_has_something_to_look_at_and_to_do() {
    let page = page("troubleshoot");
    let table = page.split_once("| --- | --- | --- |\n").unwrap().1;
    let rows: Vec<_> = table.lines().take_while(|line| line.starts_with('|')).map(cells).collect();
    assert!(rows.len() >= 15, "{} symptoms", rows.len());
    assert!(rows.iter().all(|row| row.len() == 3 && row.iter().all(|cell| !cell.is_empty())), "{rows:?}");
    assert_eq!(rows.iter().map(|row| row[0]).collect::<BTreeSet<_>>().len(), rows.len(), "a symptom stands there twice");
}

#[test]
fn every_word_of_the_symptoms_is_explained_somewhere() {
    let references = REFERENCES.map(page).concat();
    let table = page("troubleshoot");
    let table = table.split_once("| --- | --- | --- |\n").unwrap().1;
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let lost: Vec<_> = rows
        .flat_map(words)
        // What is no name of ours, or a value, or a path that is told as `NAME.field`.
        .filter(|word| {
            !["/v1", "per: client", "base_url", "api_key", "subPath", "preStop", "restartPolicy: Always"].contains(&word.as_str())
        })
        .filter(|word| {
            let last = word.rsplit(['.', ':']).next().unwrap().trim_matches('"');
            !references.contains(word.as_str()) && !references.contains(&format!("`{last}`"))
        })
        .collect();
    assert_eq!(lost, [""; 0]);
}

#[test]
fn every_code_that_a_symptom_names_is_an_error_of_that_status() {
    let (errors, mut found) = (page("errors"), 0);
    for row in page("troubleshoot").lines().filter(|line| line.starts_with("| 4") || line.starts_with("| 5")) {
        let symptom = cells(row)[0].to_owned();
        // `413 one, 431 another`, or several codes of one status.
        let mut status = "";
        for part in symptom.split(", ") {
            status = part.split(' ').next().filter(|word| word.parse::<u16>().is_ok()).unwrap_or(status);
            let code = part.split('`').nth(1).unwrap_or_else(|| panic!("no code: {row}"));
            assert!(errors.contains(&format!("| `{code}` | {status} ")), "{status} {code}");
            found += 1;
        }
    }
    assert!(found >= 12, "found only {found}");
}
