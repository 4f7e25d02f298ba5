//! What a client writes: a value in which the server may have to fill something in.

use crate::node::{Leaf, Node, Number, PRIORITY, without_priority};
use crate::path::{DEPTH_MAX, Key, Path, PathError};

/// What a client wants to stand somewhere.
#[derive(Clone, Debug, PartialEq)]
pub enum Draft {
    /// Nothing.
    Nothing,
    /// A leaf, and its priority.
    Leaf(Scalar, Option<Scalar>),
    /// Children, and their priority.
    Children(Vec<(Key, Draft)>, Option<Scalar>),
    /// What is there, with this priority or none.
    Priority(Option<Scalar>),
}

/// A leaf that is known, or that the server knows.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// This.
    Known(Leaf),
    /// Milliseconds since 1970 when it is written: `{".sv":"timestamp"}`.
    Timestamp,
    /// So much more than there is: `{".sv":{"increment":1}}`.
    Increment(Number),
}

/// Why something cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// A key is none, or it stands too deep.
    #[error("{0}")]
    Path(#[from] PathError),
    /// What the server is to fill in is not `timestamp` or an increment by a number.
    #[error("a server value is {{\".sv\":\"timestamp\"}} or {{\".sv\":{{\"increment\":NUMBER}}}}")]
    ServerValue,
    /// A priority is not a number or a text.
    #[error("a priority is a number or a text")]
    Priority,
    /// What stands at `.value` has children.
    #[error(".value is a text, a number, true or false")]
    Value,
    /// What is merged is not an object, or two of its paths are one below the other.
    #[error("what is merged is an object whose paths do not lie below each other")]
    Merge,
}

impl Draft {
    /// Reads what is to stand `depth` keys below the root.
    ///
    /// # Errors
    /// [`DraftError`].
    pub fn read(value: &serde_json::Value, depth: usize) -> Result<Self, DraftError> {
        let below = |key: Key, value| {
            let depth = depth + 1;
            if depth > DEPTH_MAX {
                return Err(DraftError::Path(PathError::TooDeep));
            }
            Ok((key, Self::read(value, depth)?))
        };
        if let Some(elements) = value.as_array() {
            let elements = elements.iter().enumerate();
            let children = elements.map(|(index, value)| below(Key::of_index(index), value));
            return Ok(Self::Children(children.collect::<Result<_, _>>()?, None));
        }
        let Some(object) = value.as_object() else {
            let leaf = Leaf::read(value).map(|leaf| Self::Leaf(Scalar::Known(leaf), None));
            return Ok(leaf.unwrap_or(Self::Nothing));
        };
        if object.contains_key(".sv") {
            return Ok(Self::Leaf(Scalar::read(value)?, None));
        }
        let priority = object.get(PRIORITY).map(Scalar::read_priority);
        let priority = priority.transpose()?.flatten();
        if let Some(value) = object.get(".value") {
            if value.is_null() {
                return Ok(Self::Nothing);
            }
            return Ok(Self::Leaf(Scalar::read(value)?, priority));
        }
        let children = object.iter().filter(|(key, _)| *key != PRIORITY);
        let children = children.map(|(key, value)| below(Key::new(key)?, value));
        Ok(Self::Children(
            children.collect::<Result<_, _>>()?,
            priority,
        ))
    }

    /// Reads what is to be written at `path`, which may be that of a priority: where, and what.
    ///
    /// # Errors
    /// [`DraftError`].
    pub fn read_at(path: &str, value: &serde_json::Value) -> Result<(Path, Self), DraftError> {
        if let Some(above) = without_priority(path) {
            let priority = Scalar::read_priority(value)?;
            return Ok((Path::read(above)?, Self::Priority(priority)));
        }
        let path = Path::read(path)?;
        let draft = Self::read(value, path.keys().len())?;
        Ok((path, draft))
    }

    /// Reads what is to be merged at `path`: an object of paths below it.
    ///
    /// # Errors
    /// [`DraftError`].
    pub fn read_merge(
        path: &str,
        value: &serde_json::Value,
    ) -> Result<Vec<(Path, Self)>, DraftError> {
        let object = value.as_object().ok_or(DraftError::Merge)?;
        let read = |(below, value): (&String, _)| Self::read_at(&format!("{path}/{below}"), value);
        let mut parts = object.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        // What lies below another stands right behind it, and a priority beside its value.
        parts.sort_by(|(a, _), (b, _)| a.cmp(b));
        let is_below = |pair: &[(Path, Self)]| pair[1].0.below(&pair[0].0).is_some();
        if parts.windows(2).any(is_below) {
            return Err(DraftError::Merge);
        }
        Ok(parts)
    }

    /// The value to stand in place of `existing`, written `now`, in milliseconds since 1970.
    #[must_use]
    pub fn resolve(&self, existing: &Node, now: i64) -> Node {
        let resolve_priority = |priority: &Option<Scalar>| {
            let priority = priority.as_ref();
            priority.map(|priority| priority.resolve(existing.priority(), now))
        };
        match self {
            Self::Nothing => Node::default(),
            Self::Leaf(scalar, priority) => Node::leaf(scalar.resolve(existing.as_leaf(), now))
                .with_priority(resolve_priority(priority)),
            Self::Children(children, priority) => {
                let resolved = children.iter().map(|(key, draft)| {
                    let child = draft.resolve(existing.child(key), now);
                    (key.clone(), child)
                });
                Node::with_children(resolve_priority(priority), resolved)
            }
            Self::Priority(priority) => existing.clone().with_priority(resolve_priority(priority)),
        }
    }
}

impl Scalar {
    fn read(value: &serde_json::Value) -> Result<Self, DraftError> {
        let Some(object) = value.as_object() else {
            return Leaf::read(value).map(Self::Known).ok_or(DraftError::Value);
        };
        let server_value = object.get(".sv").ok_or(DraftError::Value)?;
        if server_value == "timestamp" {
            return Ok(Self::Timestamp);
        }
        let by = server_value.get("increment").and_then(Number::read);
        by.map(Self::Increment).ok_or(DraftError::ServerValue)
    }

    fn read_priority(value: &serde_json::Value) -> Result<Option<Self>, DraftError> {
        if value.is_null() {
            return Ok(None);
        }
        match Self::read(value) {
            Ok(Self::Known(Leaf::Boolean(_))) | Err(DraftError::Value) => Err(DraftError::Priority),
            read => read.map(Some),
        }
    }

    fn resolve(&self, existing: Option<&Leaf>, now: i64) -> Leaf {
        match self {
            Self::Known(leaf) => leaf.clone(),
            Self::Timestamp => Leaf::Number(Number::Integer(now)),
            Self::Increment(by) => match existing {
                Some(Leaf::Number(number)) => Leaf::Number(number.plus(*by)),
                Some(Leaf::Boolean(_) | Leaf::Text(_)) | None => Leaf::Number(*by),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::node::{Form, Replaced};

    pub(crate) fn node(value: &serde_json::Value) -> Node {
        Draft::read(value, 0).unwrap().resolve(Node::nothing(), 0)
    }

    #[test]
    fn what_the_server_fills_in_depends_on_what_is_there() {
        let existing = node(&json!({"n": 40, "t": "x", "big": i64::MAX}));
        let draft = json!({
            "n": {".sv": {"increment": 2}}, "t": {".sv": {"increment": 1.5}},
            "big": {".sv": {"increment": 1}}, "at": {".value": {".sv": "timestamp"}, ".priority": 3},
        });
        let written = Draft::read(&draft, 0).unwrap().resolve(&existing, 99);
        let expected = json!({
            "n": 42, "t": 1.5, "big": 9_223_372_036_854_775_808.0,
            "at": {".value": 99, ".priority": 3},
        });
        assert_eq!(written, node(&expected));
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for (wrong, why) in [
            (json!({"a.b": 1}), PathError::Key.into()),
            (json!({".info": 1}), PathError::Key.into()),
            (json!({".sv": "time"}), DraftError::ServerValue),
            (json!({".sv": {"increment": "1"}}), DraftError::ServerValue),
            (json!({".value": [1]}), DraftError::Value),
            (json!({".priority": true, "a": 1}), DraftError::Priority),
            (json!({".priority": [], "a": 1}), DraftError::Priority),
        ] {
            assert_eq!(Draft::read(&wrong, 0), Err(why), "{wrong}");
        }
        let deep = (0..33).fold(json!(1), |value, _| json!({"a": value}));
        assert_eq!(Draft::read(&deep, 0), Err(PathError::TooDeep.into()));
        assert!(Draft::read(&deep["a"], 0).is_ok());
        assert_eq!(Draft::read(&deep["a"], 1), Err(PathError::TooDeep.into()));
    }

    #[test]
    fn a_merge_whose_paths_lie_below_each_other_is_refused() {
        for wrong in [
            json!({"a": 1, "a-": 2, "a/b": 1}),
            json!({"a": 1, "/a": 2}),
            json!([1]),
        ] {
            assert_eq!(
                Draft::read_merge("x", &wrong),
                Err(DraftError::Merge),
                "{wrong}"
            );
        }
        let parts = Draft::read_merge("x/y", &json!({"a/b": 1, "c": null, "d/.priority": 1}));
        let places: Vec<String> = parts
            .unwrap()
            .iter()
            .map(|(path, _)| path.to_string())
            .collect();
        assert_eq!(places, ["x/y/a/b", "x/y/c", "x/y/d"]);
    }

    #[test]
    fn values_are_shown_as_firebase_shows_them() {
        let value =
            json!({"a": {".value": 1, ".priority": "p"}, "b": {"0": "x", "2": null, "1": 2.5}});
        let value = node(&value);
        assert_eq!(value.to_json(Form::Plain), r#"{"a":1,"b":["x",2.5]}"#);
        let exact = r#"{"a":{".value":1,".priority":"p"},"b":{"0":"x","1":2.5}}"#;
        assert_eq!(value.to_json(Form::Exact), exact);
        for (children, shown) in [
            (json!({"1": 1, "2": 2}), "[null,1,2]"),
            (json!({"3": 1, "0": 0}), r#"{"0":0,"3":1}"#),
            (json!({"0": 0, "01": 1}), r#"{"0":0,"01":1}"#),
            (json!({"0": 0, "a": 1}), r#"{"0":0,"a":1}"#),
            (json!({"a": null, "b": {"c": null}}), "null"),
            (json!({"-1": 1, "0": 1}), r#"{"-1":1,"0":1}"#),
        ] {
            assert_eq!(node(&children).to_json(Form::Plain), shown);
        }
    }

    #[test]
    fn what_loses_its_last_child_goes_and_a_leaf_makes_room() {
        let mut root = node(&json!({"a": {"b": {"c": 1}, ".priority": 1}, "x": 1}));
        let Replaced { path, old } = root.replace(&Path::read("a/b/c").unwrap(), Node::default());
        assert_eq!(
            (path.to_string(), old),
            (
                "a".to_owned(),
                node(&json!({"b": {"c": 1}, ".priority": 1}))
            )
        );
        assert_eq!(root, node(&json!({"x": 1})));
        let Replaced { path, .. } = root.replace(&Path::read("x/y/z").unwrap(), node(&json!(2)));
        assert_eq!(path.to_string(), "x");
        assert_eq!(root, node(&json!({"x": {"y": {"z": 2}}})));
        root.replace(&Path::read("x/y/z").unwrap(), Node::default());
        assert_eq!(root, Node::default());
    }

    fn any_value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(|value| json!(value)),
            any::<i64>().prop_map(|value| json!(value)),
            any::<f64>().prop_map(|value| json!(value)),
            "[a-z\"\\\\é]{0,4}".prop_map(|value| json!(value)),
            (any::<i8>(), "[a-z]").prop_map(|(a, b)| json!({".value": a, ".priority": b})),
        ];
        leaf.prop_recursive(4, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|value| json!(value)),
                (
                    prop::collection::btree_map("[ab01-]{1,2}", inner, 0..4),
                    any::<Option<i8>>()
                )
                    .prop_map(|(children, priority)| {
                        let mut value = json!(children);
                        value[".priority"] = json!(priority);
                        value
                    }),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_reads_as_it_was_written_and_lies_in_rows(value in any_value()) {
            let value = node(&value);
            let read: serde_json::Value = serde_json::from_str(&value.to_json(Form::Exact)).unwrap();
            prop_assert_eq!(&node(&read), &value);
            let plain: serde_json::Value = serde_json::from_str(&value.to_json(Form::Plain)).unwrap();
            prop_assert_eq!(node(&plain).is_nothing(), value.is_nothing());
            let rows = value.rows(&Path::root());
            prop_assert_eq!(Node::of_rows(rows), (value, 0));
        }

        #[test]
        fn a_replacement_is_seen_kept_in_rows_and_undone(
            root in any_value(), value in any_value(), place in "([ab01]/){0,4}",
        ) {
            let before = node(&root);
            let path = Path::read(&place).unwrap();
            let value = node(&value);
            let mut after = before.clone();
            let replaced = after.replace(&path, value.clone());
            prop_assert_eq!(after.at(path.keys()), &value);
            prop_assert!(path.below(&replaced.path).is_some());
            prop_assert_eq!(before.at(replaced.path.keys()), &replaced.old);
            // What a store does: drop what lies there and below, and put down what is there now.
            let place = replaced.path.to_string();
            let is_outside = |row: &(String, String)| {
                !(place.is_empty() || row.0 == place || row.0.starts_with(&format!("{place}/")))
            };
            let mut rows: Vec<_> = before.rows(&Path::root()).into_iter().filter(is_outside).collect();
            rows.extend(after.at(replaced.path.keys()).rows(&replaced.path));
            prop_assert_eq!(Node::of_rows(rows), (after.clone(), 0));
            after.restore(replaced);
            prop_assert_eq!(after, before);
        }
    }
}
