//! The fields of a map that is read as a record.

use super::{Decode, wrong_type};
use crate::diagnostic::{Complaint, Diagnostics, MAX_DIAGNOSTICS, Span, nearest, quote};
use crate::yaml::{Key, Node, Value};

/// The fields of a map that is being read as a record of which any mistake spoils the whole.
pub(crate) struct Fields<'a> {
    span: Span,
    entries: &'a [(Key, Node)],
    /// The fields that are probably there, but misspelt.
    meant: Vec<String>,
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
        let is_known = |key: &Key| known.contains(&key.text.as_str());
        let mut meant = Vec::new();
        let strangers = entries.iter().filter(|(key, _)| !is_known(key));
        for (at, (key, _)) in strangers.enumerate() {
            if at < MAX_DIAGNOSTICS {
                meant.extend(nearest(&key.text, known.iter().copied()));
            }
            out.push_with(key.span, || {
                let message = format!("unknown field {}", quote(&key.text));
                Complaint::error("unknown-field", message)
                    .expected_one_of(&key.text, known.iter().copied())
            });
        }
        Some(Self {
            span: node.span,
            entries,
            meant,
        })
    }

    fn find(&self, name: &str) -> Option<&'a Node> {
        self.entries
            .iter()
            .find(|(key, _)| key.text == name)
            .map(|(_, node)| node)
    }

    fn is_misspelt(&self, name: &str) -> bool {
        self.meant.iter().any(|meant| meant == name)
    }

    /// Complains of a field that is not there, unless it is there misspelt, which was said.
    fn missing(&self, name: &str, out: &mut Diagnostics<'_>) {
        if self.is_misspelt(name) {
            return;
        }
        let first = self.entries.first().map_or(self.span, |(key, _)| key.span);
        let complaint = Complaint::error("missing-field", format!("field `{name}` is missing"));
        out.push(first, complaint.expected(format!("`{name}:` beside this")));
    }

    pub(crate) fn required<T: Decode>(&self, name: &str, out: &mut Diagnostics<'_>) -> Option<T> {
        if let Some(node) = self.find(name) {
            return T::decode(node, out);
        }
        self.missing(name, out);
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

/// The same fields, read as a record that is kept in spite of mistakes: stand-ins take the places
/// of what could not be read.
pub(crate) struct Kept<'a>(pub(crate) Fields<'a>);

impl Kept<'_> {
    pub(crate) fn required<T: Decode>(&self, name: &str, out: &mut Diagnostics<'_>) -> Option<T> {
        if let Some(node) = self.0.find(name) {
            return T::kept(node, out);
        }
        self.0.missing(name, out);
        T::stand_in()
    }

    pub(crate) fn optional<T: Decode + Default>(
        &self,
        name: &str,
        out: &mut Diagnostics<'_>,
    ) -> Option<T> {
        match self.0.find(name) {
            Some(node) => T::kept(node, out),
            None if self.0.is_misspelt(name) => T::stand_in().or_else(|| Some(T::default())),
            None => Some(T::default()),
        }
    }
}
