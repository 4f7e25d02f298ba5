//! A manifest that was read, merged with what it imports, and found to be sound.

use std::sync::Arc;

use crate::catalogue::Catalogue;
use crate::decode::Decode;
use crate::diagnostic::{Diagnostic, Diagnostics, Spanned};
use crate::document::Document;
use crate::document::flow::Flow;
use crate::document::product::{Feature, Party, Product, Setting, Source};
use crate::imports::{self, Library, Reading};
use crate::name::Id;
use crate::{lint, validate, yaml};

/// A sound manifest. Every identifier that it uses is declared, every value is in its range.
#[derive(Debug, Clone)]
pub struct Manifest {
    name: Arc<str>,
    text: Arc<str>,
    document: Document,
    flows: Catalogue<Declared>,
    depth: usize,
}

/// A flow and where it was declared.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// The flow.
    pub flow: Flow,
    /// The other manifest it came from; none for the manifest's own flows.
    pub provenance: Option<Provenance>,
}

/// Where an imported flow comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// The product of the other manifest.
    pub product: Id,
    /// The document that the other manifest says the same as.
    pub document: String,
}

/// Reads a manifest.
///
/// `name` is only used to say where a mistake is. Nothing is read beside `text` and what
/// `library` hands out for imports.
///
/// # Errors
/// All mistakes of the file, in its order, each with its place, up to [`MAX_DIAGNOSTICS`];
/// warnings are not among them (see [`Manifest::lint`]). What stands beside a mistake is held
/// against the rest of the manifest all the same, except behind the place where a text stops
/// being YAML.
///
/// [`MAX_DIAGNOSTICS`]: crate::MAX_DIAGNOSTICS
pub fn parse(name: &str, text: &str, library: &dyn Library) -> Result<Manifest, Vec<Diagnostic>> {
    Reading::new(library).manifest(name, text)
}

/// As [`parse`], within the reading of a manifest and of all that it imports.
pub(crate) fn parse_in(
    name: &str,
    text: &str,
    reading: &mut Reading<'_>,
) -> Result<Manifest, Vec<Diagnostic>> {
    let mut out = Diagnostics::new(name, text);
    let tree = yaml::load(text, &mut out);
    let document = tree.root.and_then(|root| Document::decode(&root, &mut out));
    if !tree.complete {
        // What is missing may stand behind the place where reading ended.
        out.forget_torn(&tree.torn);
        return Err(out.into_vec());
    }
    let Some(mut document) = document else {
        return Err(out.into_vec());
    };
    let mut flows = document.flows.map(|flow| Declared {
        flow: flow.clone(),
        provenance: None,
    });
    let depth = imports::merge(&mut document, &mut flows, reading, &mut out);
    validate::validate(&document, &flows, &mut out);
    if out.errors() > 0 {
        return Err(out.into_vec());
    }
    Ok(Manifest {
        name: name.into(),
        text: text.into(),
        document,
        flows,
        depth,
    })
}

impl Manifest {
    /// The name it was read under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text it was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The product that is described.
    pub fn product(&self) -> &Product {
        &self.document.product
    }

    /// The document that the manifest says the same as.
    pub fn source(&self) -> &Source {
        &self.document.source
    }

    /// Who talks.
    pub fn parties(&self) -> &Catalogue<Party> {
        &self.document.parties
    }

    /// What a site uses or not.
    pub fn features(&self) -> &Catalogue<Feature> {
        &self.document.features
    }

    /// What the customer may change.
    pub fn settings(&self) -> &Catalogue<Setting> {
        &self.document.settings
    }

    /// All flows, the manifest's own before imported ones.
    pub fn flows(&self) -> &Catalogue<Declared> {
        &self.flows
    }

    /// The flow of that identifier.
    pub fn flow(&self, id: &Id) -> Option<&Declared> {
        self.flows.get(id)
    }

    /// What is not wrong but could be better.
    pub fn lint(&self) -> Vec<Diagnostic> {
        let mut out = Diagnostics::new(&self.name, &self.text);
        lint::lint(self, &mut out);
        out.into_vec()
    }

    pub(crate) fn own_flows(&self) -> impl Iterator<Item = (&Spanned<Id>, &Flow)> {
        self.document
            .flows
            .entries()
            .iter()
            .map(|(id, flow)| (id, flow))
    }

    /// How many imports stand in a row below it.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }
}
