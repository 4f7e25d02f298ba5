//! Flows taken over from the manifests of other products.

use std::fmt;

use crate::catalogue::Catalogue;
use crate::decode::{FromText, record};
use crate::diagnostic::{Spanned, quote};
use crate::document::flow::FlowRef;
use crate::document::product::Need;
use crate::name::Id;
use crate::text::Text;

record! {
    /// Flows taken over from the manifest of another product.
    kept struct Import = "an import" {
        /// The other manifest: a built-in one by its id, or a file beside this one.
        manifest: Spanned<Reference> = required "manifest",
        /// Which of its flows, whatever version or feature they belong to. When absent, those
        /// that its newest version needs with the features that are in use by default.
        flows: Vec<Spanned<Id>> = optional "flows",
        /// Which of its parties is which of ours; those not named keep their ids.
        parties: Catalogue<Spanned<Id>> = optional "parties",
        /// How badly they are needed here; as the other manifest says, when absent.
        need: Option<Need> = optional "need",
        /// The feature of this product that they belong to.
        feature: Option<Spanned<Id>> = optional "feature",
        /// What must work before them.
        after: Vec<Spanned<FlowRef>> = optional "after",
        /// Why they are taken over, and what the document says of it.
        note: Option<Text> = optional "note",
    }
}

/// Where another manifest is found: the id of a built-in one, or the name of a file beside the
/// manifest, without folders.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference(String);

/// The longest name of another manifest, in bytes.
const MAX_REFERENCE: usize = 128;

impl Reference {
    /// The id or file name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it only stands for one that could not be read.
    pub(crate) fn is_unread(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromText for Reference {
    const EXPECTED: &'static str = "the id of a built-in manifest, or a file name such as `x.yaml`";
    const PATTERN: &'static str = "^[A-Za-z0-9][A-Za-z0-9._-]*$";

    fn from_text(text: &str) -> Result<Self, String> {
        let fits = text.len() <= MAX_REFERENCE
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("{} is no such name", quote(text)))
        }
    }

    fn stand_in() -> Option<Self> {
        Some(Self(String::new()))
    }
}
