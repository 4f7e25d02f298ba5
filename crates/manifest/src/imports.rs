//! Reading manifests together with those that they import.

mod taking;

use std::collections::HashMap;
use std::sync::Arc;

use self::taking::Taking;
use crate::catalogue::Catalogue;
use crate::diagnostic::{Complaint, Diagnostic, Diagnostics};
use crate::document::Document;
use crate::document::import::Import;
use crate::manifest::{Declared, Manifest, parse_in};

/// How many manifests may import one another in a row.
pub(crate) const MAX_DEPTH: usize = 4;
/// How many manifests may be imported in all, each counted once.
const MAX_MANIFESTS: usize = 64;

/// Hands out the text of manifests that others import.
pub trait Library {
    /// The name to show in diagnostics and the text of the manifest that is a built-in of this
    /// id or a file of this name; none when there is no such manifest. The name asked for is
    /// never a path with folders.
    ///
    /// # Errors
    /// When there is one but it cannot be read: the reason, for a person.
    fn find(&self, reference: &str) -> Result<Option<(String, String)>, String>;
}

/// A library that holds nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Empty;

impl Library for Empty {
    fn find(&self, _: &str) -> Result<Option<(String, String)>, String> {
        Ok(None)
    }
}

/// The reading of one manifest and of all that it imports, each of which is read once.
pub(crate) struct Reading<'a> {
    library: &'a dyn Library,
    /// The names of the manifests that are importing the one being read, and its own.
    open: Vec<String>,
    known: HashMap<String, Known>,
}

/// What is known of a manifest that was asked for by one reference.
enum Known {
    /// It is being read.
    Open,
    Sound(Arc<Manifest>),
    Refused(Refusal),
}

/// Why a manifest cannot be imported.
#[derive(Clone)]
struct Refusal {
    code: &'static str,
    message: String,
    expected: &'static str,
}

impl Refusal {
    fn too_deep(import: &Import) -> Self {
        let reference = &import.manifest.value;
        Self {
            code: "import-cycle",
            message: format!(
                "`{reference}` imports itself, or imports run more than {MAX_DEPTH} deep"
            ),
            expected: "a shorter chain",
        }
    }
}

impl<'a> Reading<'a> {
    pub(crate) fn new(library: &'a dyn Library) -> Self {
        Self {
            library,
            open: Vec::new(),
            known: HashMap::new(),
        }
    }

    /// Reads a manifest.
    pub(crate) fn manifest(&mut self, name: &str, text: &str) -> Result<Manifest, Vec<Diagnostic>> {
        self.open.push(name.to_owned());
        let parsed = parse_in(name, text, self);
        self.open.pop();
        parsed
    }

    /// The manifest that an import means.
    fn imported(&mut self, import: &Import) -> Result<Arc<Manifest>, Refusal> {
        let reference = import.manifest.value.as_str();
        match self.known.get(reference) {
            Some(Known::Open) => return Err(Refusal::too_deep(import)),
            Some(Known::Sound(manifest)) if self.open.len() + manifest.depth() > MAX_DEPTH => {
                return Err(Refusal::too_deep(import));
            }
            Some(Known::Sound(manifest)) => return Ok(Arc::clone(manifest)),
            Some(Known::Refused(refusal)) => return Err(refusal.clone()),
            None => {}
        }
        let read = self.read(import);
        let known = match &read {
            Ok(manifest) => Known::Sound(Arc::clone(manifest)),
            Err(refusal) => Known::Refused(refusal.clone()),
        };
        self.known.insert(reference.to_owned(), known);
        read
    }

    fn read(&mut self, import: &Import) -> Result<Arc<Manifest>, Refusal> {
        let reference = import.manifest.value.as_str();
        if self.known.len() >= MAX_MANIFESTS {
            return Err(Refusal {
                code: "too-large",
                message: format!("more than {MAX_MANIFESTS} manifests are imported"),
                expected: "fewer",
            });
        }
        let found = self.library.find(reference).map_err(|reason| Refusal {
            code: "unreadable-manifest",
            message: format!("manifest `{reference}` cannot be read: {reason}"),
            expected: "a manifest that can be read",
        })?;
        let (name, text) = found.ok_or_else(|| Refusal {
            code: "unknown-manifest",
            message: format!("no manifest `{reference}`"),
            expected: "a built-in manifest, or a file beside this one",
        })?;
        if self.open.contains(&name) || self.open.len() > MAX_DEPTH {
            return Err(Refusal::too_deep(import));
        }
        self.known.insert(reference.to_owned(), Known::Open);
        self.manifest(&name, &text)
            .map(Arc::new)
            .map_err(|found| broken(reference, &found))
    }
}

fn broken(reference: &str, found: &[Diagnostic]) -> Refusal {
    let first = found
        .first()
        .map_or_else(String::new, |first| format!("; first: {first}"));
    let mistakes = match found.len() {
        1 => "a mistake".to_owned(),
        several => format!("{several} mistakes"),
    };
    Refusal {
        code: "broken-import",
        message: format!("`{reference}` has {mistakes} of its own{first}"),
        expected: "a sound manifest",
    }
}

/// Adds the imported flows, and the parties that they bring along. Says how many imports stand in
/// a row below the manifest.
pub(crate) fn merge(
    document: &mut Document,
    flows: &mut Catalogue<Declared>,
    reading: &mut Reading<'_>,
    out: &mut Diagnostics<'_>,
) -> usize {
    let imports = document.imports.clone();
    let mut depth = 0;
    for (id, import) in imports.entries() {
        if import.manifest.value.is_unread() {
            continue;
        }
        let other = match reading.imported(import) {
            Ok(other) => other,
            Err(refusal) => {
                let complaint = Complaint::error(refusal.code, refusal.message);
                out.push(import.manifest.span, complaint.expected(refusal.expected));
                document.imports.lose(id.value.as_str());
                continue;
            }
        };
        depth = depth.max(other.depth() + 1);
        let taking = Taking::new(id, import, &other);
        taking.check(document, out);
        // What is taken by an import that could not be read in full is not known.
        if !imports.has_lost(id.value.as_str()) {
            taking.parties(document);
            taking.flows(flows, out);
        }
    }
    depth
}
