//! The figures as a Markdown table, which is what `docs/` wants, and as JSON.

use serde_json::{Map, Value, json};

use crate::{
    bars::Held,
    figures::{Figures, Spread, What},
    proxies::{self, Proxy},
};

/// As text: medians and ranges, and how many times nginx's and the bare proxy's Sidegate's are; then the bars.
pub(crate) fn text(figures: &Figures, held: &[Held]) -> String {
    let mut rows = vec![heading()];
    rows.extend(figures.all().map(|what| row(figures, what)));
    let mut text = table(&rows);
    if !held.is_empty() {
        let mut rows = vec![["bar", "figure", "", ""].map(str::to_owned).to_vec()];
        rows.extend(held.iter().map(|held| {
            let verdict = if held.holds { "holds" } else { "**DOES NOT HOLD**" };
            vec![held.what.clone(), held.figure.clone(), held.bar.clone(), verdict.to_owned()]
        }));
        text.push('\n');
        text.push_str(&table(&rows));
    }
    text
}

fn heading() -> Vec<String> {
    let mut heading = vec![String::new()];
    heading.extend(Proxy::ALL.map(|proxy| match proxies::version(proxy) {
        Some(version) => format!("{} {version}", proxy.name()),
        None => proxy.name().to_owned(),
    }));
    heading.extend(["÷ nginx".to_owned(), "÷ bare hyper".to_owned()]);
    heading
}

fn row(figures: &Figures, what: What) -> Vec<String> {
    let unit = what.unit();
    let mut row = vec![if unit.is_empty() { what.name() } else { format!("{}, {unit}", what.name()) }];
    row.extend(Proxy::ALL.map(|proxy| figures.spread(what, proxy).map_or_else(String::new, |spread| cell(what, spread))));
    row.extend([Proxy::Nginx, Proxy::Bare].map(|peer| {
        let ratio = figures.ratio(what, Proxy::Sidegate, peer);
        ratio.map_or_else(String::new, |ratio| format!("{:.2}", ratio.median))
    }));
    row
}

/// The median, and the range where there is one.
fn cell(what: What, spread: Spread) -> String {
    let [median, least, most] = [spread.median, spread.least, spread.most].map(|value| what.written(value));
    if least == most { median } else { format!("{median} ({least}–{most})") }
}

fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns).map(|n| rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0).max(3)).collect();
    let line = |row: &[String]| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(n, (cell, width))| if n == 0 { format!(" {cell:width$} ") } else { format!(" {cell:>width$} ") });
        format!("|{}|\n", cells.collect::<Vec<_>>().join("|"))
    };
    let mut text = String::new();
    for (n, row) in rows.iter().enumerate() {
        text.push_str(&line(row));
        if n == 0 {
            let rules = widths
                .iter()
                .enumerate()
                .map(|(n, width)| format!("{}{}", "-".repeat(width + if n == 0 { 2 } else { 1 }), if n == 0 { "" } else { ":" }));
            text.push_str(&format!("|{}|\n", rules.collect::<Vec<_>>().join("|")));
        }
    }
    text
}

/// Everything, each round's samples included.
pub(crate) fn json(figures: &Figures, held: &[Held]) -> Value {
    let told = |spread: Spread| json!({ "median": spread.median, "min": spread.least, "max": spread.most });
    let figures: Vec<Value> = figures
        .all()
        .map(|what| {
            let mut by_proxy = Map::new();
            for proxy in Proxy::ALL {
                let Some(spread) = figures.spread(what, proxy) else { continue };
                let mut of = told(spread);
                of["samples"] = json!(figures.samples(what, proxy));
                of["to_nginx"] = figures.ratio(what, proxy, Proxy::Nginx).map_or(Value::Null, told);
                of["to_bare"] = figures.ratio(what, proxy, Proxy::Bare).map_or(Value::Null, told);
                by_proxy.insert(proxy.name().to_owned(), of);
            }
            json!({ "figure": what.name(), "unit": what.unit(), "proxies": by_proxy })
        })
        .collect();
    let bars: Vec<Value> =
        held.iter().map(|held| json!({ "what": held.what, "figure": held.figure, "bar": held.bar, "holds": held.holds })).collect();
    let versions: Map<String, Value> =
        Proxy::ALL.into_iter().filter_map(|proxy| Some((proxy.name().to_owned(), proxies::version(proxy)?.into()))).collect();
    json!({ "versions": versions, "figures": figures, "bars": bars })
}
