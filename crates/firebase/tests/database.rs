//! What a tree keeps and what its listeners are told: after any writes each listener who puts
//! together what it was told has what its query selects.

#![cfg(test)]

use std::collections::BTreeMap;

use outgate_firebase::database::{Listen, Told, Write, WriteError};
use outgate_firebase::hash::hash;
use outgate_firebase::{Bounds, Database, Draft, Form, Node, Path, Query};
use proptest::prelude::*;
use serde_json::{Value, json};

const BOUNDS: Bounds = Bounds {
    bytes: 1_000_000,
    listens: 100,
};

fn path(text: &str) -> Path {
    Path::read(text).unwrap()
}

fn node(value: &Value) -> Node {
    Draft::read(value, 0).unwrap().resolve(Node::nothing(), 0)
}

fn put(at: &str, value: &Value) -> Write {
    Write {
        parts: vec![Draft::read_at(at, value).unwrap()],
        expected: None,
    }
}

fn merge(at: &str, value: &Value) -> Write {
    Write {
        parts: Draft::read_merge(at, value).unwrap(),
        expected: None,
    }
}

fn listen(by: u64, query: &Value) -> Listen {
    Listen {
        by,
        tag: (!query.is_null()).then_some(by),
        query: Query::read(query).unwrap(),
        form: Form::Exact,
    }
}

fn database(value: &Value) -> Database {
    Database::new(node(value), BOUNDS)
}

fn told(database: &mut Database, write: &Write) -> Vec<String> {
    let change = database.write(write, 0).unwrap();
    let told = database.tell(&change).into_iter();
    told.map(|told| {
        let kind = if told.is_merge { "merge" } else { "set" };
        format!("{} {kind} /{} {}", told.by, told.path, told.data)
    })
    .collect()
}

#[test]
fn each_listener_is_told_what_has_changed_where_it_listens() {
    let mut database = database(&json!({"a": {"b": 1, "c": 2}, "x": 1}));
    for (by, at) in [(1, ""), (2, "a"), (3, "a/b"), (4, "x"), (5, "a/b/deep")] {
        database
            .listen(&path(at), listen(by, &Value::Null), None)
            .unwrap();
    }
    let now = told(&mut database, &put("a/b", &json!(5)));
    assert_eq!(now, ["1 set /a/b 5", "2 set /a/b 5", "3 set /a/b 5"]);
    let now = told(&mut database, &merge("a", &json!({"b": 6, "c": null})));
    let both = r#"{"b":6,"c":null}"#;
    assert_eq!(
        now,
        [
            r#"1 merge / {"a/b":6,"a/c":null}"#,
            &format!("2 merge /a {both}"),
            "3 set /a/b 6"
        ]
    );
    assert!(told(&mut database, &put("a/b", &json!(6))).is_empty());
    // The last child takes what held it along.
    let now = told(&mut database, &put("a/b", &Value::Null));
    assert_eq!(now, ["1 set /a null", "2 set /a null", "3 set /a/b null"]);
}

#[test]
fn a_query_is_told_what_comes_goes_and_changes_in_its_window() {
    let mut database = database(&json!({"a": 1, "b": 2, "c": 3}));
    let query = json!({"i": ".value", "l": 2, "vf": "r"});
    let first = database
        .listen(&Path::root(), listen(1, &query), None)
        .unwrap();
    assert_eq!(&*first.unwrap().data, r#"{"b":2,"c":3}"#);
    assert!(told(&mut database, &put("a", &json!(0))).is_empty());
    assert_eq!(told(&mut database, &put("c", &json!(4))), ["1 set /c 4"]);
    assert_eq!(
        told(&mut database, &put("d", &json!(9))),
        [r#"1 merge / {"b":null,"d":9}"#]
    );
    assert_eq!(
        told(&mut database, &put("d", &Value::Null)),
        [r#"1 merge / {"b":2,"d":null}"#]
    );
    assert_eq!(
        told(&mut database, &put("", &json!({"z": 1}))),
        [r#"1 set / {"z":1}"#]
    );
}

#[test]
fn who_has_what_is_there_is_not_told_it_again() {
    let mut database = database(&json!({"a": 1, "b": 2}));
    let has = hash(&node(&json!({"a": 1, "b": 2})));
    let answer = database.listen(&Path::root(), listen(1, &Value::Null), Some(&has));
    assert_eq!(answer, Ok(None));
    let query = json!({"i": ".key", "l": 1, "vf": "l"});
    let has = hash(&node(&json!({"a": 1})));
    let answer = database.listen(&Path::root(), listen(2, &query), Some(&has));
    assert_eq!(answer, Ok(None));
    let answer = database.listen(&path("none"), listen(3, &Value::Null), Some(""));
    assert_eq!(answer, Ok(None));
    assert_eq!(database.listens(), 3);
    database.unlisten(&Path::root(), 2, Some(2));
    assert_eq!(database.listens(), 2);
}

#[test]
fn a_write_that_expects_something_else_or_has_no_room_changes_nothing() {
    let mut database = Database::new(
        node(&json!({"n": 1})),
        Bounds {
            bytes: 1_000,
            listens: 1,
        },
    );
    let expects = |what: Value| Write {
        expected: Some((path("n"), hash(&node(&what)))),
        ..put("n", &json!(2))
    };
    assert_eq!(
        database.write(&expects(json!(7)), 0).unwrap_err(),
        WriteError::Stale
    );
    assert_eq!(database.root(), &node(&json!({"n": 1})));
    assert!(database.write(&expects(json!(1)), 0).is_ok());
    let bytes = database.bytes();
    let large = merge("", &json!({"a": 1, "b": "x".repeat(1_000)}));
    assert_eq!(
        database.write(&large, 0).unwrap_err(),
        WriteError::Full { max: 1_000 }
    );
    assert_eq!(
        (database.root(), database.bytes()),
        (&node(&json!({"n": 2})), bytes)
    );
    database
        .listen(&Path::root(), listen(1, &Value::Null), None)
        .unwrap();
    assert!(
        database
            .listen(&Path::root(), listen(2, &Value::Null), None)
            .is_err()
    );
}

/// A listener as a client is one: it puts together what it is told.
#[derive(Default)]
struct Copy(Node);

impl Copy {
    fn take(&mut self, told: &Told) {
        let value: Value = serde_json::from_str(&told.data).unwrap();
        if told.is_merge {
            for (below, value) in value.as_object().unwrap() {
                let at = path(&format!("{}/{below}", told.path));
                self.0.replace(&at, node(value));
            }
        } else {
            self.0.replace(&told.path, node(&value));
        }
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        (0..5i8).prop_map(|value| json!(value)),
        Just(json!("t")),
        (0..5i8).prop_map(|value| json!({".value": value, ".priority": 4 - value})),
    ];
    leaf.prop_recursive(3, 20, 3, |inner| {
        prop::collection::btree_map("[abc1]", inner, 0..4).prop_map(|children| json!(children))
    })
}

fn any_write() -> impl Strategy<Value = Write> {
    let at = "([abc1]/){0,3}";
    let increment = Just(json!({".sv": {"increment": 1}}));
    prop_oneof![
        (at, any_value()).prop_map(|(at, value)| put(&at, &value)),
        (at, increment).prop_map(|(at, value)| put(&at, &value)),
        (at, 0..3i8).prop_map(|(at, value)| put(&format!("{at}.priority"), &json!(value))),
        (
            at,
            prop::collection::btree_map("[abc1](/[ab])?", any_value(), 1..4)
        )
            .prop_filter_map("paths below each other", |(at, parts)| {
                let parts = Draft::read_merge(&at, &json!(parts)).ok()?;
                Some(Write {
                    parts,
                    expected: None,
                })
            }),
    ]
}

fn queries() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (
            prop::sample::select(vec![".key", ".value", ".priority", "a"]),
            1..3u8,
            any::<bool>()
        )
            .prop_map(|(index, limit, first)| {
                json!({"i": index, "l": limit, "vf": if first { "l" } else { "r" }})
            }),
        (0..4i8).prop_map(|start| json!({"i": ".value", "sp": start})),
    ]
}

proptest! {
    #[test]
    fn who_puts_together_what_it_is_told_has_what_it_asked_for(
        start in any_value(),
        listens in prop::collection::vec(("([abc1]/){0,2}", queries()), 1..6),
        writes in prop::collection::vec((any_write(), any::<bool>()), 1..12),
    ) {
        let mut database = database(&start);
        let mut copies = BTreeMap::new();
        for (by, (at, query)) in (0..).zip(&listens) {
            let first = database.listen(&path(at), listen(by, query), None).unwrap();
            let mut copy = Copy::default();
            copy.take(&first.unwrap());
            copies.insert(by, copy);
        }
        let mut rows: BTreeMap<String, String> = database.root().rows(&Path::root()).into_iter().collect();
        for (write, stays) in &writes {
            let change = database.write(write, 0).unwrap();
            let told = database.tell(&change);
            if !stays {
                let bytes = database.bytes();
                database.undo(change);
                prop_assert!(database.bytes() == database.root().bytes() || bytes == 0);
                continue;
            }
            for told in &told {
                copies.get_mut(&told.by).unwrap().take(told);
            }
            for kept in change.rows {
                rows.retain(|place, _| {
                    let below = kept.place.is_empty() || place.starts_with(&format!("{}/", kept.place));
                    !below && *place != kept.place
                });
                rows.extend(kept.rows);
            }
            prop_assert_eq!(database.bytes(), database.root().bytes());
            let kept = Node::of_rows(rows.clone());
            prop_assert_eq!(&kept, &(database.root().clone(), 0));
            for (by, (at, query)) in (0..).zip(&listens) {
                let at = path(at);
                let asked = Query::read(query).unwrap().answer(database.root().at(at.keys()));
                let has = copies[&by].0.at(at.keys());
                prop_assert_eq!(has, &asked, "{} {}", at, query);
            }
        }
    }
}
