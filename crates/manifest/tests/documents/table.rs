//! Tables of what a document demands, line by line, with the lanes and facts that carry it.
//!
//! ```text
//! # a comment
//! versions: newest 0.129.7
//!
//! - where it stands in the document, and what it demands
//!   flow: party > kind:place tcp 443 https required outbound
//!   flow: party > kind:place {tcp,udp} {53,5353} dns required outbound @ 0.129.7
//!   flow: a fact, such as `tls >=1.2`
//!   flow: mentions words that its texts hold in every language
//!   whole: no lane is inbound
//!   nothing: why there is nothing to declare
//! ```
//!
//! `{a,b}` means the line once with `a` and once with `b`. A lane that does not exist for every
//! version of the header ends in `@` and the versions that have it.

use std::collections::BTreeSet;

/// The word for the newest version.
pub(crate) const NEWEST: &str = "newest";

/// What a document demands.
pub(crate) struct Table {
    /// The versions to hold the manifest against.
    pub(crate) versions: Vec<String>,
    /// The document's rows and sentences, in its order.
    pub(crate) rows: Vec<Row>,
}

/// A row or sentence of a document.
pub(crate) struct Row {
    /// Where it stands and what it demands.
    pub(crate) place: String,
    /// What carries it.
    pub(crate) claims: Vec<Claim>,
}

/// Something that the manifest must say.
pub(crate) enum Claim {
    /// A lane, as [`crate::facts::lane`] writes it, and the versions that have it.
    Lane(String, BTreeSet<String>),
    /// A fact, as [`crate::facts::facts`] writes it.
    Fact(String),
    /// Words in a text of a flow, party, feature or of the source.
    Mention(String, String),
    /// Something that holds for all lanes.
    Whole(String),
    /// Nothing, because the row demands nothing of the network.
    Nothing,
}

impl Table {
    /// Reads a table. A line that is neither of the kinds above fails the test.
    pub(crate) fn parse(text: &str) -> Self {
        let mut table = Self {
            versions: vec![NEWEST.to_owned()],
            rows: Vec::new(),
        };
        for (at, line) in text.lines().enumerate() {
            let trimmed = line.trim();
            if trimmed.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(versions) = line.strip_prefix("versions: ") {
                table.versions = versions.split_whitespace().map(str::to_owned).collect();
            } else if let Some(place) = line.strip_prefix("- ") {
                table.rows.push(Row {
                    place: place.to_owned(),
                    claims: Vec::new(),
                });
            } else {
                let claims = table.claims(trimmed, at + 1);
                let row = table.rows.last_mut();
                row.unwrap_or_else(|| panic!("line {}: no row yet", at + 1))
                    .claims
                    .extend(claims);
            }
        }
        table
    }

    fn claims(&self, line: &str, at: usize) -> Vec<Claim> {
        let (line, versions): (&str, BTreeSet<String>) = match line.split_once(" @ ") {
            Some((line, versions)) => (
                line,
                versions.split_whitespace().map(str::to_owned).collect(),
            ),
            None => (line, self.versions.iter().cloned().collect()),
        };
        alternatives(line)
            .into_iter()
            .map(|line| {
                let (subject, what) = line
                    .split_once(": ")
                    .unwrap_or_else(|| panic!("line {at}: no subject in `{line}`"));
                if subject == "nothing" {
                    Claim::Nothing
                } else if subject == "whole" {
                    Claim::Whole(what.to_owned())
                } else if let Some(words) = what.strip_prefix("mentions ") {
                    Claim::Mention(subject.to_owned(), words.to_owned())
                } else if what.contains(" > ") {
                    Claim::Lane(line, versions.clone())
                } else {
                    Claim::Fact(line)
                }
            })
            .collect()
    }
}

/// The line once for each choice in its first braces, and so on for the other braces.
fn alternatives(line: &str) -> Vec<String> {
    let Some((before, rest)) = line.split_once('{') else {
        return vec![line.to_owned()];
    };
    let (choices, after) = rest.split_once('}').expect("a closing brace");
    choices
        .split(',')
        .flat_map(|choice| alternatives(&format!("{before}{choice}{after}")))
        .collect()
}
