//! Pages that repeat code: each row here has its like in the source, and the other way round.
//!
//! `UPDATE_DOCS=1 cargo test --test it project` writes the generated ones anew.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    time::{Duration, UNIX_EPOCH},
};

use http::StatusCode;
use sidegate::{
    config::{self, Environment},
    telemetry::{
        access_log::Entry,
        names::{self, Kind},
        trace,
    },
    types::Money,
};

use super::files::{pages, read, root};

/// What stands between backticks in the first column of each table row.
fn first_column(page: &str) -> Vec<String> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| Some(row.split_once('`')?.0.to_owned())).collect()
}

fn metrics_page() -> String {
    let mut page = "# Metrics\n\n\
        `GET /metrics` on the admin listener, in the text format of Prometheus. This page is written from\n\
        `src/telemetry/names.rs`; after a change there, run `UPDATE_DOCS=1 cargo test --test it project`.\n\n\
        Labels come from the config or from a fixed set, never from a request: no client can grow the number of series.\n\n\
        | name | kind | labels | what it says |\n| --- | --- | --- | --- |\n"
        .to_owned();
    for metric in names::ALL {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels = if metric.labels.is_empty() { "–".to_owned() } else { format!("`{}`", metric.labels.join("` `")) };
        writeln!(page, "| `{}` | {kind} | {labels} | {} |", metric.name, metric.help).unwrap();
    }
    page
}

#[test]
fn the_page_of_metrics_is_the_table_of_metrics() {
    let (path, page) = ("docs/metrics.md", metrics_page());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join(path), &page).unwrap();
    }
    assert!(read(path) == page, "{path} differs from src/telemetry/names.rs: run `UPDATE_DOCS=1 cargo test --test it project`");
}

#[test]
fn every_field_of_the_access_log_has_its_row() {
    let everything = Entry {
        time: UNIX_EPOCH,
        request_id: "",
        trace_id: Some(""),
        span_id: Some(""),
        method: "",
        path: "",
        status: 200,
        client: Some(""),
        tier: Some(""),
        region: Some(""),
        ip: Some([127, 0, 0, 1].into()),
        route: Some(""),
        provider: Some(""),
        key: Some(""),
        key_name: Some(""),
        model: Some(""),
        stream: true,
        cache: Some("hit"),
        attempts: 1,
        tried: 2,
        verdict: Some("server_error"),
        bytes_in: 0,
        bytes_out: 0,
        tokens_in: Some(0),
        tokens_out: Some(0),
        cost: Some(Money(1)),
        cost_estimated: true,
        duration: Duration::ZERO,
        first_byte: Some(Duration::ZERO),
        overhead: Duration::ZERO,
        end: "",
        error: Some(""),
        limit: Some("per-address"),
        failure: Some("connect_refused"),
    };
    let line = everything.to_string();
    let fields: Vec<&str> = line.split('"').skip(1).step_by(2).filter(|text| line.contains(&format!("\"{text}\":"))).collect();
    assert_eq!(first_column(&read("docs/access-log.md")), fields);
}

#[test]
fn every_attribute_of_a_span_has_its_row() {
    let page = read("docs/logging.md");
    let mut rows = first_column(&page);
    rows.retain(|name| name.contains('.'));
    assert_eq!(rows, trace::names::ALL);
}

/// Every `StatusCode::NAME, "code"` of `reject.rs` and below, as `code` and `404 Not Found`.
fn codes(source: &str) -> BTreeSet<(String, String)> {
    let mut codes = BTreeSet::new();
    for shape in source.split("StatusCode::").skip(1) {
        let Some((name, rest)) = shape.split_once(", \"") else { continue };
        if !name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
            continue;
        }
        let code = rest.split('"').next().unwrap();
        let named = |status: &StatusCode| status.canonical_reason().is_some_and(|reason| reason.to_uppercase().replace(' ', "_") == name);
        let status = (100..600).filter_map(|number| StatusCode::from_u16(number).ok()).find(named);
        codes.insert((code.to_owned(), status.unwrap_or_else(|| panic!("no status is called {name}")).to_string()));
    }
    codes
}

#[test]
fn every_error_code_has_its_row_and_every_row_its_code() {
    let in_code =
        codes(&["reject.rs", "reject/limited.rs", "reject/unserved.rs"].map(|file| read(&format!("src/pipeline/{file}"))).concat());
    assert!(in_code.len() >= 10, "found only {in_code:?}");
    let page = read("docs/errors.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let in_page: BTreeSet<_> = rows
        .map(|row| {
            let mut cells = row.split('|').map(|cell| cell.trim().trim_matches('`').to_owned());
            (cells.next().unwrap(), cells.next().unwrap())
        })
        // The status of this one is the operator's choice.
        .filter(|(code, _)| code != "last_resort")
        .collect();
    let difference: Vec<_> = in_code.symmetric_difference(&in_page).collect();
    assert!(difference.is_empty(), "in one of src/pipeline/reject and docs/errors.md only: {difference:?}");
}

#[test]
fn every_reason_why_a_reply_broke_off_is_one_that_the_log_names() {
    let (page, source) = (read("docs/errors.md"), read("src/upstream/error.rs"));
    let table = page.split_once("| why | what happened |\n| --- | --- |\n").unwrap().1;
    let reasons: Vec<_> = table.lines().map_while(|row| Some(row.strip_prefix("| ")?.split_once(' ')?.0)).collect();
    assert!(reasons.len() >= 3, "found only {reasons:?}");
    let unknown: Vec<_> = reasons.into_iter().filter(|reason| !source.contains(&format!("\"{reason}\""))).collect();
    assert_eq!(unknown, [""; 0]);
}

#[test]
fn a_code_is_found_where_a_shape_is_made() {
    let source =
        "closing(caller(StatusCode::NOT_FOUND, \"x\")), StatusCode::OK; StatusCode, \"y\"; upstream(StatusCode::BAD_GATEWAY, \"z\")";
    let found = codes(source);
    assert_eq!(found, [("x", "404 Not Found"), ("z", "502 Bad Gateway")].map(|(code, status)| (code.to_owned(), status.to_owned())).into());
}

#[test]
fn every_config_of_a_page_loads() {
    // The master key under which the key of docs/keys.md was sealed.
    let master = "0123456789abcdef".repeat(4);
    let environment = Environment::from([
        ("OPENAI_API_KEY", "sk-first"),
        ("OPENAI_API_KEY_2", "sk-second"),
        ("AZURE_OPENAI_API_KEY", "0123456789abcdef"),
        ("SIDEGATE_MASTER_KEY", &master),
    ]);
    let mut loaded = 0;
    for (path, page) in pages() {
        let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
        // Single sections are shown as well; a whole config has providers.
        for config in blocks.filter(|block| block.contains("\nproviders:") || block.starts_with("providers:")) {
            config::from_text(&path, config, &environment).unwrap_or_else(|problems| panic!("{problems}"));
            loaded += 1;
        }
    }
    assert!(loaded >= 1, "no page shows a config");
}
