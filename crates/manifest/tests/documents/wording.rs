//! The texts are there in every language, and what the lints say is known and explained.

use std::collections::BTreeSet;

use crate::facts::texts;
use crate::shelf::{PROFILES, manifest, table};

/// The languages that every shipped text is written in.
pub(crate) const LANGUAGES: [&str; 4] = ["sv", "nb", "de", "en"];

/// The longest purpose, in characters: it stands in a column of a table.
const LONGEST_PURPOSE: usize = 110;

#[test]
fn every_text_is_written_in_all_four_languages() {
    for id in PROFILES {
        for (subject, kind, text) in texts(&manifest(id)) {
            let languages: Vec<&str> = text.languages().map(|one| one.as_str()).collect();
            let wanted: BTreeSet<&str> = LANGUAGES.into();
            assert_eq!(
                languages.into_iter().collect::<BTreeSet<_>>(),
                wanted,
                "{id}, {subject}, {kind}"
            );
        }
    }
}

#[test]
fn every_flow_says_what_is_lost_without_it() {
    for id in PROFILES {
        let manifest = manifest(id);
        for (flow, declared) in manifest.flows().iter() {
            assert!(declared.flow.blocked.is_some(), "{id}, {flow}");
        }
    }
}

#[test]
fn notes_and_losses_are_sentences_and_purposes_are_short_phrases() {
    for id in PROFILES {
        for (subject, kind, text) in texts(&manifest(id)) {
            for language in LANGUAGES {
                let text = text.get(language).unwrap();
                let place = format!("{id}, {subject}, {kind}, {language}: {text}");
                let sentences = matches!(kind, "note" | "blocked");
                assert_eq!(text.ends_with('.'), sentences, "{place}");
                assert!(!text.contains("  ") && !text.contains('\n'), "{place}");
                if kind == "why" {
                    assert!(text.chars().count() <= LONGEST_PURPOSE, "{place}");
                }
            }
        }
    }
}

#[test]
fn sentences_of_different_languages_differ() {
    for id in PROFILES {
        for (subject, kind, text) in texts(&manifest(id)) {
            if kind == "name" {
                continue;
            }
            let different: BTreeSet<&str> =
                LANGUAGES.iter().filter_map(|one| text.get(one)).collect();
            // A short phrase may be the same in Swedish and Norwegian.
            assert!(
                different.len() >= 3,
                "{id}, {subject}, {kind}: {different:?}"
            );
        }
    }
}

#[test]
fn the_lints_say_exactly_what_is_explained_in_the_list() {
    let list = table("lints.txt");
    let explained: BTreeSet<&str> = list
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(": ").expect("a reason").0)
        .collect();
    let manifests = PROFILES.map(manifest);
    let said: Vec<String> = manifests
        .iter()
        .flat_map(|manifest| {
            let id = &manifest.product().id;
            let lints = manifest.lint().into_iter();
            lints.map(move |one| format!("{id} {} {}", one.code, one.text.trim_matches('"')))
        })
        .collect();
    assert_eq!(
        said.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        explained
    );
}
