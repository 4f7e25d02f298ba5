//! The customer's page: what a product needs of the network, for the people who run it.
//!
//! [`Page`] is the view model, made once from a request in one of the [`languages`]; each of the
//! [`formats`] writes the same model, so that no format can say less than another.

mod content;
mod html;
mod markdown;
mod model;
mod rows;
mod words;

use outgate_manifest::{Lane, Manifest, Selection};

pub use self::model::{Block, Page, Phrase, Piece, Section, Table, Tone};

/// What a page is made from.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<'a> {
    /// The product.
    pub manifest: &'a Manifest,
    /// What the lanes were expanded for; it is stated on the page.
    pub selection: &'a Selection,
    /// The lanes that the page tells of.
    pub lanes: &'a [Lane],
    /// The language of the page, one of [`languages`].
    pub language: &'a str,
}

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// A language that pages are not written in.
    #[error("there are no pages in `{0}`; there are pages in {list}", list = known())]
    UnknownLanguage(String),
}

fn known() -> String {
    languages().collect::<Vec<_>>().join(", ")
}

/// Something that a page can be written as.
pub trait Format: Sync {
    /// The word for it on the command line.
    fn id(&self) -> &'static str;

    /// What it is, in one line.
    fn describe(&self) -> &'static str;

    /// Writes the page.
    fn write(&self, page: &Page) -> String;
}

const FORMATS: &[&dyn Format] = &[&html::Html, &markdown::Markdown];

/// All formats, in alphabetical order.
pub fn formats() -> &'static [&'static dyn Format] {
    FORMATS
}

/// The format of that id.
pub fn format(id: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.id() == id)
}

/// The tags of the languages that pages are written in, in alphabetical order.
pub fn languages() -> impl Iterator<Item = &'static str> {
    words::ALL.iter().map(|words| words.language)
}

/// Makes the page and writes it.
///
/// # Errors
/// When there are no pages in the language.
pub fn render(request: &PageRequest<'_>, format: &dyn Format) -> Result<String, PageError> {
    Page::new(request).map(|page| format.write(&page))
}

impl Page {
    /// Makes the page.
    ///
    /// # Errors
    /// When there are no pages in the language.
    pub fn new(request: &PageRequest<'_>) -> Result<Self, PageError> {
        let unknown = || PageError::UnknownLanguage(request.language.to_owned());
        let words = words::find(request.language).ok_or_else(unknown)?;
        Ok(content::page(request, words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_and_formats_are_found_by_their_words_and_stand_in_order() {
        assert_eq!(languages().collect::<Vec<_>>(), ["de", "en", "nb", "sv"]);
        assert!(formats().is_sorted_by(|a, b| a.id() < b.id()));
        for known in formats() {
            assert_eq!(format(known.id()).unwrap().describe(), known.describe());
        }
        assert!(format("pdf").is_none());
    }
}
