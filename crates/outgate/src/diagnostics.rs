//! Mistakes in a manifest, shown in their place.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use outgate_manifest::{Diagnostic, Severity};

use crate::table::harmless;

/// Every diagnostic with the line it stands in, for people.
pub(crate) fn rendered(found: &[Diagnostic], text: &str, coloured: bool) -> String {
    let renderer = if coloured {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut all = String::new();
    for one in found {
        all.push_str(&renderer.render(&report(one, text)));
        all.push_str("\n\n");
    }
    all
}

fn report<'a>(one: &'a Diagnostic, text: &'a str) -> Vec<Group<'a>> {
    let level = match one.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let (start, end) = within(text, one.span.start, one.span.end);
    let label = harmless(&format!("expected {}", one.expected));
    let annotation = AnnotationKind::Primary.span(start..end).label(label);
    let snippet = Snippet::source(text)
        .path(one.file.as_str())
        .annotation(annotation);
    let mut group = level
        .primary_title(harmless(&one.message))
        .id(one.code)
        .element(snippet);
    if let Some(suggestion) = &one.suggestion {
        group =
            group.element(Level::HELP.message(harmless(&format!("did you mean `{suggestion}`?"))));
    }
    vec![group]
}

/// The first line of a span, so that a whole block is not underlined; always on boundaries of
/// characters.
fn within(text: &str, start: usize, end: usize) -> (usize, usize) {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (start, end) = (floor(start), floor(end.max(start)));
    let line = text[start..end]
        .find('\n')
        .map_or(end, |newline| start + newline);
    (start, line)
}

#[cfg(test)]
mod tests {
    use outgate_manifest::{Empty, parse};

    use super::*;

    #[test]
    fn a_mistake_is_shown_in_its_line_with_what_would_be_right() {
        let text = "manifest: 1\nprodukt: { id: a }\n";
        let found = parse("a.yaml", text, &Empty).unwrap_err();
        let shown = rendered(&found, text, false);
        assert!(shown.contains("unknown field `produkt`"), "{shown}");
        assert!(shown.contains("a.yaml:2:1"), "{shown}");
        assert!(shown.contains("did you mean `product`?"), "{shown}");
    }
}
