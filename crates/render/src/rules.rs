//! Firewall rules: one file a target, and one line here.

pub mod addresses;
mod csv;
mod nftables;

use std::collections::BTreeSet;

use serde::Serialize;

use outgate_manifest::{Lane, Manifest, Selection};

use self::addresses::{Addresses, Unused};

/// Something that rules can be written for.
pub trait Target: Sync {
    /// The word for it on the command line.
    fn id(&self) -> &'static str;

    /// What it is, in one line.
    fn describe(&self) -> &'static str;

    /// Writes the rules. Every lane of the request has its entry in the ledger.
    fn render(&self, request: &RulesRequest<'_>) -> Rules;

    /// Writes what lets the lanes of the request through in a firewall that has rules of its own
    /// already. Unlike [`render`](Self::render) it refuses nothing; where a target only ever adds,
    /// it is the same.
    fn excerpt(&self, request: &RulesRequest<'_>) -> Rules {
        self.render(request)
    }
}

const TARGETS: &[&dyn Target] = &[&csv::Csv, &nftables::Nftables];

/// All targets, in alphabetical order.
pub fn targets() -> &'static [&'static dyn Target] {
    TARGETS
}

/// The target of that id.
pub fn target(id: &str) -> Option<&'static dyn Target> {
    TARGETS.iter().copied().find(|target| target.id() == id)
}

/// What rules are made from.
#[derive(Debug, Clone, Copy)]
pub struct RulesRequest<'a> {
    /// The product.
    pub manifest: &'a Manifest,
    /// What the lanes were expanded for.
    pub selection: &'a Selection,
    /// The lanes to let through.
    pub lanes: &'a [Lane],
    /// The addresses that are known.
    pub addresses: &'a Addresses,
    /// Parties beside `device` whose whole traffic the product's rules judge, where a target can
    /// leave other traffic alone. Nothing of theirs but what is declared passes then.
    pub judged: &'a BTreeSet<String>,
    /// The language of texts, as a tag; English where the manifest has none in it.
    pub language: &'a str,
}

impl RulesRequest<'_> {
    /// The product version asked for, or `newest`.
    pub(crate) fn version(&self) -> String {
        let version = self.selection.version.as_ref();
        version.map_or_else(
            || outgate_manifest::view::NEWEST.to_owned(),
            ToString::to_string,
        )
    }

    /// The words that addresses were given for, and that the rules have no use for.
    pub(crate) fn unused(&self) -> Vec<Unused> {
        self.addresses
            .unused(self.manifest, self.selection, self.lanes)
    }
}

/// Rules, and how well they say what the lanes say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The file.
    pub text: String,
    /// One entry a lane, in the order of the lanes; then those about the whole file, whose flow is
    /// [`WHOLE_FILE`]. Nothing is left out silently.
    pub ledger: Vec<Entry>,
    /// Words that addresses were given for, and that no lane uses.
    pub unused: Vec<Unused>,
}

impl Rules {
    /// The entries that a person has to read: what is not said exactly.
    pub fn gaps(&self) -> impl Iterator<Item = &Entry> {
        self.ledger.iter().filter(|entry| match entry.expression {
            Expression::Narrower | Expression::Wider | Expression::Inexpressible => true,
            Expression::Exact | Expression::NotNeeded => false,
        })
    }
}

/// Stands for the flow of an entry that is about all of the rules. No flow has this id.
pub const WHOLE_FILE: &str = "*";

/// How one lane is expressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Id of the flow, or [`WHOLE_FILE`].
    pub flow: String,
    /// The lane in one line: who, where to, over what. Of the whole file, the traffic meant.
    pub lane: String,
    /// How well it is expressed.
    pub expression: Expression,
    /// Why it is not exact, or what it rests on.
    pub reason: Option<String>,
    /// What to do about it.
    pub workaround: Option<String>,
}

/// How well a target says what a lane says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expression {
    /// No rule is needed: the traffic does not pass the firewall.
    NotNeeded,
    /// The rules say the same as the lane.
    Exact,
    /// The rules let less through than the lane.
    Narrower,
    /// The rules let more through than the lane.
    Wider,
    /// The target has no way to say it, or what it needs is not known.
    Inexpressible,
}

impl Expression {
    /// The word for it, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotNeeded => "not-needed",
            Self::Exact => "exact",
            Self::Narrower => "narrower",
            Self::Wider => "wider",
            Self::Inexpressible => "inexpressible",
        }
    }
}

/// A lane in one line, such as `device > license.example.com tcp 8383 (https)`.
pub(crate) fn describe(lane: &Lane) -> String {
    let ports = lane
        .ports
        .map_or_else(String::new, |ports| format!(" {ports}"));
    let (from, to) = (&lane.from, lane.to.value());
    format!(
        "{from} > {to} {}{ports} ({})",
        lane.transport, lane.protocol
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_found_by_their_ids_and_stand_in_order() {
        assert!(targets().is_sorted_by(|a, b| a.id() < b.id()));
        for known in targets() {
            assert_eq!(target(known.id()).unwrap().describe(), known.describe());
        }
        assert!(target("no-such-firewall").is_none());
    }
}
