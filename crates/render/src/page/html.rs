//! The page as one HTML file: no script, nothing from elsewhere, readable on paper, on a telephone
//! and by a screen reader.

use super::Format;
use super::model::{Block, Page, Phrase, Piece, Section, Table, Tone};
use crate::visible::visible;

/// The style sheet. Its colours keep a contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3).
const STYLE: &str = include_str!("html/style.css");

/// Nothing is loaded and nothing runs, whatever a text contains.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The format `html`.
#[derive(Debug)]
pub(super) struct Html;

impl Format for Html {
    fn id(&self) -> &'static str {
        "html"
    }

    fn describe(&self) -> &'static str {
        "one HTML file, for a web site, e-mail or paper"
    }

    fn write(&self, page: &Page) -> String {
        let (language, title) = (page.language, escaped(&page.title));
        let mut out = format!(
            "<!DOCTYPE html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <header>\n<h1>{title}</h1>\n",
            escaped(POLICY),
        );
        let mut tables = 0;
        for block in &page.lead {
            write_block(block, &mut tables, &mut out);
        }
        out.push_str("</header>\n");
        write_contents(page, &mut out);
        out.push_str("<main>\n");
        for section in &page.sections {
            write_section(section, &mut tables, &mut out);
        }
        out.push_str(&format!(
            "</main>\n<footer>\n<p>{}</p>\n</footer>\n</body>\n</html>\n",
            inline(&page.footer)
        ));
        out
    }
}

fn write_contents(page: &Page, out: &mut String) {
    let label = escaped(page.contents);
    out.push_str(&format!("<nav aria-label=\"{label}\">\n<ul>\n"));
    for section in &page.sections {
        let heading = escaped(&section.heading);
        out.push_str(&format!(
            "<li><a href=\"#{}\">{heading}</a></li>\n",
            section.id
        ));
    }
    out.push_str("</ul>\n</nav>\n");
}

fn write_section(section: &Section, tables: &mut usize, out: &mut String) {
    let (id, heading) = (section.id, escaped(&section.heading));
    out.push_str(&format!(
        "<section id=\"{id}\" aria-labelledby=\"{id}-heading\">\n"
    ));
    out.push_str(&format!("<h2 id=\"{id}-heading\">{heading}</h2>\n"));
    for block in &section.blocks {
        write_block(block, tables, out);
    }
    out.push_str("</section>\n");
}

fn write_block(block: &Block, tables: &mut usize, out: &mut String) {
    match block {
        Block::Heading(phrase) => out.push_str(&format!("<h3>{}</h3>\n", inline(phrase))),
        Block::Paragraph(phrase) => out.push_str(&format!("<p>{}</p>\n", inline(phrase))),
        Block::Notice(phrase) => {
            out.push_str(&format!("<p class=\"notice\">{}</p>\n", inline(phrase)));
        }
        Block::List(items) => write_list("ul", items, out),
        Block::Steps(items) => write_list("ol", items, out),
        Block::Facts(facts) => {
            out.push_str("<dl>\n");
            for (label, value) in facts {
                let (label, value) = (escaped(label), inline(value));
                out.push_str(&format!("<div><dt>{label}</dt><dd>{value}</dd></div>\n"));
            }
            out.push_str("</dl>\n");
        }
        Block::Table(table) => write_table(table, tables, out),
    }
}

fn write_list(element: &str, items: &[Phrase], out: &mut String) {
    out.push_str(&format!("<{element}>\n"));
    for item in items {
        out.push_str(&format!("<li>{}</li>\n", inline(item)));
    }
    out.push_str(&format!("</{element}>\n"));
}

/// A table in a box of its own that scrolls where the window is narrow, also by the keyboard.
fn write_table(table: &Table, tables: &mut usize, out: &mut String) {
    *tables += 1;
    let (id, caption) = (format!("table-{tables}"), escaped(&table.caption));
    out.push_str(&format!(
        "<div class=\"table\" role=\"region\" aria-labelledby=\"{id}\" tabindex=\"0\">\n<table>\n\
         <caption id=\"{id}\">{caption}</caption>\n<thead>\n<tr>"
    ));
    for column in &table.columns {
        out.push_str(&format!("<th scope=\"col\">{}</th>", escaped(column)));
    }
    out.push_str("</tr>\n</thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            let cell = inline(cell);
            if at == 0 {
                out.push_str(&format!("<th scope=\"row\">{cell}</th>"));
            } else {
                out.push_str(&format!("<td>{cell}</td>"));
            }
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
}

fn inline(phrase: &Phrase) -> String {
    phrase.0.iter().map(piece).collect()
}

fn piece(piece: &Piece) -> String {
    match piece {
        Piece::Text(text) => escaped(text),
        Piece::Foreign(language, text) => {
            let (language, text) = (escaped(language), escaped(text));
            format!("<span lang=\"{language}\">{text}</span>")
        }
        Piece::Code(text) => format!("<code>{}</code>", escaped(text)),
        Piece::Mark(tone, text) => {
            let class = match tone {
                Tone::Strong => "strong",
                Tone::Medium => "medium",
                Tone::Quiet => "quiet",
            };
            format!("<span class=\"mark {class}\">{}</span>", escaped(text))
        }
        Piece::Break => "<br>".to_owned(),
    }
}

/// Text for elements and for attributes in double quotes, with nothing in it that cannot be seen.
/// HTML forbids most control characters (section 13.1.4 of the standard).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(visible(c)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_become_elements_or_end_attributes() {
        assert_eq!(
            escaped("<b class=\"x\">&'\u{0}\u{FFFE}"),
            "&lt;b class=&quot;x&quot;&gt;&amp;&#39;\u{FFFD}\u{FFFD}"
        );
    }

    /// The value of a custom property; the light one stands first, the dark one second.
    fn colour(name: &str, dark: bool) -> [f64; 3] {
        let found = STYLE
            .split(&format!("--{name}: #"))
            .nth(1 + usize::from(dark));
        let digits = found.unwrap().get(..6).unwrap();
        [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&digits[at..at + 2], 16).unwrap()) / 255.0)
    }

    /// Relative luminance (WCAG 2.2, section 6).
    fn luminance(colour: [f64; 3]) -> f64 {
        let linear = |c: f64| {
            if c <= 0.04045 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        };
        let [r, g, b] = colour.map(linear);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    #[test]
    fn text_stands_out_from_its_paper_by_daylight_and_in_the_dark() {
        let pairs = [
            ("ink", "paper"),
            ("ink", "panel"),
            ("ink", "notice-paper"),
            ("faint", "paper"),
            ("faint", "panel"),
            ("accent", "paper"),
            ("strong-ink", "strong-paper"),
            ("medium-ink", "medium-paper"),
        ];
        for dark in [false, true] {
            for (text, paper) in pairs {
                let [a, b] = [text, paper].map(|name| luminance(colour(name, dark)) + 0.05);
                let contrast = a.max(b) / a.min(b);
                assert!(
                    contrast >= 4.5,
                    "{text} on {paper}, dark {dark}: {contrast:.2}"
                );
            }
        }
    }
}
