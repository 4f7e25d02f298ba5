//! From the tree to types, with a diagnostic for each mistake, and the JSON Schema of the same
//! types. One declaration gives all three, so that they cannot come apart.
//!
//! One mistake does not hide another: what is right beside a mistake is kept, so that the parts of
//! a manifest can be held against one another. What could not be read is replaced by a stand-in
//! that no later rule complains of. No stand-in leaves the parser, since a manifest with an error
//! is never handed out.

mod declare;
mod fields;

use serde_json::{Map, Value as Json, json};

pub(crate) use self::declare::{keyword, record};
pub(crate) use self::fields::{Fields, Kept};
use crate::diagnostic::{Complaint, Diagnostics, Span, Spanned, quote};
use crate::yaml::{Node, Value, float_kind};

/// A type that a manifest can hold.
pub(crate) trait Decode: Sized {
    /// Reads the value, or as much of it as is right; none when nothing can be kept. Whatever is
    /// wrong with it has then been said to `out`.
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self>;

    /// What stands for a value that could not be read; none where only leaving it out does no
    /// harm. No rule complains of it.
    fn stand_in() -> Option<Self> {
        None
    }

    /// The value as far as it could be read, or what stands for it.
    fn kept(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        Self::decode(node, out).or_else(Self::stand_in)
    }

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
            let message = format!("without quotes this is {}", float_kind(text));
            let complaint = Complaint::error("wrong-type", message);
            let quoted = quote(text).replace('`', "\"");
            out.push(node.span, complaint.expected(format!("text: {quoted}")));
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
    /// As [`Decode::stand_in`].
    fn stand_in() -> Option<Self> {
        None
    }
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

    fn stand_in() -> Option<Self> {
        T::stand_in()
    }

    fn schema(_: &mut Defs) -> Json {
        json!({ "type": "string", "pattern": T::PATTERN })
    }
}

/// One line of text that is not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line(pub(crate) String);

/// The most characters of a name.
const MAX_LINE: usize = 500;

impl FromText for Line {
    const EXPECTED: &'static str = "one line of 1 to 500 characters that can be seen";
    const PATTERN: &'static str = "\\S";

    fn from_text(text: &str) -> Result<Self, String> {
        refuse_unseen(text, |_| false)?;
        if text.chars().nth(MAX_LINE).is_some() {
            Err("the text is too long".into())
        } else if text.trim().is_empty() {
            Err("the text is empty".into())
        } else {
            Ok(Self(text.into()))
        }
    }

    fn stand_in() -> Option<Self> {
        Some(Self(String::new()))
    }
}

/// Refuses characters that act on what is shown around them.
pub(crate) fn refuse_unseen(text: &str, allowed: impl Fn(char) -> bool) -> Result<(), String> {
    let unseen = |c: &char| crate::diagnostic::is_unseen(*c) && !allowed(*c);
    text.chars().find(unseen).map_or(Ok(()), |c| {
        Err(format!("the text holds U+{:04X}", u32::from(c)))
    })
}

impl Decode for String {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        Line::decode(node, out).map(|line| line.0)
    }

    fn stand_in() -> Option<Self> {
        Some(Self::new())
    }

    fn schema(defs: &mut Defs) -> Json {
        Line::schema(defs)
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
        Some(T::kept(node, out))
    }

    fn stand_in() -> Option<Self> {
        Some(T::stand_in())
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

    fn stand_in() -> Option<Self> {
        T::stand_in().map(|value| Self {
            value,
            span: Span::default(),
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
        Some(items.iter().filter_map(|item| T::kept(item, out)).collect())
    }

    fn stand_in() -> Option<Self> {
        Some(T::stand_in().into_iter().collect())
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
        T::kept(node, out).map(|one| Self(vec![one]))
    }

    fn stand_in() -> Option<Self> {
        Vec::stand_in().map(Self)
    }

    fn schema(defs: &mut Defs) -> Json {
        json!({ "anyOf": [T::schema(defs), Vec::<T>::schema(defs)] })
    }
}

pub(crate) fn unknown_word(node: &Node, word: &str, known: &[&str], out: &mut Diagnostics<'_>) {
    out.push_with(node.span, || {
        let message = format!("unknown word {}", quote(word));
        Complaint::error("unknown-word", message).expected_one_of(word, known.iter().copied())
    });
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
