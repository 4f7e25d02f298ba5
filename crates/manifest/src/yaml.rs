//! YAML text to a tree that remembers where everything stands.
//!
//! Only the part of YAML that a manifest needs: one document, string keys, no anchors, no tags.
//! Anything else is a diagnostic, and reading goes on, so that one run finds all mistakes.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput};

use crate::diagnostic::{Complaint, Diagnostics, Span, quote};

/// The longest manifest accepted, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// How deeply lists and maps may nest.
const MAX_DEPTH: usize = 32;
/// How many scalars, lists, maps and ends of them a manifest may hold in all. The smallest flow has
/// 16 of them in about 80 bytes, so that what a manifest can say is bounded by [`MAX_BYTES`], and
/// this only keeps a file of brackets from taking much memory.
const MAX_NODES: usize = MAX_BYTES / 4;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    /// A plain scalar that YAML takes for a number, but that is a fraction or too large for an
    /// integer; kept as it was written.
    Float(String),
    String(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) span: Span,
}

impl Node {
    /// What the value is, for "expected …, found …".
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Integer(_) => "a number",
            Value::Float(text) => float_kind(text),
            Value::String(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// What a [`Value::Float`] is.
pub(crate) fn float_kind(text: &str) -> &'static str {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        "a number that is too large"
    } else {
        "a fraction"
    }
}

/// What could be read of a text.
pub(crate) struct Tree {
    /// The document; none where reading ended before there was any part of it.
    pub(crate) root: Option<Node>,
    /// Whether the text was read to its end.
    pub(crate) complete: bool,
    /// The lists and maps whose end was not seen.
    pub(crate) torn: Vec<Span>,
}

/// Reads one YAML document. Mistakes are pushed to `out`; the tree holds what could be read.
pub(crate) fn load(text: &str, out: &mut Diagnostics<'_>) -> Tree {
    if text.len() > MAX_BYTES {
        let message = format!("the manifest has {} bytes", text.len());
        out.push(
            Span::default(),
            Complaint::error("too-large", message).expected(format!("at most {MAX_BYTES}")),
        );
        return Tree {
            root: None,
            complete: false,
            torn: Vec::new(),
        };
    }
    let mut loader = Loader {
        places: Places::new(text),
        open: Vec::new(),
        root: None,
        nodes: 0,
        torn: Vec::new(),
    };
    let mut parser = Parser::new(StrInput::new(text));
    let complete = loader.run(&mut parser, out);
    loader.close_all(text.len(), out);
    let nothing = || Node {
        span: Span::default(),
        value: Value::Null,
    };
    Tree {
        root: loader.root.or_else(|| complete.then(nothing)),
        complete,
        torn: loader.torn,
    }
}

/// A list or map whose end has not been seen yet.
struct Open {
    start: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<(Key, Node)>,
        /// The keys so far, each with its place.
        seen: HashMap<String, Span>,
        next: Next,
    },
}

/// What the next node of a map is.
enum Next {
    Key,
    ValueOf(Key),
    /// The value of a key that was refused.
    Dropped,
}

struct Loader<'a> {
    places: Places<'a>,
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    torn: Vec<Span>,
}

impl Loader<'_> {
    /// Feeds all events; false when the text could not be read to its end.
    fn run(&mut self, parser: &mut Parser<'_, StrInput<'_>>, out: &mut Diagnostics<'_>) -> bool {
        loop {
            let (event, span) = match parser.next_event() {
                None => return true,
                Some(Ok(event)) => event,
                Some(Err(error)) => {
                    let at = self.places.offset(error.marker());
                    let message = format!("this is not YAML: {}", error.info());
                    out.push(
                        Span { start: at, end: at },
                        Complaint::error("syntax", message).expected("YAML 1.2"),
                    );
                    return false;
                }
            };
            let span = self.places.span(span);
            self.nodes += 1;
            if self.nodes > MAX_NODES || self.open.len() > MAX_DEPTH {
                let message = if self.nodes > MAX_NODES {
                    format!("more than {MAX_NODES} values")
                } else {
                    format!("lists and maps nest more than {MAX_DEPTH} deep")
                };
                out.push(
                    span,
                    Complaint::error("too-large", message).expected("less"),
                );
                return false;
            }
            if !self.handle(event, span, out) {
                return false;
            }
        }
    }

    /// Takes one event; false ends the reading.
    fn handle(&mut self, event: Event<'_>, span: Span, out: &mut Diagnostics<'_>) -> bool {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) if self.root.is_some() => {
                let complaint = Complaint::error("second-document", "a second YAML document");
                out.push(span, complaint.expected("one manifest a file"));
                return false;
            }
            Event::DocumentStart(_) => {}
            Event::Alias(_) => {
                refuse(span, "an alias", out);
                self.add(
                    Node {
                        span,
                        value: Value::Null,
                    },
                    out,
                );
            }
            Event::Scalar(text, style, anchor, tag) => {
                if anchor != 0 || tag.is_some() {
                    refuse(span, "an anchor or tag", out);
                }
                self.add(
                    Node {
                        span,
                        value: scalar(&text, style),
                    },
                    out,
                );
            }
            Event::SequenceStart(anchor, tag) => {
                if anchor != 0 || tag.is_some() {
                    refuse(span, "an anchor or tag", out);
                }
                self.open.push(Open {
                    start: span.start,
                    content: Content::List(Vec::new()),
                });
            }
            Event::MappingStart(anchor, tag) => {
                if anchor != 0 || tag.is_some() {
                    refuse(span, "an anchor or tag", out);
                }
                let content = Content::Map {
                    entries: Vec::new(),
                    seen: HashMap::new(),
                    next: Next::Key,
                };
                self.open.push(Open {
                    start: span.start,
                    content,
                });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span.end, out),
        }
        true
    }

    fn close(&mut self, end: usize, out: &mut Diagnostics<'_>) {
        let Some(Open { start, content }) = self.open.pop() else {
            return;
        };
        let value = match content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, .. } => Value::Map(entries),
        };
        let end = self.places.trim_end(start, end);
        let span = Span { start, end };
        self.add(Node { span, value }, out);
    }

    fn close_all(&mut self, end: usize, out: &mut Diagnostics<'_>) {
        while let Some(open) = self.open.last() {
            let start = open.start;
            let end = self.places.trim_end(start, end);
            self.torn.push(Span { start, end });
            self.close(end, out);
        }
    }

    fn add(&mut self, node: Node, out: &mut Diagnostics<'_>) {
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut parent.content {
            Content::List(items) => items.push(node),
            Content::Map {
                entries,
                seen,
                next,
            } => match std::mem::replace(next, Next::Key) {
                Next::Key => *next = as_key(node, seen, out),
                Next::ValueOf(key) => entries.push((key, node)),
                Next::Dropped => {}
            },
        }
    }
}

fn refuse(span: Span, what: &str, out: &mut Diagnostics<'_>) {
    let complaint = Complaint::error("unsupported-yaml", format!("{what} is not supported"));
    out.push(span, complaint.expected("the value written out"));
}

/// Reads a key; one that is no word or was given before is refused.
fn as_key(node: Node, seen: &mut HashMap<String, Span>, out: &mut Diagnostics<'_>) -> Next {
    let span = node.span;
    let text = match node.value {
        Value::String(text) | Value::Float(text) => text,
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Null | Value::List(_) | Value::Map(_) => {
            let complaint = Complaint::error("wrong-type", "a key must be a word");
            out.push(span, complaint.expected("text"));
            return Next::Dropped;
        }
    };
    if let Some(first) = seen.get(&text) {
        let line = out.line_of(*first);
        let message = format!("{} is already given in line {line}", quote(&text));
        let complaint = Complaint::error("duplicate-field", message);
        out.push(span, complaint.expected("each field once"));
        return Next::Dropped;
    }
    seen.insert(text.clone(), span);
    Next::ValueOf(Key { text, span })
}

/// The core schema of YAML 1.2 (section 10.3.2), as far as manifests use it.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Value::String(text.to_owned());
    }
    if let Ok(number) = text.parse::<i64>() {
        return Value::Integer(number);
    }
    if text.parse::<f64>().is_ok() {
        Value::Float(text.to_owned())
    } else {
        Value::String(text.to_owned())
    }
}

/// Turns the parser's places, counted in characters, into byte offsets.
struct Places<'a> {
    text: &'a str,
    /// Byte offset of each character; none where every character is one byte.
    offsets: Option<Vec<usize>>,
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Self {
        let offsets = (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect());
        Self { text, offsets }
    }

    fn offset(&self, marker: &Marker) -> usize {
        let end = self.text.len();
        match &self.offsets {
            None => marker.index().min(end),
            Some(offsets) => offsets.get(marker.index()).copied().unwrap_or(end),
        }
    }

    fn span(&self, span: saphyr_parser::Span) -> Span {
        let start = self.offset(&span.start);
        Span {
            start,
            end: self.offset(&span.end).max(start),
        }
    }

    /// Blocks end where the next token starts; their text ends before that.
    fn trim_end(&self, start: usize, end: usize) -> usize {
        let end = end.clamp(start, self.text.len());
        self.text
            .get(start..end)
            .map_or(end, |text| start + text.trim_end().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(text: &str) -> (Tree, Vec<crate::Diagnostic>) {
        let mut out = Diagnostics::new("m.yaml", text);
        let tree = load(text, &mut out);
        (tree, out.into_vec())
    }

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for (text, value) in [
            ("443", Value::Integer(443)),
            ("1.2", Value::Float("1.2".into())),
            ("0.129.7", Value::String("0.129.7".into())),
            ("\"1.2\"", Value::String("1.2".into())),
            ("true", Value::Bool(true)),
            ("off", Value::String("off".into())),
            ("~", Value::Null),
            ("10000-20000", Value::String("10000-20000".into())),
        ] {
            assert_eq!(loaded(text).0.root.unwrap().value, value, "{text}");
        }
    }

    #[test]
    fn places_are_right_behind_characters_of_several_bytes() {
        let text = "å: \"ö\"\r\nb: väg\r\n";
        let (tree, _) = loaded(text);
        let Value::Map(entries) = tree.root.unwrap().value else {
            panic!("a map")
        };
        let shown: Vec<_> = entries
            .iter()
            .map(|(_, node)| &text[node.span.start..node.span.end])
            .collect();
        assert_eq!(shown, ["\"ö\"", "väg"]);
    }

    #[test]
    fn a_key_given_twice_is_named_with_both_lines() {
        let (_, found) = loaded("a: 1\nb: 2\na: 3\n");
        assert_eq!((found.len(), found[0].line, found[0].column), (1, 3, 1));
        assert!(found[0].message.contains("line 1"), "{}", found[0]);
    }

    #[test]
    fn aliases_anchors_and_tags_are_refused_with_their_place() {
        let (_, found) = loaded("a: &x 1\nb: *x\nc: !!str 3\n");
        let lines: Vec<_> = found.iter().map(|d| (d.code, d.line)).collect();
        assert_eq!(
            lines,
            [
                ("unsupported-yaml", 1),
                ("unsupported-yaml", 2),
                ("unsupported-yaml", 3)
            ]
        );
    }

    #[test]
    fn nesting_beyond_the_bound_is_an_error_not_a_crash() {
        let (tree, found) = loaded(&format!("{}{}", "[".repeat(100), "]".repeat(100)));
        assert!(!tree.complete);
        assert_eq!(found[0].code, "too-large");
        assert!(!loaded(&"[".repeat(100_000)).0.complete);
        let blocks: String = (0..100)
            .map(|depth| format!("{}a:\n", " ".repeat(depth)))
            .collect();
        assert_eq!(loaded(&blocks).1[0].code, "too-large");
    }

    #[test]
    fn what_stands_before_a_syntax_error_is_kept() {
        let (tree, found) = loaded("a: 1\nb: [1,\n");
        assert!(!tree.complete);
        assert_eq!(found[0].code, "syntax");
        let Value::Map(entries) = tree.root.unwrap().value else {
            panic!("a map")
        };
        assert_eq!(entries[0].0.text, "a");
    }
}
