//! The page as Markdown: GitHub's dialect, for its tables.

use super::Format;
use super::model::{Block, Page, Phrase, Piece, Table, Tone};
use crate::visible::visible;

/// The format `md`.
#[derive(Debug)]
pub(super) struct Markdown;

impl Format for Markdown {
    fn id(&self) -> &'static str {
        "md"
    }

    fn describe(&self) -> &'static str {
        "Markdown with tables, for wikis, tickets and repositories"
    }

    fn write(&self, page: &Page) -> String {
        let mut out = format!("# {}\n\n", escaped(&page.title));
        for block in &page.lead {
            write_block(block, &mut out);
        }
        for section in &page.sections {
            out.push_str(&format!("## {}\n\n", escaped(&section.heading)));
            for block in &section.blocks {
                write_block(block, &mut out);
            }
        }
        out.push_str(&format!("---\n\n{}\n", line(&page.footer)));
        out
    }
}

fn write_block(block: &Block, out: &mut String) {
    match block {
        Block::Heading(phrase) => out.push_str(&format!("### {}\n\n", line(phrase))),
        Block::Paragraph(phrase) => out.push_str(&format!("{}\n\n", line(phrase))),
        Block::Notice(phrase) => out.push_str(&format!("> **!** {}\n\n", line(phrase))),
        Block::List(items) => {
            for item in items {
                out.push_str(&format!("- {}\n", line(item)));
            }
            out.push('\n');
        }
        Block::Steps(items) => {
            for (at, item) in items.iter().enumerate() {
                out.push_str(&format!("{}. {}\n", at + 1, line(item)));
            }
            out.push('\n');
        }
        Block::Facts(facts) => {
            for (label, value) in facts {
                out.push_str(&format!("- **{}:** {}\n", escaped(label), line(value)));
            }
            out.push('\n');
        }
        Block::Table(table) => write_table(table, out),
    }
}

fn write_table(table: &Table, out: &mut String) {
    out.push_str(&format!("*{}*\n\n", escaped(&table.caption)));
    let columns: Vec<String> = table.columns.iter().map(|column| escaped(column)).collect();
    out.push_str(&format!("| {} |\n", columns.join(" | ")));
    out.push_str(&format!("|{}\n", " --- |".repeat(columns.len())));
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(line).collect();
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    out.push('\n');
}

/// A phrase on one line of the file.
fn line(phrase: &Phrase) -> String {
    phrase.0.iter().map(piece).collect()
}

fn piece(piece: &Piece) -> String {
    match piece {
        Piece::Text(text) => escaped(text),
        Piece::Foreign(language, text) => format!("*({})* {}", escaped(language), escaped(text)),
        Piece::Code(text) => code(text),
        Piece::Mark(Tone::Strong, text) => format!("**{}**", escaped(text)),
        Piece::Mark(Tone::Medium | Tone::Quiet, text) => format!("*{}*", escaped(text)),
        Piece::Break => "<br>".to_owned(),
    }
}

/// A code span; what could end it or a table's cell is written as escaped text instead.
fn code(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || " .,:;*-_/=+@%".contains(c);
    if text.chars().all(safe) && !text.trim().is_empty() {
        format!("`{text}`")
    } else {
        escaped(text)
    }
}

/// Text that stays text: every ASCII mark that Markdown could read has a backslash before it
/// (CommonMark, section 2.4), lines are joined, and nothing is left that cannot be seen.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.chars().enumerate() {
        match c {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '&'
            | '!' | '$' => {
                out.push('\\');
                out.push(c);
            }
            '-' | '+' | '=' if at == 0 => {
                out.push('\\');
                out.push(c);
            }
            '.' | ')' if at > 0 && text.chars().take(at).all(|c| c.is_ascii_digit()) => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(visible(c)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_markdown_are_escaped_and_lines_joined() {
        assert_eq!(
            escaped("a|b [x](y) <b> *c*\n# d"),
            "a\\|b \\[x\\](y) \\<b\\> \\*c\\* \\# d"
        );
        assert_eq!(escaped("1. first"), "1\\. first");
        assert_eq!(
            escaped("- no list, 2.5 GHz - yes"),
            "\\- no list, 2.5 GHz - yes"
        );
    }

    #[test]
    fn code_that_could_end_its_span_is_written_as_text() {
        assert_eq!(code("*.example.com"), "`*.example.com`");
        assert_eq!(code("a`|b"), "a\\`\\|b");
    }
}
