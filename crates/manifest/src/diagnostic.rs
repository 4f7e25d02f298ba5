//! What is wrong with a manifest, where, and what would be right.

use std::fmt;

use serde::Serialize;

/// The most diagnostics for one file. Where there are more mistakes, the last diagnostic says how
/// many are not listed.
pub const MAX_DIAGNOSTICS: usize = 200;

/// The most characters of the offending text that a diagnostic repeats.
const MAX_TEXT: usize = 60;
/// The most words that an "expected one of" lists.
const MAX_WORDS: usize = 20;
/// The longest word, in characters, for which a nearest one is looked for.
const MAX_WORD: usize = 80;
/// The most words of about the right length that are looked at for the nearest one.
const MAX_CANDIDATES: usize = 512;

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
        self.expected = match allowed.as_slice() {
            [] => "nothing: none is declared".to_owned(),
            [only] => format!("`{only}`"),
            several => format!("one of {}", listed(several)),
        };
        self
    }
}

/// The words in quotes; of many, the first and how many more there are.
pub(crate) fn listed(words: &[&str]) -> String {
    let shown: Vec<String> = words
        .iter()
        .take(MAX_WORDS)
        .map(|word| quote(word))
        .collect();
    let shown = shown.join(", ");
    match words.len().saturating_sub(MAX_WORDS) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// A word of the manifest as a message repeats it: in quotes, its first line only, shortened, and
/// without characters that would act on a terminal.
pub(crate) fn quote(word: &str) -> String {
    format!("`{}`", shortened(word))
}

/// The first line, at most [`MAX_TEXT`] characters of it.
fn shortened(text: &str) -> String {
    let line = text.split(['\n', '\r']).next().unwrap_or_default();
    let visible = |c: char| if is_unseen(c) { '\u{FFFD}' } else { c };
    let mut shown: String = line.chars().take(MAX_TEXT).map(visible).collect();
    if line.chars().nth(MAX_TEXT).is_some() {
        shown.push('…');
    }
    shown
}

/// Whether a character acts on what is shown around it instead of being seen: controls (C0, C1,
/// DEL) and those that turn the direction of writing (Unicode Standard Annex 9, section 2).
pub(crate) fn is_unseen(c: char) -> bool {
    c.is_control() || matches!(c, '\u{061C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// The candidate that a misspelt word most likely meant, if any is near enough.
///
/// Words of more than 80 characters have none, and of the candidates of about the same length only
/// the first 512 are looked at.
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let length = written.chars().take(MAX_WORD + 1).count();
    if length > MAX_WORD {
        return None;
    }
    let bound = (length / 3).clamp(1, 4);
    candidates
        .into_iter()
        .filter(|candidate| {
            let other = candidate.chars().take(MAX_WORD + 5).count();
            other.abs_diff(length) <= bound
        })
        .take(MAX_CANDIDATES)
        .map(|candidate| (strsim::osa_distance(written, candidate), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// Collects the diagnostics of one file.
pub(crate) struct Diagnostics<'a> {
    file: &'a str,
    text: &'a str,
    /// Where each line starts.
    lines: Vec<usize>,
    found: Vec<Diagnostic>,
    errors: usize,
    /// How many came after the list was full.
    more: usize,
}

impl<'a> Diagnostics<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        Self {
            file,
            text,
            lines: line_starts(text),
            found: Vec::new(),
            errors: 0,
            more: 0,
        }
    }

    pub(crate) fn push(&mut self, span: Span, complaint: Complaint) {
        self.push_with(span, || complaint);
    }

    /// As [`Self::push`], for complaints that are costly to make: one error that is only made
    /// while there is room for it.
    pub(crate) fn push_with(&mut self, span: Span, complaint: impl FnOnce() -> Complaint) {
        if self.found.len() >= MAX_DIAGNOSTICS {
            self.errors += 1;
            self.more += 1;
            return;
        }
        let Complaint {
            severity,
            code,
            message,
            expected,
            suggestion,
        } = complaint();
        self.errors += usize::from(severity == Severity::Error);
        let (line, column) = self.position(span.start);
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
        self.position(span.start).0
    }

    /// How many errors were said so far. Readers compare it to know whether a part is whole.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// Drops what cannot be known where the file was cut short: what is missing, and what is
    /// wrong with the lists and maps whose end was not seen.
    pub(crate) fn forget_torn(&mut self, torn: &[Span]) {
        self.found.retain(|found| {
            let by_reader = matches!(found.code, "syntax" | "too-large" | "second-document");
            by_reader || (found.code != "missing-field" && !torn.contains(&found.span))
        });
    }

    /// All that was found, in the order of the file.
    pub(crate) fn into_vec(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|found| (found.line, found.column));
        if self.more > 0
            && let Some(last) = self.found.last_mut()
        {
            last.code = "more-mistakes";
            last.message = format!("and {} more that are not listed", self.more + 1);
            last.expected = "the others mended first".to_owned();
            last.suggestion = None;
        }
        self.found
    }

    /// Line and column, both from 1, of a byte offset; offsets past the end mean the end.
    fn position(&self, offset: usize) -> (usize, usize) {
        let offset = floor_char_boundary(self.text, offset);
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|at| self.lines.get(at));
        let before = self.text.get(start.copied().unwrap_or(0)..offset);
        (line.max(1), before.unwrap_or_default().chars().count() + 1)
    }
}

/// Where lines start. They end as YAML 1.2 says (section 5.4): LF, CR LF, or CR alone.
fn line_starts(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let ends = bytes.iter().enumerate().filter(|(at, byte)| match byte {
        b'\n' => true,
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    });
    std::iter::once(0)
        .chain(ends.map(|(at, _)| at + 1))
        .collect()
}

fn excerpt(text: &str, span: Span) -> String {
    let start = floor_char_boundary(text, span.start);
    let end = floor_char_boundary(text, span.end).max(start);
    shortened(&text[start..end])
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
        let position = |text, offset| Diagnostics::new("m.yaml", text).position(offset);
        assert_eq!(position("é: x\nåäö: y", 12), (2, 4));
        assert_eq!(position("", 7), (1, 1));
    }

    #[test]
    fn a_line_ends_with_lf_with_cr_lf_and_with_cr() {
        for end in ["\n", "\r\n", "\r"] {
            let text = format!("a{end}{end}b");
            let out = Diagnostics::new("m.yaml", &text);
            assert_eq!(out.position(text.len()), (3, 2), "{end:?}");
            assert_eq!(out.position(0), (1, 1), "{end:?}");
        }
    }

    #[test]
    fn a_word_is_repeated_shortened_and_without_what_acts_on_a_terminal() {
        assert_eq!(quote("a\u{1b}[2J\u{202e}b"), "`a\u{FFFD}[2J\u{FFFD}b`");
        assert_eq!(quote(&"a".repeat(1000)).chars().count(), 63);
    }

    #[test]
    fn of_many_words_only_some_are_listed() {
        let words = vec!["word"; 1000];
        let expected = Complaint::error("x", "x").expected_one_of("wort", words);
        assert!(expected.expected.ends_with("and 980 more"));
        assert_eq!(expected.suggestion.as_deref(), Some("word"));
    }

    #[test]
    fn what_comes_after_the_bound_is_counted_in_the_last_diagnostic() {
        let list = |count: usize| {
            let mut out = Diagnostics::new("m.yaml", "text");
            for _ in 0..count {
                out.push(Span::default(), Complaint::error("x", "x").expected("y"));
            }
            assert_eq!(out.errors(), count);
            out.into_vec()
        };
        assert!(list(MAX_DIAGNOSTICS).iter().all(|one| one.code == "x"));
        let found = list(MAX_DIAGNOSTICS + 5);
        assert_eq!(found.len(), MAX_DIAGNOSTICS);
        let last = found.last().map(|one| one.message.as_str());
        assert_eq!(last, Some("and 6 more that are not listed"));
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
