//! What other people's parsers say to the pages: html5lib, strictly after the HTML standard, and
//! Python's Markdown. `cargo xtask test` installs both.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and these run other people's programs"
)]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use outgate_manifest::{Manifest, Selection};
use outgate_render::page::{Block, Page, PageRequest, Table, format, languages};

mod shipped;

/// Reads a page and counts; an error in it is an exception.
const HTML: &str = r##"
import sys, html5lib
parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
tree = parser.parse(sys.stdin.buffer.read().decode("utf-8"))
ids = [element.get("id") for element in tree.iter() if element.get("id")]
assert len(ids) == len(set(ids)), "an id twice"
for link in tree.iter("a"):
    assert link.get("href", "").lstrip("#") in ids, link.get("href")
level = 0
for element in tree.iter():
    if element.tag in ("h1", "h2", "h3"):
        assert int(element.tag[1]) <= level + 1, "a heading is left out"
        level = int(element.tag[1])
for table in tree.iter("table"):
    assert "".join(table.find("caption").itertext()).strip()
    for row in table.iter("tr"):
        for cell in row.iter("th"):
            assert cell.get("scope") in ("row", "col")
        print(len(list(row)))
"##;

/// Reads a page and counts the cells of its tables' rows.
const MARKDOWN: &str = r##"
import sys, markdown, xml.etree.ElementTree as tree
html = markdown.markdown(sys.stdin.buffer.read().decode("utf-8"), extensions=["tables"])
root = tree.fromstring("<body>" + html.replace("<br>", "<br/>") + "</body>")
for row in root.iter("tr"):
    print(len(list(row)))
"##;

fn python(script: &str, input: &str) -> String {
    let peers = std::env::var_os("OUTGATE_PEERS");
    let peers = peers.expect("OUTGATE_PEERS is not set: run `cargo xtask test`, which sets it");
    let python = PathBuf::from(peers).join("python/bin/python");
    let mut child = Command::new(python)
        .args(["-I", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python");
    let mut stdin = child.stdin.take().unwrap();
    let told = std::thread::scope(|scope| {
        // Written beside the reading, so that neither pipe can fill up and stop both.
        scope.spawn(move || stdin.write_all(input.as_bytes()));
        child.wait_with_output().unwrap()
    });
    assert!(
        told.status.success(),
        "{}",
        String::from_utf8_lossy(&told.stderr)
    );
    String::from_utf8(told.stdout).unwrap()
}

fn page(manifest: &Manifest, language: &str) -> Page {
    let selection = Selection::default();
    let lanes = manifest.lanes(&selection).unwrap();
    let request = PageRequest {
        manifest,
        selection: &selection,
        lanes: &lanes,
        language,
    };
    Page::new(&request).unwrap()
}

/// The number of cells of every row, headings included, a line each.
fn cells(page: &Page) -> String {
    let row = |table: &Table| format!("{}\n", table.columns.len()).repeat(table.rows.len() + 1);
    let tables = page
        .sections
        .iter()
        .flat_map(|section| &section.blocks)
        .filter_map(|block| match block {
            Block::Table(table) => Some(row(table)),
            Block::Heading(_) | Block::Paragraph(_) | Block::Notice(_) => None,
            Block::List(_) | Block::Steps(_) | Block::Facts(_) => None,
        });
    tables.collect()
}

#[test]
fn a_strict_parser_finds_no_error_in_any_page() {
    for manifest in shipped::all() {
        for language in languages() {
            let page = page(&manifest, language);
            let told = python(HTML, &format("html").unwrap().write(&page));
            assert_eq!(told, cells(&page), "{} {language}", manifest.name());
        }
    }
}

#[test]
fn the_strict_parser_does_find_errors() {
    let html = format("html")
        .unwrap()
        .write(&page(&shipped::every_kind(), "en"));
    for (right, wrong) in [
        ("</table>", "<p></table>"),
        ("&amp;", "&nosuch;"),
        ("<h3>", "<h3><h4>"),
    ] {
        let broken = html.replacen(right, wrong, 1);
        assert_ne!(broken, html);
        let parsed = std::panic::catch_unwind(|| python(HTML, &broken));
        assert!(parsed.is_err(), "{wrong}");
    }
}

#[test]
fn a_markdown_parser_finds_every_row_with_all_its_cells() {
    for manifest in shipped::all() {
        for language in languages() {
            let page = page(&manifest, language);
            let told = python(MARKDOWN, &format("md").unwrap().write(&page));
            assert_eq!(told, cells(&page), "{} {language}", manifest.name());
        }
    }
}
