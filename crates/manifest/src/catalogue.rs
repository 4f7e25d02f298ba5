//! Things by identifier.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value as Json, json};

use crate::decode::{Decode, Defs, FromText, wrong_type};
use crate::diagnostic::{Complaint, Diagnostics, Spanned};
use crate::name::Id;
use crate::yaml::{Node, Value};

/// Things by identifier, in the order of the manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue<T> {
    entries: Vec<(Spanned<Id>, T)>,
    index: HashMap<Id, usize>,
    lost: Lost,
}

/// What could not be read of a catalogue; nothing, in a sound manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Lost {
    /// The entries of these identifiers, in part or in whole.
    Some(BTreeSet<String>),
    /// All of it.
    All,
}

impl<T> Default for Catalogue<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            index: HashMap::new(),
            lost: Lost::Some(BTreeSet::new()),
        }
    }
}

impl<T> Catalogue<T> {
    /// The thing of that identifier.
    pub fn get(&self, id: &Id) -> Option<&T> {
        let at = self.index.get(id)?;
        self.entries.get(*at).map(|(_, thing)| thing)
    }

    /// The thing whose identifier is that word.
    pub fn find(&self, word: &str) -> Option<&T> {
        let at = self.index.get(word)?;
        self.entries.get(*at).map(|(_, thing)| thing)
    }

    /// All of them, in the order of the manifest.
    pub fn iter(&self) -> impl Iterator<Item = (&Id, &T)> {
        self.entries.iter().map(|(id, thing)| (&id.value, thing))
    }

    /// The identifiers, in the order of the manifest.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(id, _)| id.value.as_str())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All of them, with the places of their identifiers.
    pub(crate) fn entries(&self) -> &[(Spanned<Id>, T)] {
        &self.entries
    }

    /// Adds a thing behind the others. Of two with the same identifier the first is found.
    pub(crate) fn push(&mut self, id: Spanned<Id>, thing: T) {
        let at = self.entries.len();
        self.index.entry(id.value.clone()).or_insert(at);
        self.entries.push((id, thing));
    }

    /// The same identifiers with other things.
    pub(crate) fn map<U>(&self, other: impl Fn(&T) -> U) -> Catalogue<U> {
        let entries = self.entries.iter();
        Catalogue {
            entries: entries.map(|(id, it)| (id.clone(), other(it))).collect(),
            index: self.index.clone(),
            lost: self.lost.clone(),
        }
    }

    /// Remembers that the thing of that identifier is not there as it should be.
    pub(crate) fn lose(&mut self, word: &str) {
        if let Lost::Some(words) = &mut self.lost {
            words.insert(word.to_owned());
        }
    }

    /// Whether the thing of that identifier could not be read, in part or in whole.
    pub(crate) fn has_lost(&self, word: &str) -> bool {
        match &self.lost {
            Lost::Some(words) => words.contains(word),
            Lost::All => true,
        }
    }

    /// Whether anything could not be read.
    pub(crate) fn has_lost_any(&self) -> bool {
        match &self.lost {
            Lost::Some(words) => !words.is_empty(),
            Lost::All => true,
        }
    }
}

impl<T: Decode> Decode for Catalogue<T> {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            wrong_type(node, "a map of identifier to definition", out);
            return None;
        };
        let mut all = Self::default();
        for (key, value) in entries {
            let id = Id::from_text(&key.text);
            if let Err(message) = &id {
                let complaint = Complaint::error("wrong-value", message.clone());
                out.push(key.span, complaint.expected(Id::EXPECTED));
                all.lose(&meant(&key.text));
            }
            let before = out.errors();
            let thing = T::kept(value, out);
            if out.errors() > before {
                all.lose(&key.text);
            }
            if let (Ok(value), Some(thing)) = (id, thing) {
                let span = key.span;
                all.push(Spanned { value, span }, thing);
            }
        }
        Some(all)
    }

    fn stand_in() -> Option<Self> {
        Some(Self {
            lost: Lost::All,
            ..Self::default()
        })
    }

    fn schema(defs: &mut Defs) -> Json {
        json!({
            "type": "object",
            "propertyNames": { "pattern": Id::PATTERN, "maxLength": 64 },
            "additionalProperties": T::schema(defs),
        })
    }
}

/// The identifier that was probably meant by a word that is none: references to it are not wrong.
fn meant(word: &str) -> String {
    let lower = word.trim().chars().flat_map(char::to_lowercase);
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    lower.map(plain).collect()
}
