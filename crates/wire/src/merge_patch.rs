//! Merge patches (RFC 7396), and the bounds of what comes of them: how a device says what it is, and
//! is told what it is wanted to be.

use serde_json::{Map, Value};
use thiserror::Error;

/// The most bytes of a document, and of a patch, as text without spaces.
pub const MAX_DOCUMENT: usize = 32 * 1024;

/// How deep objects and arrays of a document may lie in one another; the document itself is the
/// first.
pub const MAX_DEPTH: usize = 10;

/// Why something is no document or patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unfit {
    /// It is no object.
    #[error("a JSON object is wanted")]
    NoObject,
    /// It is deeper than [`MAX_DEPTH`].
    #[error("at most {MAX_DEPTH} objects and arrays may lie in one another")]
    Deep,
    /// It has more than [`MAX_DOCUMENT`] bytes.
    #[error("at most {MAX_DOCUMENT} bytes are taken")]
    Large,
}

/// Checks a document, or a patch before it is merged: it is an object within the bounds.
///
/// # Errors
/// [`Unfit`].
pub fn check(document: &Value) -> Result<(), Unfit> {
    if !document.is_object() {
        return Err(Unfit::NoObject);
    }
    if !within(document, MAX_DEPTH) {
        return Err(Unfit::Deep);
    }
    if document.to_string().len() > MAX_DOCUMENT {
        return Err(Unfit::Large);
    }
    Ok(())
}

/// `document` with `patch` merged into it (RFC 7396, section 2).
#[must_use]
pub fn merge(document: Value, patch: Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch;
    };
    let mut merged = match document {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    };
    for (name, value) in patch {
        if value.is_null() {
            merged.shift_remove(&name);
        } else {
            let before = merged.get_mut(&name).map_or(Value::Null, Value::take);
            merged.insert(name, merge(before, value));
        }
    }
    Value::Object(merged)
}

/// The patch that makes `other` of `one`. Neither has null members, as nothing has that came of
/// merging into an object without.
#[must_use]
pub fn difference(one: &Value, other: &Value) -> Value {
    let (Some(from), Some(to)) = (one.as_object(), other.as_object()) else {
        return other.clone();
    };
    let gone = from.keys().filter(|name| !to.contains_key(*name));
    let gone = gone.map(|name| (name.clone(), Value::Null));
    let new = to
        .iter()
        .filter(|(name, value)| from.get(*name) != Some(*value));
    let new = new.map(|(name, value)| {
        let before = from.get(name).unwrap_or(&Value::Null);
        (name.clone(), difference(before, value))
    });
    gone.chain(new).collect()
}

/// Whether `value` is at most `depth` deep.
fn within(value: &Value, depth: usize) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        Value::Array(_) | Value::Object(_) if depth == 0 => false,
        Value::Array(items) => items.iter().all(|item| within(item, depth - 1)),
        Value::Object(members) => members.values().all(|member| within(member, depth - 1)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_table_of_the_rfc_holds() {
        // RFC 7396, appendix A: original, patch, result.
        let table = [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (
                json!({"a":"b","b":"c"}),
                json!({"a":null}),
                json!({"b":"c"}),
            ),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (
                json!({"a":{"b":"c"}}),
                json!({"a":{"b":"d","c":null}}),
                json!({"a":{"b":"d"}}),
            ),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a":"b"}), json!(["c"]), json!(["c"])),
            (json!({"a":"foo"}), json!(null), json!(null)),
            (json!({"a":"foo"}), json!("bar"), json!("bar")),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (
                json!({}),
                json!({"a":{"bb":{"ccc":null}}}),
                json!({"a":{"bb":{}}}),
            ),
        ];
        for (original, patch, result) in table {
            assert_eq!(
                merge(original.clone(), patch.clone()),
                result,
                "{original} with {patch}"
            );
        }
    }

    #[test]
    fn depth_and_size_have_bounds() {
        let deep = |depth: usize| (1..depth).fold(json!({}), |inner, _| json!({ "a": inner }));
        assert!(check(&deep(MAX_DEPTH)).is_ok());
        assert_eq!(check(&deep(MAX_DEPTH + 1)), Err(Unfit::Deep));
        let long = |length: usize| json!({ "a": "b".repeat(length - r#"{"a":""}"#.len()) });
        assert!(check(&long(MAX_DOCUMENT)).is_ok());
        assert_eq!(check(&long(MAX_DOCUMENT + 1)), Err(Unfit::Large));
        assert_eq!(check(&json!([])), Err(Unfit::NoObject));
    }

    proptest! {
        #[test]
        fn merging_twice_is_merging_once(document in any_object(), patch in any_object()) {
            let once = merge(document, patch.clone());
            prop_assert_eq!(merge(once.clone(), patch), once);
        }

        #[test]
        fn what_is_merged_into_nothing_has_no_nulls_but_in_arrays(patch in any_object()) {
            let merged = merge(json!({}), patch);
            prop_assert!(!has_null_member(&merged));
        }

        #[test]
        fn a_difference_merged_gives_the_other(one in any_object(), other in any_object()) {
            let [one, other] = [one, other].map(|object| merge(json!({}), object));
            prop_assert_eq!(merge(one.clone(), difference(&one, &other)), other);
        }

        #[test]
        fn members_that_a_patch_does_not_name_stay(document in any_object(), patch in any_object()) {
            let merged = merge(document.clone(), patch.clone());
            for (name, value) in document.as_object().unwrap() {
                if patch.get(name).is_none() {
                    prop_assert_eq!(merged.get(name), Some(value));
                }
            }
        }
    }

    fn has_null_member(value: &Value) -> bool {
        value.as_object().is_some_and(|members| {
            members
                .values()
                .any(|member| member.is_null() || has_null_member(member))
        })
    }

    fn any_object() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..3i64).prop_map(Value::from),
            "[ab]{0,2}".prop_map(Value::from),
        ];
        let value = leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        });
        prop::collection::btree_map("[a-d]", value, 0..4)
            .prop_map(|members| members.into_iter().collect())
    }
}
