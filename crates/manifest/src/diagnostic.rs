//! What is wrong with a manifest, where, and what would be right.

use std::fmt;

use serde::Serialize;

/// The most diagnostics kept for one file; what comes after is only counted.
pub const MAX_DIAGNOSTICS: usize = 200;

/// The most characters of the offending text that a diagnostic repeats.
const MAX_TEXT: usize = 60;

/// A half-open range of bytes in the manifest's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset past the last byte; never less than `start`.
    pub end: usize,
}

/// A value together with the place it was written at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The manifest cannot be used.
    Error,
    /// The manifest can be used, but a reader or an administrator is worse off.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One thing to mend in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// A stable word for the kind of mistake, such as `unknown-field`.
    pub code: &'static str,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Name of the file as the caller gave it.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The offending text itself: its first line, shortened to 60 characters.
    pub text: String,
    /// What would have been right there.
    pub expected: String,
    /// The nearest word that would have been right, if one is near.
    pub suggestion: Option<String>,
    /// The bytes meant.
    #[serde(skip)]
    pub span: Span,
}

impl fmt::Display for Diagnostic {
    /// One line: `file:line:column: error[code]: message (expected …; did you mean …?)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            severity,
            code,
            message,
            file,
            line,
            column,
            ..
        } = self;
        write!(f, "{file}:{line}:{column}: {severity}[{code}]: {message}")?;
        if !self.expected.is_empty() {
            write!(f, "; expected {}", self.expected)?;
        }
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; did you mean `{suggestion}`?")?;
        }
        Ok(())
    }
}

/// What a diagnostic says before its place in the file is worked out.
pub(crate) struct Complaint {
    pub(crate) severity: Severity,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) expected: String,
    pub(crate) suggestion: Option<String>,
}

impl Complaint {
    pub(crate) fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            expected: String::new(),
            suggestion: None,
        }
    }

    pub(crate) fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, message)
        }
    }

    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = expected.into();
        self
    }

    /// Says what is allowed, and which of it is nearest to what was written.
    pub(crate) fn expected_one_of<'a>(
        mut self,
        written: &str,
        allowed: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let allowed: Vec<&str> = allowed.into_iter().collect();
        self.suggestion = nearest(written, allowed.iter().copied());
        self.expected = match allowed.len() {
            0 => "nothing: none is declared".to_owned(),
            1 => format!("`{}`", allowed[0]),
            _ => format!("one of {}", quoted(&allowed)),
        };
        self
    }
}

fn quoted(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The candidate that a misspelt word most likely meant, if any is near enough.
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let bound = (written.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(written, candidate), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// Collects the diagnostics of one file.
pub(crate) struct Diagnostics<'a> {
    file: &'a str,
    text: &'a str,
    found: Vec<Diagnostic>,
}

impl<'a> Diagnostics<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        Self {
            file,
            text,
            found: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, span: Span, complaint: Complaint) {
        if self.found.len() >= MAX_DIAGNOSTICS {
            return;
        }
        let (line, column) = position(self.text, span.start);
        let Complaint {
            severity,
            code,
            message,
            expected,
            suggestion,
        } = complaint;
        self.found.push(Diagnostic {
            severity,
            code,
            message,
            file: self.file.to_owned(),
            line,
            column,
            text: excerpt(self.text, span),
            expected,
            suggestion,
            span,
        });
    }

    /// The line, counted from 1, in which a place stands.
    pub(crate) fn line_of(&self, span: Span) -> usize {
        position(self.text, span.start).0
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.found
            .iter()
            .any(|found| found.severity == Severity::Error)
    }

    /// Drops what cannot be known once the file was cut short by a syntax error.
    pub(crate) fn forget(&mut self, code: &str) {
        self.found.retain(|found| found.code != code);
    }

    /// All that was found, in the order of the file.
    pub(crate) fn into_vec(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|found| (found.line, found.column));
        self.found
    }
}

/// Line and column, both from 1, of a byte offset; offsets past the end mean the end.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let offset = floor_char_boundary(text, offset);
    let before = &text[..offset];
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before[start..].chars().count() + 1)
}

fn excerpt(text: &str, span: Span) -> String {
    let start = floor_char_boundary(text, span.start);
    let end = floor_char_boundary(text, span.end).max(start);
    let line = text[start..end].lines().next().unwrap_or_default();
    match line.char_indices().nth(MAX_TEXT) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line.to_owned(),
    }
}

fn floor_char_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_gets_the_nearest_candidate() {
        let words = ["required", "optional", "diagnostic"];
        assert_eq!(nearest("requierd", words).as_deref(), Some("required"));
        assert_eq!(nearest("diagnostics", words).as_deref(), Some("diagnostic"));
        assert_eq!(nearest("never", words), None);
    }

    #[test]
    fn positions_count_characters_not_bytes() {
        assert_eq!(position("é: x\nåäö: y", 12), (2, 4));
        assert_eq!(position("", 7), (1, 1));
    }

    #[test]
    fn only_the_first_line_of_the_offending_text_is_repeated() {
        let text = format!("{}\nsecond", "a".repeat(70));
        let shown = excerpt(
            &text,
            Span {
                start: 0,
                end: text.len(),
            },
        );
        assert_eq!(shown, format!("{}…", "a".repeat(60)));
    }
}
