//! Manifests that are built in, and those in files.

use std::path::{Path, PathBuf};

use anyhow::Context;
use outgate_manifest::{Library, MAX_BYTES, Manifest, parse};

use crate::diagnostics;
use crate::output::{Failure, counted, read_bounded, say};

/// The built-in products: one line a profile.
const PROFILES: &[(&str, &str)] = &[
    ("capitech", include_str!("../../../profiles/capitech.yaml")),
    (
        "homag-cube",
        include_str!("../../../profiles/homag-cube.yaml"),
    ),
    ("open-pos", include_str!("../../../profiles/open-pos.yaml")),
    (
        "qlik-forts",
        include_str!("../../../profiles/qlik-forts.yaml"),
    ),
    ("starface", include_str!("../../../profiles/starface.yaml")),
];

/// Manifests that are built in only for others to import.
const PARTS: &[(&str, &str)] = &[
    (
        "starface-neon",
        include_str!("../../../profiles/parts/starface-neon.yaml"),
    ),
    (
        "teamviewer",
        include_str!("../../../profiles/parts/teamviewer.yaml"),
    ),
];

/// The ids of the built-in products.
pub(crate) fn ids() -> impl Iterator<Item = &'static str> {
    PROFILES.iter().map(|(id, _)| *id)
}

/// Imports of a manifest: files beside it, then what is built in.
struct Shelf {
    folder: Option<PathBuf>,
}

impl Library for Shelf {
    fn find(&self, reference: &str) -> Result<Option<(String, String)>, String> {
        let beside = self.folder.as_ref().map(|folder| folder.join(reference));
        if let Some(path) = beside.filter(|path| path.is_file()) {
            let text = read(&path).map_err(|error| format!("{error:#}"))?;
            return Ok(Some((path.display().to_string(), text)));
        }
        let built_in = PARTS
            .iter()
            .chain(PROFILES)
            .find(|(id, _)| *id == reference);
        Ok(built_in.map(|(id, text)| ((*id).to_owned(), (*text).to_owned())))
    }
}

/// A manifest's name and text, found but not read yet.
pub(crate) struct Found {
    name: String,
    text: String,
    shelf: Shelf,
}

/// Finds the manifest that a *profile* argument means: a built-in id, or a path.
pub(crate) fn find(profile: &str) -> Result<Found, Failure> {
    let built_in = PROFILES.iter().find(|(id, _)| *id == profile);
    if let Some((id, text)) = built_in {
        let (name, text) = (format!("{id}.yaml"), (*text).to_owned());
        return Ok(Found {
            name,
            text,
            shelf: Shelf { folder: None },
        });
    }
    let path = Path::new(profile);
    let looks_like_a_path = profile.contains(['/', '\\', '.']) || path.exists();
    if !looks_like_a_path {
        let known: Vec<&str> = ids().collect();
        return Err(Failure::unknown("profile or file", profile, &known));
    }
    let text = read(path).map_err(Failure::Input)?;
    let folder = path.parent().map(Path::to_path_buf);
    Ok(Found {
        name: profile.to_owned(),
        text,
        shelf: Shelf { folder },
    })
}

impl Found {
    /// Reads the manifest.
    pub(crate) fn parse(&self) -> Result<Manifest, Vec<outgate_manifest::Diagnostic>> {
        parse(&self.name, &self.text, &self.shelf)
    }

    /// The manifest's text, for showing places in it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// A manifest that another part of this program brings along.
pub(crate) fn parse_text(id: &str, text: &'static str) -> Result<Manifest, Failure> {
    let found = Found {
        name: format!("{id}.yaml"),
        text: text.to_owned(),
        shelf: Shelf { folder: None },
    };
    parsed(id, &found)
}

/// The manifest that a *profile* argument means. Its mistakes are printed.
pub(crate) fn load(profile: &str) -> Result<Manifest, Failure> {
    parsed(profile, &find(profile)?)
}

/// The same, for who has nobody to show its mistakes to.
pub(crate) fn read_quietly(profile: &str) -> Result<Manifest, String> {
    let found = find(profile).map_err(|failure| failure.text())?;
    found.parse().map_err(|diagnostics| {
        let first = diagnostics.first();
        let first = first.map_or_else(String::new, |one| format!(", the first: {}", one.message));
        let mistakes = counted(diagnostics.len(), "mistake");
        format!("{profile} has {mistakes}{first} (outgate lint {profile})")
    })
}

fn parsed(profile: &str, found: &Found) -> Result<Manifest, Failure> {
    found.parse().map_err(|diagnostics| {
        say(diagnostics::rendered(&diagnostics, found.text(), false).trim_end());
        say(&format!(
            "error: {profile} has {}",
            counted(diagnostics.len(), "mistake")
        ));
        Failure::Said
    })
}

fn read(path: &Path) -> anyhow::Result<String> {
    let bytes = read_bounded(path, MAX_BYTES)?;
    String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8 text", path.display()))
}
