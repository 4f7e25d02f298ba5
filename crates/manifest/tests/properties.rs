//! What holds for every input, and that the schema and the parser agree.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use outgate_manifest::{Empty, Severity, parse, schema};
use proptest::prelude::*;
use serde_json::Value as Json;

/// A sound manifest that uses every field of the format. JSON is YAML, so it can be changed as
/// JSON and read as YAML.
const FULL: &str = include_str!("full.json");

fn full() -> Json {
    serde_json::from_str(FULL).unwrap()
}

fn validator() -> jsonschema::Validator {
    jsonschema::validator_for(&schema()).unwrap()
}

fn parses(manifest: &Json) -> bool {
    parse("m.yaml", &manifest.to_string(), &Empty).is_ok()
}

#[test]
fn the_full_manifest_is_sound_and_fits_the_schema() {
    if let Err(found) = parse("full.json", FULL, &Empty) {
        panic!("{found:#?}");
    }
    let errors: Vec<String> = validator()
        .iter_errors(&full())
        .map(|e| e.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn the_full_manifest_uses_every_field_of_the_schema() {
    let text = FULL;
    for (name, definition) in schema()["$defs"].as_object().unwrap() {
        for field in definition["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key)
        {
            assert!(
                text.contains(&format!("\"{field}\":")),
                "{name}.{field} is in no test"
            );
        }
    }
}

#[test]
fn the_committed_schema_is_the_one_of_the_types() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/manifest.schema.json"
    );
    let committed: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(
        committed == schema(),
        "run `cargo xtask schema` and commit the result"
    );
}

/// Every place in a JSON value, as a pointer (RFC 6901).
fn pointers(value: &Json, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Json::Object(map) => {
            for (key, value) in map {
                let key = key.replace('~', "~0").replace('/', "~1");
                pointers(value, &format!("{at}/{key}"), all);
            }
        }
        Json::Array(items) => {
            for (at_item, value) in items.iter().enumerate() {
                pointers(value, &format!("{at}/{at_item}"), all);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// One way to spoil a manifest.
#[derive(Debug, Clone)]
enum Change {
    Replace(Json),
    AddField,
    Remove,
}

fn change() -> impl Strategy<Value = Change> {
    let values = [
        "true", "null", "0", "-1", "70000", "1.5", "\"\"", "\"x y\"", "[]", "{}", "[[]]",
    ];
    prop_oneof![
        proptest::sample::select(values.to_vec())
            .prop_map(|text| Change::Replace(serde_json::from_str(text).unwrap())),
        Just(Change::AddField),
        Just(Change::Remove),
    ]
}

fn apply(manifest: &mut Json, pointer: &str, change: Change) {
    match change {
        Change::Replace(value) => *manifest.pointer_mut(pointer).unwrap() = value,
        Change::AddField => {
            if let Some(Json::Object(map)) = manifest.pointer_mut(pointer) {
                map.insert("surplus".into(), Json::Bool(true));
            }
        }
        Change::Remove => {
            let Some((parent, key)) = pointer.rsplit_once('/') else {
                return;
            };
            if let Some(Json::Object(map)) = manifest.pointer_mut(parent) {
                map.remove(key);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_parser_accepts_fits_the_schema(at in any::<proptest::sample::Index>(), change in change()) {
        let mut manifest = full();
        let mut all = Vec::new();
        pointers(&manifest, "", &mut all);
        apply(&mut manifest, &all[at.index(all.len())], change);
        if parses(&manifest) {
            let fits = validator().is_valid(&manifest);
            prop_assert!(fits, "the parser accepts what the schema refuses: {manifest}");
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,400}") {
        let _ = parse("m.yaml", &text, &Empty);
    }

    #[test]
    fn no_damage_to_a_manifest_makes_the_parser_panic_and_every_place_is_in_the_text(
        at in any::<proptest::sample::Index>(),
        with in "[\\[\\]{}:,\"'&*!|>%@#a-z0-9 \\n\\t-]{0,8}",
    ) {
        let mut text = include_str!("../../../docs/examples/box.yaml").to_owned();
        let mut at = at.index(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        text.insert_str(at, &with);
        if let Err(found) = parse("m.yaml", &text, &Empty) {
            let lines = text.lines().count() + 1;
            for one in found {
                prop_assert_eq!(one.severity, Severity::Error);
                prop_assert!(one.line >= 1 && one.line <= lines && one.column >= 1, "{}", one);
                prop_assert!(!one.message.is_empty() && !one.expected.is_empty(), "{}", one);
            }
        }
    }
}

/// Structure that the schema alone already refuses must never be accepted: one change of each
/// kind at every single place of the manifest.
#[test]
fn every_field_of_another_type_is_refused() {
    let mut all = Vec::new();
    pointers(&full(), "", &mut all);
    let (mut refused, mut tried) = (0, 0);
    for pointer in &all {
        let mut manifest = full();
        apply(&mut manifest, pointer, Change::Replace(Json::Null));
        tried += 1;
        refused += usize::from(!parses(&manifest));
    }
    assert_eq!(refused, tried, "null is right nowhere");
}
