//! The report for people.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use super::report::{Difference, Ended, Figures, Report, Spread};

/// Prints the report as a table; `listed` is the day of the price list that is built in, where that was used.
///
/// # Errors
/// `out` is closed.
pub(super) fn print(report: &Report, listed: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
    let mut text = String::new();
    let streamed = if report.stream { "streamed" } else { "whole" };
    let rate = report.rate_per_s.map(|rate| format!(", {rate} requests/s")).unwrap_or_default();
    let _ = writeln!(text, "{} users{rate}, {streamed} replies of {}\n", count(report.users.into()), report.model);
    figures(&mut text, &report.figures, &report.model, listed);
    if let Some(compare) = &report.compare {
        text.push('\n');
        figures(&mut text, compare, &report.model, listed);
    }
    if let Some(added) = &report.added_ms {
        let _ = writeln!(text, "\nadded by {}", report.figures.url);
        let _ = writeln!(text, "  {:14}{:>12}{:>12}", "", "p50", "p95");
        for (name, difference) in [("latency", added.latency), ("first token", added.first_token)] {
            if let Some(Difference { p50, p95 }) = difference {
                let _ = writeln!(text, "  {name:14}{:>12}{:>12}", format!("{p50:+.2} ms"), format!("{p95:+.2} ms"));
            }
        }
    }
    for note in notes(report) {
        let _ = writeln!(text, "\n{note}");
    }
    out.write_all(text.as_bytes())
}

fn figures(text: &mut String, figures: &Figures, model: &str, listed: Option<&str>) {
    let Figures { requests, tokens, .. } = figures;
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:14}{value}");
    };
    row("url", figures.url.clone());
    row("requests", format!("{} in {:.1} s, {:.1}/s", count(requests.total), figures.duration_s, requests.per_s));
    // Down, as the percentage itself.
    let success = requests.success_percent.map(|percent| format!(" ({:.2} %)", (percent * 100.0).floor() / 100.0)).unwrap_or_default();
    row("succeeded", format!("{}{success}", count(requests.succeeded)));
    let kinds: Vec<_> = figures.failures.iter().map(|(kind, n)| format!("{kind} × {}", count(*n))).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) };
    row("failed", format!("{}{kinds}", count(requests.failed)));
    if let Some(said) = &figures.first_failure {
        row("first failure", said.clone());
    }
    if requests.unfinished > 0 {
        row("unfinished", count(requests.unfinished));
    }
    let rows = [("latency", figures.latency_ms), ("first token", figures.first_token_ms)];
    if rows.iter().any(|(_, spread)| spread.is_some()) {
        row("", format!("{:>12}{:>12}{:>12}{:>12}", "p50", "p95", "p99", "max"));
    }
    for (name, spread) in rows {
        if let Some(Spread { p50, p95, p99, max }) = spread {
            row(name, [p50, p95, p99, max].iter().map(|ms| format!("{:>12}", format!("{ms:.1} ms"))).collect());
        }
    }
    let about = if tokens.replies_without_usage > 0 { "about " } else { "" };
    row("tokens", format!("{about}{} in, {} out, {:.1}/s out", count(tokens.input), count(tokens.output), tokens.output_per_s));
    row(
        "cost",
        match figures.cost_usd {
            Some(cost) => format!("{about}${cost:.4}{}", listed.map(|day| format!(" at the list prices of {day}")).unwrap_or_default()),
            None if requests.succeeded == 0 => "unknown: no reply to pay for".to_owned(),
            None => format!("unknown: no price for {model} (--prices)"),
        },
    );
}

/// What the reader should know beside the figures.
fn notes(report: &Report) -> Vec<&'static str> {
    let mut notes = Vec::new();
    match report.ended {
        Ended::Complete => {}
        Ended::Interrupted => notes.push("Ended early; the figures are of what had been answered by then."),
        Ended::Refused => notes.push("Ended early: every request was refused with 401."),
    }
    let refused = |figures: &Figures| figures.failures.contains_key("401");
    if refused(&report.figures) || report.compare.as_ref().is_some_and(refused) {
        notes.push("401: the URL wants a key that it knows. Set OPENAI_API_KEY or --key.");
    }
    notes
}

/// With a comma between thousands.
fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(n), text);
        }
    }
}
