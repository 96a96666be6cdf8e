//! One line of the config as an error shows it, with the caret under the right characters.

use std::ops::Range;

use unicode_width::UnicodeWidthChar;

use super::mask;

/// The most columns of a line that are shown.
const WIDTH: usize = 110;

/// Columns kept to the left of the caret when a line is cut.
const BEFORE: usize = 40;

/// A line made fit for a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// The line: tabs as blanks, control characters replaced, secrets masked, cut when long.
    pub(super) line: String,
    /// Columns before the first caret.
    pub(super) indent: usize,
    /// The number of carets.
    pub(super) carets: usize,
}

/// What one character becomes on the screen.
struct Cell {
    /// Its place in the line, in bytes.
    at: usize,
    shown: char,
    /// Columns it takes: 0 for a combining mark, 2 for wide ones.
    width: usize,
}

impl Excerpt {
    /// Shows `line` with carets under the bytes of `marked`; `secrets` are byte ranges to mask.
    pub(super) fn of(line: &str, marked: &Range<usize>, secrets: &[Range<usize>]) -> Self {
        let hidden: Vec<_> = mask::ranges(line).into_iter().chain(secrets.iter().cloned()).collect();
        let cells: Vec<Cell> =
            line.char_indices().flat_map(|(at, c)| cells(at, c, hidden.iter().any(|range| range.contains(&at)))).collect();
        let columns = |cells: &[Cell]| cells.iter().map(|cell| cell.width).sum::<usize>();
        let first = cells.iter().position(|cell| cell.at >= marked.start).unwrap_or(cells.len());
        let last = cells.iter().position(|cell| cell.at >= marked.end).unwrap_or(cells.len()).max(first);

        let long = columns(&cells) > WIDTH;
        let from = if long && columns(&cells[..first]) > BEFORE { back(&cells[..first], BEFORE) } else { 0 };
        let to = if long { forth(&cells[from..], WIDTH) + from } else { cells.len() };
        let (head, tail) = (if from > 0 { "…" } else { "" }, if to < cells.len() { "…" } else { "" });
        let body: String = cells[from..to].iter().map(|cell| cell.shown).collect();
        Self {
            line: format!("{head}{body}{tail}").trim_end().to_owned(),
            indent: columns(&cells[from..first]) + usize::from(from > 0),
            carets: columns(&cells[first..last.clamp(first, to.max(first))]).max(1),
        }
    }
}

fn cells(at: usize, c: char, secret: bool) -> impl Iterator<Item = Cell> {
    let (shown, times) = match c {
        _ if secret => ('*', 1),
        '\t' => (' ', 4),
        // Characters that steer a terminal or turn the reading direction.
        c if c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}') => {
            ('\u{fffd}', 1)
        }
        c => (c, 1),
    };
    (0..times).map(move |_| Cell { at, shown, width: shown.width().unwrap_or(0) })
}

/// The index from which the cells up to the end take at most so many columns.
fn back(cells: &[Cell], columns: usize) -> usize {
    let mut left = columns;
    let kept = cells
        .iter()
        .rev()
        .take_while(|cell| {
            left.checked_sub(cell.width).is_some_and(|rest| {
                left = rest;
                true
            })
        })
        .count();
    cells.len() - kept
}

/// The number of cells from the start that take at most so many columns.
fn forth(cells: &[Cell], columns: usize) -> usize {
    let mut left = columns;
    cells
        .iter()
        .take_while(|cell| {
            left.checked_sub(cell.width).is_some_and(|rest| {
                left = rest;
                true
            })
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line with its carets below it.
    fn shown(line: &str, marked: &str) -> String {
        let start = line.find(marked).unwrap();
        let excerpt = Excerpt::of(line, &(start..start + marked.len()), &[]);
        format!("{}\n{}{}", excerpt.line, " ".repeat(excerpt.indent), "^".repeat(excerpt.carets))
    }

    #[test]
    fn tabs_and_wide_characters_do_not_misplace_the_caret() {
        assert_eq!(shown("a:\tbad", "bad"), "a:    bad\n      ^^^");
        assert_eq!(shown("日本: bad", "bad"), "日本: bad\n      ^^^");
        assert_eq!(shown("e\u{301}: 日", "日"), "e\u{301}: 日\n   ^^");
    }

    #[test]
    fn what_could_steer_a_terminal_is_replaced() {
        assert_eq!(shown("a\u{1b}[2J\u{202e}: bad", "bad"), "a\u{fffd}[2J\u{fffd}: bad\n        ^^^");
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let line = format!("{}bad{}", "x".repeat(5_000), "y".repeat(5_000));
        let excerpt = Excerpt::of(&line, &(5_000..5_003), &[]);
        assert!(excerpt.line.chars().count() <= WIDTH + 2, "{excerpt:?}");
        let under: String = excerpt.line.chars().skip(excerpt.indent).take(excerpt.carets).collect();
        assert_eq!(under, "bad");
        let all = Excerpt::of(&line, &(0..line.len()), &[]);
        assert_eq!(all.carets, WIDTH);
    }

    #[test]
    fn a_secret_is_masked_character_for_character() {
        let excerpt = Excerpt::of("value: häh, wieght: 1", &(13..19), std::slice::from_ref(&(7..11)));
        assert_eq!((excerpt.line.as_str(), excerpt.indent, excerpt.carets), ("value: ***, wieght: 1", 12, 6));
    }
}
