//! Row by row: what the document demands is there, and nothing else is.

use std::collections::BTreeSet;

use outgate_manifest::{Direction, Lane, Manifest, Selection};

use crate::facts::{facts, lane, texts};
use crate::shelf::{manifest, table};
use crate::table::{Claim, NEWEST, Table};
use crate::wording::LANGUAGES;

#[test]
fn open_pos_says_what_its_document_says() {
    check("open-pos");
}

#[test]
fn capitech_says_what_its_document_says() {
    check("capitech");
}

#[test]
fn homag_cube_says_what_its_document_says() {
    check("homag-cube");
}

#[test]
fn starface_says_what_its_document_says() {
    check("starface");
}

#[test]
fn qlik_forts_says_what_its_document_says() {
    check("qlik-forts");
}

#[test]
fn the_imported_parts_say_what_the_documents_say_of_them() {
    check("teamviewer");
    check("starface-neon");
}

fn check(id: &str) {
    let manifest = manifest(id);
    let table = Table::parse(&table(&format!("{id}.txt")));
    let mut found = rows_without_claims(&table);
    for version in &table.versions {
        found.extend(compare(
            &format!("{id} {version}, lanes"),
            &claimed_lanes(&table, version),
            &lanes(&manifest, version).iter().map(lane).collect(),
        ));
    }
    found.extend(compare(
        &format!("{id}, facts"),
        &claimed_facts(&table),
        &facts(&manifest),
    ));
    found.extend(missing_mentions(&manifest, &table));
    found.extend(broken_wholes(&manifest, &table));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The lanes of a version with every feature in use.
pub(crate) fn lanes(manifest: &Manifest, version: &str) -> Vec<Lane> {
    let selection = Selection {
        version: (version != NEWEST).then(|| version.parse().unwrap()),
        with: manifest.features().ids().map(str::to_owned).collect(),
        ..Selection::default()
    };
    manifest.lanes(&selection).unwrap()
}

fn compare(what: &str, claimed: &BTreeSet<String>, said: &BTreeSet<String>) -> Vec<String> {
    let missing = claimed
        .difference(said)
        .map(|line| format!("{what}: missing in the manifest: {line}"));
    let invented = said
        .difference(claimed)
        .map(|line| format!("{what}: in no row of the document: {line}"));
    missing.chain(invented).collect()
}

fn claims(table: &Table) -> impl Iterator<Item = &Claim> {
    table.rows.iter().flat_map(|row| &row.claims)
}

fn claimed_lanes(table: &Table, version: &str) -> BTreeSet<String> {
    let lane = |claim: &Claim| {
        let Claim::Lane(lane, versions) = claim else {
            return None;
        };
        versions.contains(version).then(|| lane.clone())
    };
    claims(table).filter_map(lane).collect()
}

fn claimed_facts(table: &Table) -> BTreeSet<String> {
    let fact = |claim: &Claim| {
        let Claim::Fact(fact) = claim else {
            return None;
        };
        Some(fact.clone())
    };
    claims(table).filter_map(fact).collect()
}

fn rows_without_claims(table: &Table) -> Vec<String> {
    let empty = table.rows.iter().filter(|row| row.claims.is_empty());
    empty
        .map(|row| format!("nothing carries `{}`", row.place))
        .collect()
}

/// Words that no single text of the subject holds in all languages.
fn missing_mentions(manifest: &Manifest, table: &Table) -> Vec<String> {
    let texts = texts(manifest);
    let mentioned = |subject: &str, words: &str| {
        texts.iter().any(|(owner, _, text)| {
            let holds = |language| text.get(language).is_some_and(|text| text.contains(words));
            owner == subject && LANGUAGES.into_iter().all(holds)
        })
    };
    let missing = |claim: &Claim| {
        let Claim::Mention(subject, words) = claim else {
            return None;
        };
        (!mentioned(subject, words)).then(|| format!("no text of {subject} says `{words}`"))
    };
    claims(table).filter_map(missing).collect()
}

/// What a document says of all traffic, and some lane does not keep to.
fn broken_wholes(manifest: &Manifest, table: &Table) -> Vec<String> {
    let all = table.versions.iter().flat_map(|one| lanes(manifest, one));
    let all: Vec<Lane> = all.collect();
    let broken = |claim: &Claim| {
        let Claim::Whole(what) = claim else {
            return None;
        };
        let kept = |lane: &Lane| match what.as_str() {
            "no lane is inbound" => lane.direction != Direction::Inbound,
            "nothing crosses the border without TLS" => {
                lane.direction == Direction::Lan || lane.protocol.is_tls()
            }
            other => panic!("`{other}` is not known to hold for all lanes"),
        };
        let breaks = all.iter().find(|lane| !kept(lane))?;
        Some(format!("{what}: not so for {}", breaks.flow))
    };
    claims(table).filter_map(broken).collect()
}
