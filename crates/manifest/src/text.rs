//! Texts in several languages.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::decode::{Decode, Defs, FromText, refuse_unseen, wrong_type};
use crate::diagnostic::{Complaint, Diagnostics, quote};
use crate::yaml::{Node, Value};

/// A language tag: a language of ISO 639, perhaps with a region (`nb`, `pt-BR`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Language(String);

impl Language {
    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromText for Language {
    const EXPECTED: &'static str = "a language tag such as `de` or `pt-BR`";
    const PATTERN: &'static str = "^[a-z]{2,3}(-[A-Z]{2})?$";

    fn from_text(text: &str) -> Result<Self, String> {
        let (language, region) = match text.split_once('-') {
            Some((language, region)) => (language, Some(region)),
            None => (text, None),
        };
        let language_fits =
            (2..=3).contains(&language.len()) && language.bytes().all(|b| b.is_ascii_lowercase());
        let region_fits =
            region.is_none_or(|r| r.len() == 2 && r.bytes().all(|b| b.is_ascii_uppercase()));
        if language_fits && region_fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("{} is not a language tag", quote(text)))
        }
    }

    fn stand_in() -> Option<Self> {
        Some(Self("en".to_owned()))
    }
}

impl std::str::FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_text(text)
    }
}

/// The same text in several languages. A copy costs nothing: every lane of a flow has one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text(Arc<BTreeMap<Language, String>>);

impl Serialize for Text {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl schemars::JsonSchema for Text {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The same text in several languages, by their tags (RFC 5646).",
            "type": "object",
            "additionalProperties": { "type": "string" },
        })
    }
}

/// One or more lines of text.
struct Lines(String);

impl FromText for Lines {
    const EXPECTED: &'static str = "at least one character, and only such as can be seen";
    const PATTERN: &'static str = "\\S";

    fn from_text(text: &str) -> Result<Self, String> {
        refuse_unseen(text, |c| c == '\n')?;
        if text.trim().is_empty() {
            Err("the text is empty".into())
        } else {
            Ok(Self(text.trim().into()))
        }
    }
}

impl Text {
    /// The text in exactly this language.
    pub fn get(&self, language: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known.as_str() == language);
        found.map(|(_, text)| text.as_str())
    }

    /// The text in this language, or else in English, or else in any; with the language it is in.
    pub fn best(&self, language: &str) -> Option<(&str, &str)> {
        let find = |wanted: &str| self.0.iter().find(|(known, _)| known.as_str() == wanted);
        let found = find(language)
            .or_else(|| find("en"))
            .or_else(|| self.0.iter().next());
        found.map(|(language, text)| (language.as_str(), text.as_str()))
    }

    /// The languages there are, in alphabetical order.
    pub fn languages(&self) -> impl Iterator<Item = &Language> {
        self.0.keys()
    }

    /// Whether there is no text in any language.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Decode for Text {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            wrong_type(node, "a map of language to text, such as `{ en: … }`", out);
            return None;
        };
        if entries.is_empty() {
            let complaint = Complaint::error("wrong-value", "there is no text in any language");
            out.push(node.span, complaint.expected("`{ en: … }`"));
            return None;
        }
        let mut texts = BTreeMap::new();
        let mut whole = true;
        for (key, value) in entries {
            match Language::from_text(&key.text) {
                Ok(language) => match Lines::decode(value, out) {
                    Some(text) => drop(texts.insert(language, text.0)),
                    None => whole = false,
                },
                Err(message) => {
                    whole = false;
                    let complaint = Complaint::error("wrong-value", message);
                    out.push(key.span, complaint.expected(Language::EXPECTED));
                }
            }
        }
        whole.then_some(Self(Arc::new(texts)))
    }

    fn stand_in() -> Option<Self> {
        Some(Self::default())
    }

    fn schema(defs: &mut Defs) -> Json {
        defs.define("Text", |defs| {
            json!({
                "description": "The same text in several languages, by language tag.",
                "type": "object",
                "minProperties": 1,
                "propertyNames": { "pattern": Language::PATTERN },
                "additionalProperties": Lines::schema(defs),
            })
        })
    }
}
