//! The answer as people read it.

use std::fmt::Write;

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

/// One row of the table.
type Row = [String; 6];

/// What a new caller has, and what remains now where a process was asked.
pub(super) fn text(fresh: &Value, running: Option<&Value>, passes: bool) -> String {
    let mut out = String::new();
    // Writing to a text can't fail.
    let _ = writeln!(out, "caller   {}", caller(running.unwrap_or(fresh)));
    let limits = fresh["limits"].as_array().map_or(&[][..], Vec::as_slice);
    let (apply, others): (Vec<&Value>, Vec<&Value>) = limits.iter().partition(|limit| limit["applies"] == true);
    if limits.is_empty() {
        out.push_str("limits   none in this config\n");
    }
    if !apply.is_empty() {
        let head = ["limit", "counts", "numbers", "for", "new caller", "now"].map(str::to_owned);
        let rows = apply.iter().map(|limit| row(limit, running));
        let mut rows: Vec<Row> = std::iter::once(head).chain(rows).collect();
        if running.is_none() {
            rows.iter_mut().for_each(|row| row[5].clear());
        }
        out.push('\n');
        align(&mut out, &rows);
    }
    if !others.is_empty() {
        let plain = |limit: &&Value| [field(limit, "name"), field(limit, "unit"), format!("does not apply: {}", field(limit, "why_not"))];
        out.push('\n');
        align(&mut out, &others.iter().map(plain).collect::<Vec<_>>());
    }
    let _ = writeln!(out, "\n{}", verdict(fresh, running, passes));
    out
}

fn caller(answer: &Value) -> String {
    let caller = &answer["caller"];
    let part = |name: &str, title: &str| caller[name].as_str().map(|value| format!("{title} {}", shown(value)));
    let name = part("client", "client").unwrap_or_else(|| "no client that is known".to_owned());
    let parts = [Some(name), part("tier", "tier"), part("region", "region"), part("ip", "from")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn row(limit: &Value, running: Option<&Value>) -> Row {
    let burst = limit["burst"].as_u64().map(|burst| format!(", burst {burst}")).unwrap_or_default();
    let shadow = if limit["shadow"] == true { ", shadow" } else { "" };
    let now = running.map(|running| found(running, limit).map_or("not in the running config".to_owned(), left)).unwrap_or_default();
    [
        field(limit, "name"),
        field(limit, "unit"),
        format!("{}{burst}{shadow}", field(limit, "rate")),
        field(limit, "subject"),
        format!("{} left", amount(limit, "remaining")),
        now,
    ]
}

/// The same limit of the running process.
fn found<'r>(running: &'r Value, limit: &Value) -> Option<&'r Value> {
    running["limits"].as_array()?.iter().find(|other| other["name"] == limit["name"] && other["unit"] == limit["unit"])
}

fn left(limit: &Value) -> String {
    if limit["applies"] != true {
        return field(limit, "why_not");
    }
    let mut text = format!("{} of {} left", amount(limit, "remaining"), amount(limit, "limit"));
    if let Some(wait) = limit["wait_seconds"].as_f64() {
        let _ = write!(text, ", wait {}", time(wait));
    } else if let Some(reset) = limit["reset_seconds"].as_f64().filter(|reset| *reset > 0.0) {
        let _ = write!(text, ", whole in {}", time(reset));
    }
    text
}

/// Money is told with its currency.
fn amount(limit: &Value, name: &str) -> String {
    match (limit["unit"].as_str(), limit[name].as_f64()) {
        (Some("cost"), Some(dollars)) => format!("{dollars} USD"),
        _ => limit[name].to_string(),
    }
}

/// A time in its two largest units, rounded up: who waits as long has waited long enough.
fn time(seconds: f64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let whole = seconds.ceil() as u64;
    if whole <= 1 {
        return format!("{seconds} s");
    }
    let first = UNITS.iter().position(|(unit, _)| whole >= *unit).unwrap_or(3);
    let (small, _) = UNITS[(first + 1).min(3)];
    let mut left = whole.next_multiple_of(small);
    let mut parts = Vec::new();
    for (unit, name) in &UNITS[first..=(first + 1).min(3)] {
        if left >= *unit {
            parts.push(format!("{} {name}", left / unit));
        }
        left %= unit;
    }
    parts.join(" ")
}

fn verdict(fresh: &Value, running: Option<&Value>, passes: bool) -> String {
    let answer = running.unwrap_or(fresh);
    let whose = if running.is_some() {
        "It was asked of the running process, and charged nothing."
    } else {
        "No process was asked: this is what a new caller has."
    };
    let refusing = |limit: &&Value| limit["passes"] == false && limit["shadow"] != true;
    let error = [answer, fresh].into_iter().find_map(|answer| answer["error"]["message"].as_str());
    let why = match (error, answer["limits"].as_array().and_then(|limits| limits.iter().find(refusing))) {
        _ if passes => return format!("It would pass. {whose}"),
        (Some(message), _) => format!(" {}", shown(message)),
        (None, Some(limit)) if limit["wait_seconds"].is_null() => format!(" The limit {} never has as much as that.", field(limit, "name")),
        (None, Some(limit)) => format!(" The limit {} has not enough left.", field(limit, "name")),
        (None, None) => String::new(),
    };
    format!("It would be refused.{why} {whose}")
}

fn field(value: &Value, name: &str) -> String {
    value[name].as_str().map(shown).unwrap_or_default()
}

/// What comes from elsewhere moves no cursor.
fn shown(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// Columns as wide as what stands in them.
fn align<const N: usize>(out: &mut String, rows: &[[String; N]]) {
    let widths: [usize; N] = std::array::from_fn(|at| rows.iter().map(|row| row[at].width()).max().unwrap_or(0));
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell}{}", " ".repeat(width - cell.width() + 2));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_two_units_and_never_too_short() {
        for (seconds, told) in [
            (0.25, "0.25 s"),
            (58.7, "59 s"),
            (60.0, "1 min"),
            (61.2, "1 min 2 s"),
            (3_599.5, "1 h"),
            (34_974.0, "9 h 43 min"),
            (86_399.0, "24 h"),
            (700_000.0, "8 d 3 h"),
        ] {
            assert_eq!(time(seconds), told, "{seconds}");
        }
    }

    #[test]
    fn money_is_told_as_money() {
        let limit = serde_json::json!({ "unit": "cost", "remaining": 4.25, "limit": 5.0 });
        assert_eq!((amount(&limit, "remaining"), amount(&limit, "limit")), ("4.25 USD".to_owned(), "5 USD".to_owned()));
        assert_eq!(amount(&serde_json::json!({ "unit": "tokens", "limit": 20 }), "limit"), "20");
    }
}
