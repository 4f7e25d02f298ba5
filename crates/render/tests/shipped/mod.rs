//! The manifests that tests render: one with a need of every kind, and the shipped profiles.

use std::fs;
use std::path::{Path, PathBuf};

use outgate_manifest::{Empty, Library, Manifest, parse};

/// A product that needs one of everything.
pub(crate) const EVERY_KIND: &str = include_str!("../given/every-kind.yaml");

/// That product's manifest.
pub(crate) fn every_kind() -> Manifest {
    parse("every-kind.yaml", EVERY_KIND, &Empty).unwrap_or_else(|found| panic!("{found:?}"))
}

/// That product and all shipped profiles.
pub(crate) fn all() -> Vec<Manifest> {
    let entries = fs::read_dir(profiles()).expect("the folder of profiles");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    paths.sort();
    assert!(paths.len() >= 5, "{paths:?}");
    let shipped = paths.iter().map(|path| {
        let text = fs::read_to_string(path).expect("a profile");
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        parse(name, &text, &Shipped).unwrap_or_else(|found| panic!("{found:?}"))
    });
    std::iter::once(every_kind()).chain(shipped).collect()
}

fn profiles() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../profiles")
}

/// The profiles and parts that profiles import.
struct Shipped;

impl Library for Shipped {
    fn find(&self, reference: &str) -> Result<Option<(String, String)>, String> {
        let name = format!("{reference}.yaml");
        let folders = [profiles(), profiles().join("parts")];
        let text = folders
            .iter()
            .find_map(|folder| fs::read_to_string(folder.join(&name)).ok());
        Ok(text.map(|text| (name, text)))
    }
}
