//! Comma-separated values (RFC 4180): every fact of every lane, for spreadsheets and scripts.
//!
//! A spreadsheet takes a cell for a formula that starts with `=`, `+`, `-` or `@`, also in their
//! full width. Such a cell gets an apostrophe before it, which spreadsheets hide and scripts have
//! to remove. Where the language of the machine is one with decimal commas, spreadsheets divide
//! cells at semicolons and take no notice of our quotes; so the sign gets its apostrophe also
//! behind every comma, semicolon and line break within a cell, and is seen there. Tabs become
//! spaces, and what cannot be seen becomes U+FFFD. Several values in one cell are divided by
//! spaces.

use outgate_manifest::document::flow::{Credential, Rate, Switch, Tls};
use outgate_manifest::{Lane, Text};

use crate::rules::{Entry, Expression, Rules, RulesRequest, Target, describe};
use crate::visible::visible;

/// The header row.
const COLUMNS: [&str; 29] = [
    "flow",
    "from",
    "to_kind",
    "to",
    "transport",
    "ports",
    "protocol",
    "need",
    "direction",
    "tls_min",
    "tls_trust",
    "tls_inspection",
    "tls_mutual",
    "tls_pins",
    "versions",
    "feature",
    "after",
    "ladder_of",
    "ladder_step",
    "alternative_to",
    "rate",
    "switch_initially",
    "credentials",
    "sample",
    "addresses",
    "imported_from",
    "why",
    "blocked",
    "note",
];

/// The target `csv`.
#[derive(Debug)]
pub(super) struct Csv;

impl Target for Csv {
    fn id(&self) -> &'static str {
        "csv"
    }

    fn describe(&self) -> &'static str {
        "comma-separated values, a row a lane: for spreadsheets, tickets and scripts"
    }

    fn render(&self, request: &RulesRequest<'_>) -> Rules {
        let mut text = row(COLUMNS.map(str::to_owned));
        for lane in request.lanes {
            text.push_str(&row(cells(request, lane)));
        }
        let entry = |lane: &Lane| Entry {
            flow: lane.flow.to_string(),
            lane: describe(lane),
            expression: Expression::Exact,
            reason: None,
            workaround: None,
        };
        Rules {
            text,
            ledger: request.lanes.iter().map(entry).collect(),
            unused: request.unused(),
        }
    }
}

fn cells(request: &RulesRequest<'_>, lane: &Lane) -> [String; 29] {
    let tls = lane.tls.as_ref();
    let word = |word: Option<&'static str>| word.unwrap_or_default().to_owned();
    let prose = |text: &Text| {
        let best = text.best(request.language);
        best.map_or_else(String::new, |(_, text)| text.to_owned())
    };
    let rung = lane.ladder.as_ref();
    let given = request.addresses.of(&lane.to.value()).unwrap_or_default();
    [
        lane.flow.to_string(),
        lane.from.to_string(),
        lane.to.kind().to_owned(),
        lane.to.value(),
        lane.transport.to_string(),
        shown(lane.ports.as_ref()),
        lane.protocol.to_string(),
        lane.need.to_string(),
        lane.direction.to_string(),
        word(tls.and_then(|tls| tls.min).map(|min| min.as_str())),
        word(tls.and_then(|tls| tls.trust).map(|trust| trust.as_str())),
        word(tls.and_then(|tls| tls.inspection).map(|one| one.as_str())),
        word(tls.map(|tls| if tls.mutual { "yes" } else { "no" })),
        tls.map_or_else(String::new, pins),
        shown(lane.versions.as_ref()),
        shown(lane.feature.as_ref()),
        list(&lane.after),
        shown(rung.map(|rung| &rung.of)),
        shown(rung.map(|rung| rung.step).as_ref()),
        lane.alternative_to.clone().unwrap_or_default(),
        lane.rate.as_ref().map_or_else(String::new, rate),
        lane.switch.as_ref().map_or_else(String::new, switch),
        lane.credentials
            .iter()
            .map(credential)
            .collect::<Vec<_>>()
            .join(" "),
        list(&lane.sample),
        list(given),
        shown(lane.provenance.as_ref().map(|from| &from.product)),
        prose(&lane.why),
        prose(&lane.blocked),
        prose(&lane.note),
    ]
}

fn shown(value: Option<&impl ToString>) -> String {
    value.map_or_else(String::new, ToString::to_string)
}

fn list(values: &[impl ToString]) -> String {
    values
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

fn pins(tls: &Tls) -> String {
    let hex = |bytes: &[u8; 32]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    tls.pins
        .iter()
        .map(|pin| hex(&pin.0))
        .collect::<Vec<_>>()
        .join(" ")
}

fn rate(rate: &Rate) -> String {
    format!("{}/{}", rate.at_most.0, rate.per)
}

fn switch(switch: &Switch) -> String {
    switch.initially.to_string()
}

/// A credential in one word, such as `shared-key:device:30-days:revocable`.
fn credential(credential: &Credential) -> String {
    let mut parts = vec![credential.kind.to_string()];
    parts.extend(credential.scope.map(|scope| scope.to_string()));
    parts.extend(credential.days.map(|days| format!("{}-days", days.0)));
    if credential.revocable {
        parts.push("revocable".to_owned());
    }
    parts.join(":")
}

fn row<const N: usize>(cells: [String; N]) -> String {
    let mut line = cells.map(|one| cell(&one)).join(",");
    line.push_str("\r\n");
    line
}

/// A cell, in quotes where it must be.
fn cell(text: &str) -> String {
    let text = disarmed(text);
    if text.contains(['"', ',', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// A text in which no formula starts, wherever a spreadsheet divides it.
fn disarmed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut starts = true;
    let mut first = true;
    for c in text.chars() {
        // RFC 4180 lets a cell in quotes have line breaks.
        let c = if c == '\n' { c } else { visible(c) };
        if starts && matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠') {
            out.push('\'');
        }
        starts = match c {
            ',' | ';' | '\n' => true,
            // A quote may begin a cell; white space at its beginning may be cut off.
            '"' => starts,
            ' ' => starts && first,
            _ => false,
        };
        first = first && c == ' ';
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be_and_formulas_are_disarmed() {
        assert_eq!(cell("plain text"), "plain text");
        assert_eq!(cell("a,b"), "\"a,b\"");
        assert_eq!(cell("say \"no\"\nmore"), "\"say \"\"no\"\"\nmore\"");
        assert_eq!(cell("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        for first in ["=", "+", "-", "@", "＝"] {
            assert_eq!(cell(&format!("{first}1")), format!("'{first}1"));
        }
        assert_eq!(cell("\t=1"), " '=1");
        assert_eq!(cell("a-b = 1 - 2; +c"), "a-b = 1 - 2; +c");
    }

    #[test]
    fn no_formula_starts_behind_what_other_countries_divide_cells_by() {
        assert_eq!(cell("x;=1+1"), "x;'=1+1");
        assert_eq!(cell("x,@a"), "\"x,'@a\"");
        assert_eq!(cell("x;\"=1\""), "\"x;\"\"'=1\"\"\"");
        assert_eq!(cell("x\n-1"), "\"x\n'-1\"");
        assert_eq!(cell("x\r=1"), "x =1");
    }

    #[test]
    fn nothing_that_cannot_be_seen_gets_into_a_cell() {
        assert_eq!(cell("a\u{1B}[2J\u{202E}b"), "a\u{FFFD}[2J\u{FFFD}b");
    }
}
