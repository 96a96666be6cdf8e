//! Figures, the bars beside them, and the table that shows both.

use std::{fmt, time::Duration};

/// Rows of a figure and its bar.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

struct Row {
    what: String,
    figure: String,
    /// What the figure must be, and whether it is; nothing for one that is only told.
    bar: Option<(String, bool)>,
}

impl Table {
    /// A figure that is told for comparison.
    pub(crate) fn tell(&mut self, what: impl Into<String>, figure: impl fmt::Display) {
        self.rows.push(Row { what: what.into(), figure: figure.to_string(), bar: None });
    }

    /// A figure that must hold a bar.
    pub(crate) fn hold(&mut self, what: impl Into<String>, figure: impl fmt::Display, bar: impl Into<String>, holds: bool) {
        self.rows.push(Row { what: what.into(), figure: figure.to_string(), bar: Some((bar.into(), holds)) });
    }

    pub(crate) fn holds(&self) -> bool {
        self.rows.iter().all(|row| row.bar.as_ref().is_none_or(|(_, holds)| *holds))
    }

    /// As a Markdown table, which is what `docs/` wants.
    pub(crate) fn print(&self) {
        let width = |column: fn(&Row) -> usize| self.rows.iter().map(column).max().unwrap_or(0).max(6);
        let (what, figure) = (width(|row| row.what.chars().count()), width(|row| row.figure.chars().count()));
        println!("| {:what$} | {:>figure$} | bar", "", "figure");
        println!("| {:-<what$} | {:-<figure$}:| ---", "", "");
        for row in &self.rows {
            let bar = match &row.bar {
                Some((bar, true)) => format!("{bar}: holds"),
                Some((bar, false)) => format!("{bar}: **DOES NOT HOLD**"),
                None => String::new(),
            };
            println!("| {:what$} | {:>figure$} | {bar}", row.what, row.figure);
        }
    }
}

/// The same figures of several sides, beside each other.
pub(crate) struct Columns {
    corner: String,
    sides: Vec<(String, Vec<(String, String)>)>,
}

impl Columns {
    pub(crate) fn new(corner: String) -> Self {
        Self { corner, sides: Vec::new() }
    }

    /// A side with its rows, which are the same for all.
    pub(crate) fn add(&mut self, side: String, rows: Vec<(String, String)>) {
        self.sides.push((side, rows));
    }

    /// As a Markdown table.
    pub(crate) fn print(&self) {
        let names: Vec<_> = self.sides.iter().map(|(name, _)| name.as_str()).collect();
        println!("| {} | {} |\n| --- {}|", self.corner, names.join(" | "), "| ---: ".repeat(names.len()));
        for (at, (what, _)) in self.sides.first().into_iter().flat_map(|(_, rows)| rows.iter().enumerate()) {
            let figures: Vec<_> = self.sides.iter().map(|(_, rows)| rows[at].1.as_str()).collect();
            println!("| {what} | {} |", figures.join(" | "));
        }
        println!();
    }
}

/// Many durations, of which a few are looked at.
pub(crate) struct Spread(Vec<Duration>);

impl Spread {
    pub(crate) fn of(mut durations: Vec<Duration>) -> Self {
        assert!(!durations.is_empty(), "nothing was measured");
        durations.sort_unstable();
        Self(durations)
    }

    /// The duration that `percent` of all do not exceed.
    pub(crate) fn percentile(&self, percent: f64) -> Duration {
        let rank = (self.0.len() as f64 * percent / 100.0).ceil() as usize;
        self.0[rank.clamp(1, self.0.len()) - 1]
    }

    pub(crate) fn max(&self) -> Duration {
        self.0[self.0.len() - 1]
    }

    /// The part that does not exceed `limit`, in percent.
    pub(crate) fn within(&self, limit: Duration) -> f64 {
        100.0 * self.0.partition_point(|duration| *duration <= limit) as f64 / self.0.len() as f64
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        write!(f, "p50 {:.2} / p99 {:.2} / max {:.2} ms", ms(self.percentile(50.0)), ms(self.percentile(99.0)), ms(self.max()))
    }
}

/// Bytes as MiB.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
