//! From the tree to types, with a diagnostic for each mistake, and the JSON Schema of the same
//! types. One declaration gives all three, so that they cannot come apart.

use serde_json::{Map, Value as Json, json};

use crate::diagnostic::{Complaint, Diagnostics, Span, Spanned};
use crate::yaml::{Key, Node, Value};

/// A type that a manifest can hold.
pub(crate) trait Decode: Sized {
    /// Reads the value; none when it is wrong, which has then been said to `out`.
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self>;

    /// The JSON Schema of what `decode` accepts. Shared parts go to `defs`.
    fn schema(defs: &mut Defs) -> Json;
}

/// The `$defs` of the schema being built.
#[derive(Default)]
pub(crate) struct Defs(Map<String, Json>);

impl Defs {
    /// A reference to a named definition, which is built at its first use.
    pub(crate) fn define(&mut self, name: &str, build: impl FnOnce(&mut Self) -> Json) -> Json {
        if !self.0.contains_key(name) {
            self.0.insert(name.to_owned(), Json::Null);
            let built = build(self);
            self.0.insert(name.to_owned(), built);
        }
        json!({ "$ref": format!("#/$defs/{name}") })
    }

    pub(crate) fn into_json(self) -> Json {
        Json::Object(self.0)
    }
}

/// Says that a value is of another type than expected.
pub(crate) fn wrong_type(node: &Node, expected: &str, out: &mut Diagnostics<'_>) {
    let complaint = Complaint::error("wrong-type", format!("this is {}", node.kind()));
    out.push(node.span, complaint.expected(expected));
}

/// The text of a scalar that must be text.
pub(crate) fn text<'a>(node: &'a Node, out: &mut Diagnostics<'_>) -> Option<&'a str> {
    match &node.value {
        Value::String(text) => Some(text),
        Value::Float(text) => {
            let complaint = Complaint::error("wrong-type", "without quotes this is a fraction");
            out.push(node.span, complaint.expected(format!("text: \"{text}\"")));
            None
        }
        Value::Integer(number) => {
            let complaint = Complaint::error("wrong-type", "without quotes this is a number");
            out.push(node.span, complaint.expected(format!("text: \"{number}\"")));
            None
        }
        Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => {
            wrong_type(node, "text", out);
            None
        }
    }
}

/// A scalar type that is parsed from text.
pub(crate) trait FromText: Sized {
    /// What is expected, for a diagnostic.
    const EXPECTED: &'static str;
    /// A regular expression (ECMA 262) that holds for every text that parses; the parser may be
    /// stricter.
    const PATTERN: &'static str;
    /// Reads the text; the error says what is wrong with it.
    fn from_text(text: &str) -> Result<Self, String>;
}

impl<T: FromText> Decode for T {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        match T::from_text(text(node, out)?) {
            Ok(value) => Some(value),
            Err(message) => {
                let complaint = Complaint::error("wrong-value", message);
                out.push(node.span, complaint.expected(T::EXPECTED));
                None
            }
        }
    }

    fn schema(_: &mut Defs) -> Json {
        json!({ "type": "string", "pattern": T::PATTERN })
    }
}

/// Text of any kind that is not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NonEmpty(pub(crate) String);

impl FromText for NonEmpty {
    const EXPECTED: &'static str = "at least one character";
    const PATTERN: &'static str = "\\S";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            Err("the text is empty".into())
        } else {
            Ok(Self(text.into()))
        }
    }
}

impl Decode for String {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        NonEmpty::decode(node, out).map(|text| text.0)
    }

    fn schema(defs: &mut Defs) -> Json {
        NonEmpty::schema(defs)
    }
}

impl Decode for bool {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        let Value::Bool(value) = node.value else {
            wrong_type(node, "`true` or `false`", out);
            return None;
        };
        Some(value)
    }

    fn schema(_: &mut Defs) -> Json {
        json!({ "type": "boolean" })
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        T::decode(node, out).map(Some)
    }

    fn schema(defs: &mut Defs) -> Json {
        T::schema(defs)
    }
}

impl<T: Decode> Decode for Spanned<T> {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        T::decode(node, out).map(|value| Self {
            value,
            span: node.span,
        })
    }

    fn schema(defs: &mut Defs) -> Json {
        T::schema(defs)
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        let Value::List(items) = &node.value else {
            wrong_type(node, "a list", out);
            return None;
        };
        if items.is_empty() {
            let complaint = Complaint::error("wrong-value", "the list is empty");
            out.push(
                node.span,
                complaint.expected("at least one entry, or no such field"),
            );
            return None;
        }
        // Every item is read, so that every mistake is found, before one can spoil the whole.
        let items: Vec<Option<T>> = items.iter().map(|item| T::decode(item, out)).collect();
        items.into_iter().collect()
    }

    fn schema(defs: &mut Defs) -> Json {
        json!({ "type": "array", "minItems": 1, "items": T::schema(defs) })
    }
}

/// One value, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OneOrMany<T>(pub(crate) Vec<T>);

impl<T: Decode> Decode for OneOrMany<T> {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        if matches!(node.value, Value::List(_)) {
            return Vec::decode(node, out).map(Self);
        }
        T::decode(node, out).map(|one| Self(vec![one]))
    }

    fn schema(defs: &mut Defs) -> Json {
        json!({ "anyOf": [T::schema(defs), Vec::<T>::schema(defs)] })
    }
}

/// The fields of a map that is being read as a record.
pub(crate) struct Fields<'a> {
    span: Span,
    entries: &'a [(Key, Node)],
}

impl<'a> Fields<'a> {
    /// Opens a map and complains of every field that is not among the known ones.
    pub(crate) fn open(
        node: &'a Node,
        what: &str,
        known: &[&str],
        out: &mut Diagnostics<'_>,
    ) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            wrong_type(node, &format!("a map with the fields of {what}"), out);
            return None;
        };
        for (key, _) in entries
            .iter()
            .filter(|(key, _)| !known.contains(&key.text.as_str()))
        {
            let message = format!("unknown field `{}`", key.text);
            let complaint = Complaint::error("unknown-field", message);
            out.push(
                key.span,
                complaint.expected_one_of(&key.text, known.iter().copied()),
            );
        }
        Some(Self {
            span: node.span,
            entries,
        })
    }

    fn find(&self, name: &str) -> Option<&'a Node> {
        self.entries
            .iter()
            .find(|(key, _)| key.text == name)
            .map(|(_, node)| node)
    }

    pub(crate) fn required<T: Decode>(&self, name: &str, out: &mut Diagnostics<'_>) -> Option<T> {
        if let Some(node) = self.find(name) {
            return T::decode(node, out);
        }
        let first = self.entries.first().map_or(self.span, |(key, _)| key.span);
        let complaint = Complaint::error("missing-field", format!("field `{name}` is missing"));
        out.push(first, complaint.expected(format!("`{name}:` beside this")));
        None
    }

    pub(crate) fn optional<T: Decode + Default>(
        &self,
        name: &str,
        out: &mut Diagnostics<'_>,
    ) -> Option<T> {
        self.find(name)
            .map_or_else(|| Some(T::default()), |node| T::decode(node, out))
    }
}

/// Declares a record: the struct, its reader and its schema.
macro_rules! record {
    (
        $(#[doc = $doc:literal])+
        pub struct $name:ident {
            $( $(#[doc = $field_doc:literal])+ $field:ident : $type:ty = $presence:ident $key:literal, )+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $( $(#[doc = $field_doc])+ pub $field: $type, )+
        }

        impl $crate::decode::Decode for $name {
            fn decode(
                node: &$crate::yaml::Node,
                out: &mut $crate::diagnostic::Diagnostics<'_>,
            ) -> Option<Self> {
                let fields =
                    $crate::decode::Fields::open(node, stringify!($name), &[$($key),+], out)?;
                // All fields are read before the first missing one ends the record.
                $( let $field: Option<$type> = fields.$presence($key, out); )+
                Some(Self { $( $field: $field?, )+ })
            }

            fn schema(defs: &mut $crate::decode::Defs) -> serde_json::Value {
                defs.define(stringify!($name), |defs| {
                    let mut properties = serde_json::Map::new();
                    let mut required: Vec<&str> = Vec::new();
                    $(
                        let doc = $crate::decode::doc(&[$($field_doc),+]);
                        let schema = <$type as $crate::decode::Decode>::schema(defs);
                        properties.insert($key.into(), $crate::decode::described(schema, doc));
                        if stringify!($presence) == "required" {
                            required.push($key);
                        }
                    )+
                    serde_json::json!({
                        "description": $crate::decode::doc(&[$($doc),+]),
                        "type": "object",
                        "additionalProperties": false,
                        "required": required,
                        "properties": properties,
                    })
                })
            }
        }
    };
}

/// Declares a choice of fixed words: the enum, its reader and its schema.
macro_rules! keyword {
    (
        $(#[doc = $doc:literal])+
        pub enum $name:ident { $( $(#[doc = $variant_doc:literal])+ $variant:ident = $word:literal, )+ }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $( $(#[doc = $variant_doc])+ $variant, )+ }

        impl $name {
            /// Every one of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it in manifests, on the command line and in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }

            /// The one that a word names.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl $crate::decode::Decode for $name {
            fn decode(
                node: &$crate::yaml::Node,
                out: &mut $crate::diagnostic::Diagnostics<'_>,
            ) -> Option<Self> {
                let word = $crate::decode::text(node, out)?;
                let found = Self::from_word(word);
                if found.is_none() {
                    $crate::decode::unknown_word(node, word, &[$($word),+], out);
                }
                found
            }

            fn schema(_: &mut $crate::decode::Defs) -> serde_json::Value {
                serde_json::json!({ "type": "string", "enum": [$($word),+] })
            }
        }
    };
}

pub(crate) use {keyword, record};

pub(crate) fn unknown_word(node: &Node, word: &str, known: &[&str], out: &mut Diagnostics<'_>) {
    let complaint = Complaint::error("unknown-word", format!("unknown word `{word}`"));
    out.push(
        node.span,
        complaint.expected_one_of(word, known.iter().copied()),
    );
}

/// The lines of a doc comment as one description.
pub(crate) fn doc(lines: &[&str]) -> String {
    lines
        .iter()
        .map(|line| line.trim())
        .collect::<Vec<_>>()
        .join(" ")
        .trim()
        .to_owned()
}

/// A schema with a description beside it. JSON Schema 2020-12 allows `$ref` to have siblings.
pub(crate) fn described(mut schema: Json, description: String) -> Json {
    if let Json::Object(map) = &mut schema {
        map.insert("description".into(), description.into());
    }
    schema
}
