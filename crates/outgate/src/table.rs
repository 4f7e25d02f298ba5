//! Tables for people.

use std::io::IsTerminal;

use comfy_table::{Cell, ContentArrangement, LineStyle, Table, presets};

/// The narrowest and widest that a table is laid out for on a terminal, in columns.
const WIDTH: std::ops::RangeInclusive<u16> = 60..=200;

/// A table that fits the terminal; where the output is no terminal, lines are as long as they
/// are, so that programs can read them.
pub(crate) fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING.header_separator(LineStyle::new('─', '─', '─', '─')));
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        if let Some(width) = table.width() {
            table.set_width(width.clamp(*WIDTH.start(), *WIDTH.end()));
        }
    } else {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    if !crate::output::coloured() {
        table.force_no_tty();
    }
    table.set_header(
        headings
            .iter()
            .map(|heading| Cell::new(heading.to_uppercase())),
    );
    table
}

/// A row of what manifests, peers and files say: nothing in it can steer the terminal.
pub(crate) fn cells<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Vec<Cell> {
    texts.into_iter().map(cell).collect()
}

/// One cell of such a row.
pub(crate) fn cell(text: impl AsRef<str>) -> Cell {
    Cell::new(harmless(text.as_ref()))
}

/// The text with a mark in the place of every control character but line ends.
pub(crate) fn harmless(text: &str) -> String {
    let mark = |c: char| {
        if c.is_control() && c != '\n' {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    text.chars().map(mark).collect()
}

/// The table as text that ends in a newline.
pub(crate) fn shown(table: &Table) -> String {
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    format!("{}\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_cannot_steer_the_terminal() {
        assert_eq!(
            harmless("a\u{1b}[31mb\r\u{9b}c\nd"),
            "a\u{fffd}[31mb\u{fffd}\u{fffd}c\nd"
        );
    }
}
