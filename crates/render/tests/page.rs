//! Pages: complete, in every language and format, for a product that needs one of everything and
//! for the profiles that are shipped.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and leaves what it got beside what it expected"
)]

use std::collections::BTreeSet;
use std::path::Path;

use outgate_manifest::{Direction, Lane, Manifest, Selection, Target, Transport};
use outgate_render::page::{Block, Page, PageRequest, format, formats, languages, render};

use crate::shipped::{EVERY_KIND, all, every_kind};

#[path = "shipped/mod.rs"]
mod shipped;

fn page(manifest: &Manifest, selection: &Selection, language: &str, form: &str) -> String {
    let lanes = manifest.lanes(selection).unwrap();
    let request = PageRequest {
        manifest,
        selection,
        lanes: &lanes,
        language,
    };
    render(&request, format(form).unwrap()).unwrap()
}

/// Compares with an expected file; what was got instead is left in Cargo's folder for tests.
fn check(name: &str, expected: &str, got: &str) {
    if expected != got {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, got).unwrap();
        let first = expected.lines().zip(got.lines()).find(|(a, b)| a != b);
        panic!(
            "{name} is not as expected: {} holds it; {first:?}",
            path.display()
        );
    }
}

/// The rows of the tables below a heading, as text without the format's own marks.
fn rows(text: &str, form: &str, section: usize) -> Vec<String> {
    let plain = |row: &str| {
        let mut out = String::new();
        let mut inside = false;
        for c in row.replace("<br>", " ").chars() {
            match c {
                '<' if form == "html" => inside = true,
                '>' if form == "html" && inside => {
                    inside = false;
                    out.push(' ');
                }
                '\\' if form == "md" => {}
                c if !inside => out.push(c),
                _ => {}
            }
        }
        let out = out
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"");
        out.replace("&#39;", "'")
            .replace("&amp;", "&")
            .replace('`', "")
    };
    let (heading, row) = if form == "html" {
        ("<h2", "<tr><th scope=\"row\">")
    } else {
        ("\n## ", "| ")
    };
    let part = text.split(heading).nth(section + 1).expect("a section");
    part.lines()
        .filter(|line| line.starts_with(row))
        .map(plain)
        .collect()
}

/// What a row must say of a lane, apart from the destination's name.
fn destination(manifest: &Manifest, lane: &Lane, language: &str) -> String {
    match &lane.to {
        Target::Party(id) => {
            let party = manifest.parties().get(id).unwrap();
            party.name.best(language).unwrap().1.replace('\n', " ")
        }
        Target::Dhcp(_) => "DHCP".to_owned(),
        Target::Name(_)
        | Target::Wildcard(_)
        | Target::Address(_)
        | Target::Network(_)
        | Target::Multicast(_)
        | Target::ServiceTag(_) => lane.to.value(),
    }
}

fn service(lane: &Lane) -> Vec<String> {
    let transport = match lane.transport {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
        Transport::Icmp => "ICMP",
    };
    let mut words = vec![transport.to_owned()];
    words.extend(lane.ports.map(|ports| ports.to_string()));
    words
}

/// Whether the text has this, with nothing before or behind it that would make it another word.
fn has_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-' || c == ':';
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).unwrap().chars().next_back();
        let behind = text.get(at + word.len()..).unwrap().chars().next();
        !before.is_some_and(part) && !behind.is_some_and(part)
    })
}

fn assert_complete(manifest: &Manifest, selection: &Selection, language: &str, form: &str) {
    let text = page(manifest, selection, language, form);
    let lanes = manifest.lanes(selection).unwrap();
    for lane in &lanes {
        let section = match lane.direction {
            Direction::Outbound => 1,
            Direction::Inbound => 2,
            Direction::Lan => 3,
        };
        let why = lane.why.best(language).unwrap().1.replace('\n', " ");
        let from = manifest.parties().get(&lane.from).unwrap();
        let from = from.name.best(language).unwrap().1.replace('\n', " ");
        let to = destination(manifest, lane, language);
        let found = rows(&text, form, section).into_iter().any(|row| {
            let row = row.replace('\n', " ");
            row.contains(&why)
                && row.contains(&from)
                && (has_word(&row, &to) || (to == "DHCP" && row.contains("DHCP-")))
                && service(lane).iter().all(|word| has_word(&row, word))
        });
        let product = &manifest.product().id;
        assert!(
            found,
            "{product} {language} {form}: no row for {} {to} {:?}",
            lane.flow,
            service(lane)
        );
    }
}

#[test]
fn every_lane_has_its_row_in_every_language_and_format() {
    for manifest in all() {
        for language in languages() {
            for form in formats() {
                assert_complete(&manifest, &Selection::default(), language, form.id());
            }
        }
    }
}

#[test]
fn every_lane_of_an_older_version_has_its_row() {
    let selection = Selection {
        version: Some("0.129.7".parse().unwrap()),
        with: ["logs".to_owned()].into(),
        set: [
            ("web-port".to_owned(), "8181".to_owned()),
            ("cloud-host".to_owned(), "box.example.com".to_owned()),
        ]
        .into(),
        ..Selection::default()
    };
    let manifest = every_kind();
    for form in ["md", "html"] {
        assert_complete(&manifest, &selection, "sv", form);
        let text = page(&manifest, &selection, "sv", form);
        for chosen in ["--version 0.129.7", "--with logs", "--set web-port=8181"] {
            assert!(text.contains(chosen), "{chosen}");
        }
    }
}

#[test]
fn the_page_of_one_of_everything_is_as_expected() {
    let manifest = every_kind();
    let html = page(&manifest, &Selection::default(), "de", "html");
    check(
        "every-kind.html",
        include_str!("expected/every-kind.html"),
        &html,
    );
    let markdown = page(&manifest, &Selection::default(), "en", "md");
    check(
        "every-kind.md",
        include_str!("expected/every-kind.md"),
        &markdown,
    );
    assert!(EVERY_KIND.contains("[made up](https://example.invalid)"));
    assert!(markdown.contains("\\[made up\\](https://example.invalid)"));
}

#[test]
fn a_flow_that_was_taken_over_says_from_which_manifest_and_document() {
    let sentences = [
        ("de", "aus dem Manifest", "Dokument:"),
        ("en", "from the manifest", "document:"),
        ("nb", "fra manifestet", "dokument:"),
        ("sv", "från manifestet", "dokument:"),
    ];
    let mut told = 0;
    for manifest in all() {
        let lanes = manifest.lanes(&Selection::default()).unwrap();
        let from: BTreeSet<(String, String)> = lanes
            .iter()
            .filter_map(|lane| lane.provenance.as_ref())
            .map(|from| (from.product.to_string(), from.document.clone()))
            .collect();
        for (language, lead, label) in sentences {
            let html = page(&manifest, &Selection::default(), language, "html");
            let markdown = page(&manifest, &Selection::default(), language, "md");
            let markdown = markdown.replace('\\', "");
            for (product, document) in &from {
                let wanted = format!("{lead} <code>{product}</code> ({label} {document})");
                assert!(html.contains(&wanted), "{wanted}");
                let wanted = format!("{lead} `{product}` ({label} {document})");
                assert!(markdown.contains(&wanted), "{wanted}");
                told += 1;
            }
        }
    }
    assert!(told >= 2 * sentences.len(), "few profiles import: {told}");
}

#[test]
fn a_text_in_another_language_says_which() {
    let manifest = every_kind();
    let html = page(&manifest, &Selection::default(), "nb", "html");
    assert!(html.contains("<span lang=\"en\">get an address</span>"));
    assert!(html.starts_with("<!DOCTYPE html>\n<html lang=\"nb\">"));
    let markdown = page(&manifest, &Selection::default(), "nb", "md");
    assert!(markdown.contains("*(en)* get an address"));
}

#[test]
fn nothing_on_a_page_runs_or_is_loaded_and_no_manifest_text_becomes_an_element() {
    for manifest in all() {
        let html = page(&manifest, &Selection::default(), "sv", "html");
        for never in [
            "<script", "<img", "<link", "<iframe", "<b>", "src=", "@import", "url(",
        ] {
            assert!(!html.contains(never), "{never}");
        }
    }
}

#[test]
fn tables_have_as_many_cells_as_columns_and_headings_go_down_one_by_one() {
    for manifest in all() {
        let selection = Selection::default();
        let lanes = manifest.lanes(&selection).unwrap();
        let request = PageRequest {
            manifest: &manifest,
            selection: &selection,
            lanes: &lanes,
            language: "de",
        };
        let page = Page::new(&request).unwrap();
        for block in page.sections.iter().flat_map(|section| &section.blocks) {
            if let Block::Table(table) = block {
                assert!(
                    table
                        .rows
                        .iter()
                        .all(|row| row.len() == table.columns.len())
                );
                assert!(table.rows.iter().all(|row| !row[0].0.is_empty()));
            }
        }
        let mut ids: Vec<&str> = page.sections.iter().map(|section| section.id).collect();
        ids.dedup();
        assert_eq!(ids.len(), page.sections.len());
    }
}

#[test]
fn many_destinations_and_ports_of_one_flow_are_one_row() {
    let html = page(&every_kind(), &Selection::default(), "en", "html");
    let cluster: Vec<&str> = html
        .lines()
        .filter(|line| line.starts_with("<tr>") && line.contains("198.51.100.1<"))
        .collect();
    assert_eq!(cluster.len(), 1, "{cluster:?}");
    for part in [
        "cluster.example.org",
        "198.51.100.2",
        "2001:db8:c::1",
        "198.51.100.128/25",
    ] {
        assert!(cluster[0].contains(part), "{part}");
    }
}

#[test]
fn a_language_without_words_is_refused_with_those_that_there_are() {
    let manifest = every_kind();
    let selection = Selection::default();
    let request = PageRequest {
        manifest: &manifest,
        selection: &selection,
        lanes: &[],
        language: "fr",
    };
    let refused = Page::new(&request).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "there are no pages in `fr`; there are pages in de, en, nb, sv"
    );
}
