//! Flows taken over from other manifests.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::collections::BTreeMap;

use outgate_manifest::{Diagnostic, Library, Manifest, parse};

/// Manifests by name, and how often each was asked for.
#[derive(Default)]
struct Shelf {
    texts: BTreeMap<String, String>,
    asked: RefCell<BTreeMap<String, usize>>,
}

impl Library for Shelf {
    fn find(&self, reference: &str) -> Result<Option<(String, String)>, String> {
        *self.asked.borrow_mut().entry(reference.into()).or_default() += 1;
        if reference == "locked.yaml" {
            return Err("permission denied".into());
        }
        let text = self.texts.get(reference);
        Ok(text.map(|text| (reference.to_owned(), text.clone())))
    }
}

fn manifest(id: &str, imports: &str, flows: &str) -> String {
    format!(
        "manifest: 1
product: {{ id: {id}, name: x, vendor: x, versions: {{ parts: 1 }} }}
source: {{ document: x, language: en }}
parties:
  device: {{ at: site, name: {{ en: x }} }}
  server: {{ at: internet, name: {{ en: x }} }}
features:
  extra: {{ name: {{ en: x }}, default: false }}
imports: {{ {imports} }}
flows:
{flows}"
    )
}

fn flow(id: &str, more: &str) -> String {
    format!(
        "  {id}: {{ from: device, to: server, speaks: https, need: required, why: {{ en: x }}{more} }}\n"
    )
}

fn shelf(texts: &[(&str, String)]) -> Shelf {
    let texts = texts
        .iter()
        .map(|(name, text)| ((*name).to_owned(), text.clone()));
    Shelf {
        texts: texts.collect(),
        ..Shelf::default()
    }
}

fn read(imports: &str, flows: &str, shelf: &Shelf) -> Result<Manifest, Vec<Diagnostic>> {
    parse("root.yaml", &manifest("root", imports, flows), shelf)
}

fn codes(read: Result<Manifest, Vec<Diagnostic>>) -> Vec<(usize, usize, &'static str)> {
    let found = read.unwrap_err();
    found
        .iter()
        .map(|one| (one.line, one.column, one.code))
        .collect()
}

fn ids(manifest: &Manifest) -> Vec<String> {
    manifest.flows().ids().map(str::to_owned).collect()
}

#[test]
fn a_circle_that_only_imports_close_is_found() {
    let shelf = shelf(&[("b", manifest("b", "", &flow("a", "")))]);
    let both = "x: { manifest: b, after: [y/a] }, y: { manifest: b, after: [x/a] }";
    assert_eq!(
        codes(read(both, "  {}\n", &shelf)),
        [(9, 72, "after-cycle")]
    );
    let itself = "x: { manifest: b, after: [x/a] }";
    assert_eq!(
        codes(read(itself, "  {}\n", &shelf)),
        [(9, 38, "after-cycle")]
    );
}

#[test]
fn parties_that_make_an_imported_flow_senseless_are_to_blame() {
    let shelf = shelf(&[("b", manifest("b", "", &flow("a", "")))]);
    let same = "x: { manifest: b, parties: { server: device } }";
    assert_eq!(codes(read(same, "  {}\n", &shelf)), [(9, 12, "same-party")]);
    let outside = "x: { manifest: b, parties: { device: server, server: device } }";
    assert!(read(outside, "  {}\n", &shelf).is_ok());
    let outside = "x: { manifest: b, parties: { device: server } }";
    let found = codes(read(outside, "  {}\n", &shelf));
    assert_eq!(found, [(9, 12, "same-party"), (9, 12, "not-at-the-site")]);
}

#[test]
fn only_what_the_newest_version_needs_by_default_is_taken_unless_named() {
    let flows = [
        flow("usual", ""),
        flow("old", ", versions: \"<3\""),
        flow("new", ", versions: \">=3\""),
        flow("extra", ", feature: extra"),
    ];
    let shelf = shelf(&[("b", manifest("b", "", &flows.concat()))]);
    let usual = read("x: { manifest: b }", "  {}\n", &shelf).unwrap();
    assert_eq!(ids(&usual), ["x/usual", "x/new"]);
    let named = read("x: { manifest: b, flows: [old, extra] }", "  {}\n", &shelf).unwrap();
    assert_eq!(ids(&named), ["x/old", "x/extra"]);
}

#[test]
fn a_flow_that_was_imported_twice_over_can_be_waited_for() {
    let shelf = shelf(&[
        ("b", manifest("b", "", &flow("a", ""))),
        ("c", manifest("c", "i: { manifest: b }", "  {}\n")),
    ]);
    let root = read(
        "i: { manifest: c }",
        &flow("own", ", after: [i/i/a]"),
        &shelf,
    )
    .unwrap();
    assert_eq!(ids(&root), ["own", "i/i/a"]);
    let found = codes(read(
        "i: { manifest: c }",
        &flow("own", ", after: [i/i/b]"),
        &shelf,
    ));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].2, "unknown-flow");
}

#[test]
fn each_manifest_is_read_once_however_often_it_is_imported() {
    let many = |of: &str| {
        let imports: Vec<String> = (0..20)
            .map(|n| format!("i{n}: {{ manifest: {of} }}"))
            .collect();
        imports.join(", ")
    };
    let shelf = shelf(&[
        ("a", manifest("a", &many("b"), "  {}\n")),
        ("b", manifest("b", &many("c"), "  {}\n")),
        ("c", manifest("c", "", &flow("a", ""))),
    ]);
    let root = read(&many("a"), "  {}\n", &shelf).unwrap();
    assert_eq!(root.flows().len(), 8_000);
    assert!(shelf.asked.borrow().values().all(|times| *times == 1));
}

#[test]
fn a_chain_that_is_too_long_is_refused_even_when_its_end_is_known() {
    let link = |id: &str, next: &str| manifest(id, &format!("i: {{ manifest: {next} }}"), "  {}\n");
    let shelf = shelf(&[
        ("a", link("a", "b")),
        ("b", link("b", "c")),
        ("c", link("c", "d")),
        ("d", link("d", "e")),
        ("e", manifest("e", "", &flow("a", ""))),
    ]);
    assert!(read("i: { manifest: b }", "  {}\n", &shelf).is_ok());
    for imports in [
        "i: { manifest: a }",
        "i: { manifest: b }, j: { manifest: a }",
    ] {
        let found = codes(read(imports, "  {}\n", &shelf));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].2, "broken-import");
    }
}

#[test]
fn the_manifests_that_one_imports_are_bounded() {
    let mut imports = Vec::new();
    let mut texts = BTreeMap::new();
    for n in 0..70 {
        imports.push(format!("i{n}: {{ manifest: m{n} }}"));
        texts.insert(
            format!("m{n}"),
            manifest(&format!("m{n}"), "", &flow("a", "")),
        );
    }
    let shelf = Shelf {
        texts,
        ..Shelf::default()
    };
    let found = codes(read(&imports.join(", "), "  {}\n", &shelf));
    assert!(
        found.iter().all(|one| one.2 == "too-large") && found.len() == 6,
        "{found:?}"
    );
}

#[test]
fn a_manifest_that_cannot_be_read_is_not_called_unknown() {
    let shelf = shelf(&[]);
    let found = read(
        "x: { manifest: locked.yaml }",
        &flow("a", ", after: [x/a]"),
        &shelf,
    );
    let found = found.unwrap_err();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].code, "unreadable-manifest");
    assert!(found[0].message.ends_with("permission denied"));
}

#[test]
fn a_mistake_in_an_import_hides_neither_its_own_references_nor_those_to_it() {
    let shelf = shelf(&[("b", manifest("b", "", &flow("a", "")))]);
    let imports = "x: { manifest: b, flowz: [a], parties: { sever: server }, after: [nothing] }";
    let found = codes(read(imports, &flow("own", ", after: [x/a]"), &shelf));
    let codes: Vec<_> = found.iter().map(|one| one.2).collect();
    assert_eq!(codes, ["unknown-field", "unknown-party", "unknown-flow"]);
}
