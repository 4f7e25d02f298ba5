//! A manifest is written by somebody else, and so are those it imports.

use outgate_manifest::{Diagnostic, Library, MAX_DIAGNOSTICS, Selection, parse};

/// Reads `data` as a manifest whose imports find the same text again.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, more mistakes than the stated
/// bound, a mistake outside the text, or a manifest without mistakes that cannot be expanded.
pub fn manifest(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match parse("fuzz.yaml", text, &Mirror(text)) {
        Err(mistakes) => {
            assert!(!mistakes.is_empty(), "refused without a reason");
            assert!(
                mistakes.len() <= MAX_DIAGNOSTICS,
                "{} mistakes",
                mistakes.len()
            );
            for mistake in mistakes
                .iter()
                .filter(|mistake| mistake.file == "fuzz.yaml")
            {
                check_place(mistake, text);
            }
        }
        Ok(manifest) => {
            manifest
                .lint()
                .iter()
                .for_each(|hint| check_place(hint, text));
            let lanes = manifest.lanes(&Selection::default());
            assert!(lanes.is_ok(), "the default site has no lanes: {lanes:?}");
        }
    }
}

fn check_place(diagnostic: &Diagnostic, text: &str) {
    // A carriage return alone ends a line too (YAML 1.2.2, section 5.4).
    let lines = text.replace("\r\n", "\n").split(['\n', '\r']).count();
    assert!(
        (1..=lines + 1).contains(&diagnostic.line),
        "{diagnostic} of {lines} lines"
    );
    assert!(diagnostic.column >= 1, "{diagnostic}");
    assert!(diagnostic.text.chars().count() <= 61, "{diagnostic}");
}

/// A library that hands out one text for every name.
struct Mirror<'a>(&'a str);

impl Library for Mirror<'_> {
    fn find(&self, reference: &str) -> Result<Option<(String, String)>, String> {
        Ok(Some((reference.to_owned(), self.0.to_owned())))
    }
}
