//! Which children are asked for, and in which order.

use std::cmp::Ordering;

use serde_json::Value;

use crate::node::{Content, Leaf, Node};
use crate::path::{Key, Path, PathError};

/// What stands in place of a key before all keys, as the clients write it.
const FIRST_NAME: &str = "[MIN_NAME]";

/// What stands in place of a key after all keys.
const LAST_NAME: &str = "[MAX_NAME]";

/// Which children of a value are asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    order: Order,
    start: Option<Edge>,
    end: Option<Edge>,
    limit: Option<Limit>,
}

/// What children are ordered by; their keys decide among equals.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Order {
    /// Their keys.
    Key,
    /// Their values.
    Value,
    /// Their priorities.
    #[default]
    Priority,
    /// What stands in them at a path.
    Child(Path),
}

/// Where a range begins or ends.
#[derive(Clone, Debug, PartialEq)]
struct Edge {
    /// A leaf, or nothing.
    value: Option<Leaf>,
    name: Name,
    inclusive: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Name {
    First,
    Key(Key),
    Last,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    First(usize),
    Last(usize),
}

/// Why a query cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// It orders by what is no path.
    #[error("{0}")]
    Path(#[from] PathError),
    /// A part of it is not what it must be.
    #[error("{what} must be {right}")]
    Part {
        /// Which.
        what: &'static str,
        /// What would be right.
        right: &'static str,
    },
    /// Parts that ask for an order without one.
    #[error("orderBy must be defined when other query parameters are defined")]
    NoOrder,
}

impl Query {
    /// Whether it asks for all children.
    #[must_use]
    pub fn is_for_all(&self) -> bool {
        self.start.is_none() && self.end.is_none() && self.limit.is_none()
    }

    /// Reads a query of a WebSocket message; null is one for everything.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn read(query: &Value) -> Result<Self, QueryError> {
        let order = match query.get("i").map(Value::as_str) {
            None => Order::Priority,
            Some(Some(index)) => Order::read(index)?,
            Some(None) => return part("i", "a text"),
        };
        let edge = |value, name, inclusive, usual: Name| {
            let Some(value) = query.get(value) else {
                return Ok(None);
            };
            let name = match query.get(name).and_then(Value::as_str) {
                None => usual,
                Some(FIRST_NAME) => Name::First,
                Some(LAST_NAME) => Name::Last,
                Some(key) => Name::Key(Key::new(key)?),
            };
            let inclusive = query.get(inclusive).and_then(Value::as_bool);
            order.edge(value, name, inclusive.unwrap_or(true)).map(Some)
        };
        let limit = match (query.get("l"), query.get("vf").and_then(Value::as_str)) {
            (None, _) => None,
            (Some(limit), Some("l")) => Some(Limit::First(count(limit)?)),
            (Some(limit), _) => Some(Limit::Last(count(limit)?)),
        };
        Ok(Self {
            start: edge("sp", "sn", "sin", Name::First)?,
            end: edge("ep", "en", "ein", Name::Last)?,
            limit,
            order,
        })
    }

    /// Reads a query of REST out of an address's parameters, decoded; others are passed over.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn read_parameters<'a>(
        parameters: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, QueryError> {
        let mut parts = serde_json::Map::new();
        for (name, value) in parameters {
            let name = REST_NAMES.iter().find(|known| **known == name);
            let Some(name) = name else { continue };
            let Ok(value) = serde_json::from_str(value) else {
                return part("a query parameter", "JSON: texts in quotation marks");
            };
            parts.insert((*name).to_owned(), value);
        }
        let Some(order) = parts.get("orderBy") else {
            let none = parts.is_empty().then(Self::default);
            return none.ok_or(QueryError::NoOrder);
        };
        let order = match order.as_str() {
            Some("$key") => Order::Key,
            Some("$value") => Order::Value,
            Some("$priority") => Order::Priority,
            Some(path) => Order::Child(Path::read(path)?),
            None => return part("orderBy", "a text"),
        };
        let mut query = Self::default();
        for (name, at_start, at_end, inclusive) in [
            ("startAt", true, false, true),
            ("startAfter", true, false, false),
            ("endAt", false, true, true),
            ("endBefore", false, true, false),
            ("equalTo", true, true, true),
        ] {
            let Some(value) = parts.get(name) else {
                continue;
            };
            let edge = |with| order.edge(value, with, inclusive).map(Some);
            // Exclusive is beyond every key of the same value.
            let (first, last) = match inclusive {
                true => (Name::First, Name::Last),
                false => (Name::Last, Name::First),
            };
            if at_start {
                query.start = edge(first)?;
            }
            if at_end {
                query.end = edge(last)?;
            }
        }
        query.limit = match (parts.get("limitToFirst"), parts.get("limitToLast")) {
            (None, None) => None,
            (Some(limit), None) => Some(Limit::First(count(limit)?)),
            (None, Some(limit)) => Some(Limit::Last(count(limit)?)),
            (Some(_), Some(_)) => return part("a query", "without limitToFirst or limitToLast"),
        };
        query.order = order;
        Ok(query)
    }

    /// The children that are asked for, in their order.
    #[must_use]
    pub fn select<'a>(&self, node: &'a Node) -> Vec<(&'a Key, &'a Node)> {
        let starts = |child: &(&Key, &Node)| match &self.start {
            None => true,
            Some(edge) => match self.order.edge_to_child(edge, *child) {
                Ordering::Less => true,
                Ordering::Equal => edge.inclusive,
                Ordering::Greater => false,
            },
        };
        let ends = |child: &(&Key, &Node)| match &self.end {
            None => true,
            Some(edge) => match self.order.edge_to_child(edge, *child) {
                Ordering::Greater => true,
                Ordering::Equal => edge.inclusive,
                Ordering::Less => false,
            },
        };
        let mut found: Vec<_> = node.children().filter(starts).filter(ends).collect();
        found.sort_by(|one, other| self.order.compare(*one, *other));
        match self.limit {
            Some(Limit::First(most)) => found.truncate(most),
            Some(Limit::Last(most)) => drop(found.drain(..found.len().saturating_sub(most))),
            None => {}
        }
        found
    }

    /// The value with only those children; all of it when all are asked for.
    #[must_use]
    pub fn answer(&self, node: &Node) -> Node {
        if self.is_for_all() {
            return node.clone();
        }
        let selected = self.select(node).into_iter();
        Node::with_children(
            None,
            selected.map(|(key, child)| (key.clone(), child.clone())),
        )
    }
}

/// The parameters of REST that make a query.
const REST_NAMES: [&str; 8] = [
    "orderBy",
    "startAt",
    "startAfter",
    "endAt",
    "endBefore",
    "equalTo",
    "limitToFirst",
    "limitToLast",
];

impl Order {
    fn read(index: &str) -> Result<Self, QueryError> {
        Ok(match index {
            ".key" => Self::Key,
            ".value" => Self::Value,
            ".priority" => Self::Priority,
            path => Self::Child(Path::read(path)?),
        })
    }

    fn edge(&self, value: &Value, name: Name, inclusive: bool) -> Result<Edge, QueryError> {
        if *self == Self::Key {
            let Some(key) = value.as_str() else {
                return part("a range of keys", "of texts");
            };
            let name = match key {
                FIRST_NAME => Name::First,
                LAST_NAME => Name::Last,
                key => Name::Key(Key::new(key)?),
            };
            return Ok(Edge {
                value: None,
                name,
                inclusive,
            });
        }
        let leaf = Leaf::read(value);
        if leaf.is_none() && !value.is_null() {
            return part("a range", "of texts, numbers, true, false or null");
        }
        Ok(Edge {
            value: leaf,
            name,
            inclusive,
        })
    }

    /// How an edge stands to a child.
    fn edge_to_child(&self, edge: &Edge, child: (&Key, &Node)) -> Ordering {
        let by_name = || match &edge.name {
            Name::First => Ordering::Less,
            Name::Key(key) => key.cmp(child.0),
            Name::Last => Ordering::Greater,
        };
        let by_value = match self.of(child) {
            // Only a child itself is above all leaves.
            Ordered::Children => Ordering::Less,
            Ordered::Leaf(leaf) => Leaf::order(edge.value.as_ref(), leaf),
        };
        by_value.then_with(by_name)
    }

    fn compare(&self, one: (&Key, &Node), other: (&Key, &Node)) -> Ordering {
        let by_value = match (self.of(one), self.of(other)) {
            (Ordered::Leaf(one), Ordered::Leaf(other)) => Leaf::order(one, other),
            (Ordered::Leaf(_), Ordered::Children) => Ordering::Less,
            (Ordered::Children, Ordered::Leaf(_)) => Ordering::Greater,
            (Ordered::Children, Ordered::Children) => Ordering::Equal,
        };
        by_value.then_with(|| one.0.cmp(other.0))
    }

    fn of<'a>(&self, (_, node): (&Key, &'a Node)) -> Ordered<'a> {
        let node = match self {
            Self::Key => return Ordered::Leaf(None),
            Self::Priority => return Ordered::Leaf(node.priority()),
            Self::Value => node,
            Self::Child(path) => node.at(path.keys()),
        };
        match &node.content {
            Content::Nothing => Ordered::Leaf(None),
            Content::Leaf(leaf) => Ordered::Leaf(Some(leaf)),
            Content::Children(_) => Ordered::Children,
        }
    }
}

/// What a child is ordered by. Values with children are all the same, after all leaves.
enum Ordered<'a> {
    Leaf(Option<&'a Leaf>),
    Children,
}

fn count(value: &Value) -> Result<usize, QueryError> {
    let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
    match count {
        Some(count) if count > 0 => Ok(count),
        Some(_) | None => part("a limit", "a whole number above 0"),
    }
}

fn part<T>(what: &'static str, right: &'static str) -> Result<T, QueryError> {
    Err(QueryError::Part { what, right })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::draft::Draft;

    fn node(value: &Value) -> Node {
        Draft::read(value, 0).unwrap().resolve(Node::nothing(), 0)
    }

    fn selected(query: &Query, value: &Value) -> String {
        let node = node(value);
        let keys: Vec<_> = query
            .select(&node)
            .iter()
            .map(|(key, _)| key.as_str())
            .collect();
        keys.join(" ")
    }

    #[test]
    fn queries_of_the_client_select_and_order_children() {
        let tills = json!({
            "a": {"n": 3, ".priority": 2}, "b": {"n": "x"}, "c": {"n": true}, "d": {},
            "e": {"n": {"deep": 1}}, "f": {"n": 3, ".priority": "p"}, "g": {"m": 0},
        });
        for (query, keys) in [
            (json!({}), "b c e g a f"),
            (json!({"i": "n"}), "g c a f b e"),
            (json!({"i": "n", "sp": 3, "sin": true}), "a f b e"),
            (json!({"i": "n", "sp": 3, "sn": "a", "sin": false}), "f b e"),
            (
                json!({"i": "n", "sp": 3, "sn": "[MAX_NAME]", "sin": false}),
                "b e",
            ),
            (json!({"i": "n", "ep": 3, "ein": true}), "g c a f"),
            (
                json!({"i": "n", "ep": 3, "en": "[MIN_NAME]", "ein": false}),
                "g c",
            ),
            (json!({"i": "n", "sp": null, "ep": null}), "g"),
            (json!({"i": "n", "l": 2, "vf": "l"}), "g c"),
            (json!({"i": "n", "l": 2, "vf": "r"}), "b e"),
            (
                json!({"i": ".key", "sp": "b", "ep": "e", "ein": false}),
                "b c e".trim_end_matches(" e"),
            ),
            (
                json!({"i": ".key", "sp": "b", "sin": false, "l": 1, "vf": "l"}),
                "c",
            ),
            (json!({"i": ".priority", "sp": 1}), "a f"),
            (json!({"i": ".value", "l": 1, "vf": "r"}), "g"),
        ] {
            assert_eq!(
                selected(&Query::read(&query).unwrap(), &tills),
                keys,
                "{query}"
            );
        }
    }

    #[test]
    fn queries_of_rest_mean_the_same() {
        let tills = json!({"a": {"n": 3}, "b": {"n": "x"}, "c": {"n": true}, "f": {"n": 3}});
        for (parameters, keys) in [
            (&[("orderBy", "\"n\""), ("startAt", "3")][..], "a f b"),
            (&[("orderBy", "\"n\""), ("startAfter", "3")], "b"),
            (&[("orderBy", "\"n\""), ("endBefore", "3")], "c"),
            (
                &[("orderBy", "\"n\""), ("equalTo", "3"), ("limitToLast", "1")],
                "f",
            ),
            (
                &[
                    ("orderBy", "\"$key\""),
                    ("startAfter", "\"b\""),
                    ("limitToFirst", "1"),
                ],
                "c",
            ),
            (&[("print", "pretty")], "a b c f"),
        ] {
            let query = Query::read_parameters(parameters.iter().copied()).unwrap();
            assert_eq!(selected(&query, &tills), keys, "{parameters:?}");
        }
        for wrong in [
            &[("limitToFirst", "1")][..],
            &[("orderBy", "n")],
            &[("orderBy", "\"$key\""), ("startAt", "1")],
            &[("orderBy", "\"n\""), ("startAt", "[1]")],
            &[("orderBy", "\"n\""), ("limitToFirst", "0")],
            &[
                ("orderBy", "\"n\""),
                ("limitToFirst", "1"),
                ("limitToLast", "1"),
            ],
            &[("orderBy", "\"a.b\"")],
        ] {
            let read = Query::read_parameters(wrong.iter().copied());
            assert!(read.is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn a_limit_cuts_what_the_range_selects(
            numbers in prop::collection::btree_map("[a-c0-3]{1,2}", 0..4, 0..12),
            start in 0..4, most in 1usize..5,
        ) {
            let node = node(&json!(numbers));
            let keys = |query: Value| -> Vec<String> {
                let query = Query::read(&query).unwrap();
                query.select(&node).iter().map(|(key, _)| key.as_str().to_owned()).collect()
            };
            let all = keys(json!({"i": ".value", "sp": start}));
            prop_assert_eq!(all.len(), numbers.values().filter(|number| **number >= start).count());
            let first = keys(json!({"i": ".value", "sp": start, "l": most, "vf": "l"}));
            prop_assert_eq!(&first[..], &all[..most.min(all.len())]);
            let last = keys(json!({"i": ".value", "sp": start, "l": most, "vf": "r"}));
            prop_assert_eq!(&last[..], &all[all.len().saturating_sub(most)..]);
        }
    }
}
