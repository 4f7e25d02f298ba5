//! Tables for people.

use std::io::IsTerminal;

use comfy_table::{Cell, ContentArrangement, Table, presets};

/// The narrowest and widest that a table is laid out for on a terminal, in columns.
const WIDTH: std::ops::RangeInclusive<u16> = 60..=200;

/// A table that fits the terminal; where the output is no terminal, lines are as long as they
/// are, so that programs can read them.
pub(crate) fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        if let Some(width) = table.width() {
            table.set_width(width.clamp(*WIDTH.start(), *WIDTH.end()));
        }
    } else {
        table.load_style(presets::NOTHING);
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

/// The table as text that ends in a newline.
pub(crate) fn shown(table: &Table) -> String {
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    format!("{}\n", lines.join("\n"))
}
