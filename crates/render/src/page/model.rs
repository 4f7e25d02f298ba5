//! The view model: what stands on a page, apart from how it is written.

/// A whole page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The tag of its language.
    pub language: &'static str,
    /// What the page is called.
    pub title: String,
    /// What stands before the first section.
    pub lead: Vec<Block>,
    /// The word for the list of sections.
    pub contents: &'static str,
    /// The sections, none of them empty.
    pub sections: Vec<Section>,
    /// The last line: how the page came about.
    pub footer: Phrase,
}

/// A part of the page with a heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its anchor, unlike all others on the page.
    pub id: &'static str,
    /// Its heading.
    pub heading: String,
    /// What it holds.
    pub blocks: Vec<Block>,
}

/// A part of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A heading below the section's.
    Heading(Phrase),
    /// Running text.
    Paragraph(Phrase),
    /// Running text that must not be missed.
    Notice(Phrase),
    /// Things in no order.
    List(Vec<Phrase>),
    /// Things in order, from 1.
    Steps(Vec<Phrase>),
    /// Words with what they stand for.
    Facts(Vec<(String, Phrase)>),
    /// A table.
    Table(Table),
}

/// A table. The first cell of a row is the row's heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// What the table shows.
    pub caption: String,
    /// The headings of the columns.
    pub columns: Vec<&'static str>,
    /// The rows, each with as many cells as there are columns.
    pub rows: Vec<Vec<Phrase>>,
}

/// What a mark says at first sight, beside its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// It matters most.
    Strong,
    /// It matters.
    Medium,
    /// It is good to know.
    Quiet,
}

/// A bit of text of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text in the page's language.
    Text(String),
    /// Text in another language: its tag and the text.
    Foreign(String, String),
    /// What is typed as it stands: a name, an address, a port.
    Code(String),
    /// A word set apart.
    Mark(Tone, String),
    /// The next line of the same phrase.
    Break,
}

/// Text made of pieces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Phrase(pub Vec<Piece>);

impl Phrase {
    /// Text in the page's language.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self(vec![Piece::Text(text.into())])
    }

    /// What is typed as it stands.
    pub(crate) fn code(text: impl Into<String>) -> Self {
        Self(vec![Piece::Code(text.into())])
    }

    /// A word set apart.
    pub(crate) fn mark(tone: Tone, text: impl Into<String>) -> Self {
        Self(vec![Piece::Mark(tone, text.into())])
    }

    /// A sentence with gaps such as `{name}`; a gap that nothing is given for stays as it is.
    pub(crate) fn filled(sentence: &str, gaps: &[(&str, Self)]) -> Self {
        let mut phrase = Self::default();
        let mut rest = sentence;
        while let Some((before, after)) = rest.split_once('{') {
            phrase = phrase.and_text(before);
            let known = after.split_once('}').and_then(|(name, rest)| {
                let gap = gaps.iter().find(|(known, _)| *known == name)?;
                Some((gap.1.clone(), rest))
            });
            match known {
                Some((gap, left)) => {
                    phrase = phrase.and(gap);
                    rest = left;
                }
                None => {
                    phrase = phrase.and_text("{");
                    rest = after;
                }
            }
        }
        phrase.and_text(rest)
    }

    /// This, and the other right behind it.
    #[must_use]
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// This, and text right behind it.
    #[must_use]
    pub(crate) fn and_text(self, text: &str) -> Self {
        if text.is_empty() {
            return self;
        }
        self.and(Self::text(text))
    }

    /// Phrases one after the other, with text between them.
    pub(crate) fn joined(phrases: impl IntoIterator<Item = Self>, between: &str) -> Self {
        let mut all = Self::default();
        for phrase in phrases {
            if !all.is_empty() {
                all = all.and_text(between);
            }
            all = all.and(phrase);
        }
        all
    }

    /// Phrases, each on its own line.
    pub(crate) fn lines(phrases: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::default();
        for phrase in phrases.into_iter().filter(|phrase| !phrase.is_empty()) {
            if !all.is_empty() {
                all.0.push(Piece::Break);
            }
            all = all.and(phrase);
        }
        all
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A sentence with gaps, as plain text.
pub(crate) fn fill(sentence: &str, gaps: &[(&str, &str)]) -> String {
    let gaps: Vec<(&str, Phrase)> = gaps
        .iter()
        .map(|(name, text)| (*name, Phrase::text(*text)))
        .collect();
    let pieces = Phrase::filled(sentence, &gaps).0;
    let plain = |piece: &Piece| match piece {
        Piece::Text(text) | Piece::Foreign(_, text) | Piece::Code(text) | Piece::Mark(_, text) => {
            text.clone()
        }
        Piece::Break => " ".to_owned(),
    };
    pieces.iter().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_once_and_what_fills_them_has_no_gaps() {
        assert_eq!(
            fill("{a} and {b}, {c}", &[("a", "{b}"), ("b", "2")]),
            "{b} and 2, {c}"
        );
        assert_eq!(fill("{", &[]), "{");
    }
}
