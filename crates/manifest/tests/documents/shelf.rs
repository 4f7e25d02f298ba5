//! The shipped manifests, as the tests read them.

use std::fs;
use std::path::{Path, PathBuf};

use outgate_manifest::{Library, Manifest, parse};

/// Every shipped manifest: the five products, then the parts that they import.
pub(crate) const PROFILES: [&str; 7] = [
    "open-pos",
    "capitech",
    "homag-cube",
    "starface",
    "qlik-forts",
    "teamviewer",
    "starface-neon",
];

/// The folder `profiles/` of the workspace. Manifests refer to the parts by their ids.
struct Shelf;

impl Library for Shelf {
    fn find(&self, reference: &str) -> Result<Option<(String, String)>, String> {
        let Some(place) = place(reference) else {
            return Ok(None);
        };
        let text = fs::read_to_string(place).map_err(|error| error.to_string())?;
        Ok(Some((format!("{reference}.yaml"), text)))
    }
}

fn place(id: &str) -> Option<PathBuf> {
    let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../profiles");
    let file = format!("{id}.yaml");
    [profiles.join(&file), profiles.join("parts").join(&file)]
        .into_iter()
        .find(|place| place.is_file())
}

/// The manifest of that id; its mistakes fail the test.
pub(crate) fn manifest(id: &str) -> Manifest {
    let found = Shelf.find(id).unwrap_or_else(|error| panic!("{error}"));
    let (name, text) = found.unwrap_or_else(|| panic!("no manifest `{id}`"));
    let manifest = parse(&name, &text, &Shelf).unwrap_or_else(|found| {
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        panic!("{}", lines.join("\n"))
    });
    assert_eq!(
        manifest.product().id.as_str(),
        id,
        "the file's name is the id"
    );
    manifest
}

/// The table of what a document demands, or another file of these tests.
pub(crate) fn table(name: &str) -> String {
    let place = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/documents")
        .join(name);
    fs::read_to_string(&place).unwrap_or_else(|error| panic!("{}: {error}", place.display()))
}
